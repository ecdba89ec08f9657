"""benchmarks/training/bad_quarter.py: shifted pairs are moved back, and exact pairs are left where they are."""

from dataclasses import dataclass

import numpy as np
import pytest

from benchmarks.training.bad_quarter import Quarter
from d2crealsr import opencv
from d2crealsr.truth.shift import fourier_shift


@dataclass(frozen=True)
class Scene:
    """HR that is smooth enough for LR to show it, and LR as the mean of 2×2 px."""

    hr: np.ndarray

    @property
    def lr_luma(self) -> np.ndarray:
        height, width = self.hr.shape
        return self.hr.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))

    def warped(self, shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
        return fourier_shift(self.hr, shift)


def scenes(count: int) -> list[Scene]:
    rng = np.random.default_rng(7)
    noise = rng.uniform(16, 235, (count, 96, 112)).astype(np.float32)
    return [Scene(opencv.blur(each, 1.6)) for each in noise]


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, object]]:
    every = scenes(11)
    quarter = Quarter(every[:8], every[8:], 2, "random")
    found = {str(row["remedy"]): row for row in quarter.rows(2.0)}
    return found | {"unshifted": quarter.unshifted()}


def test_a_shifted_quarter_costs_and_leaving_it_out_returns_that(rows: dict[str, dict[str, float]]) -> None:
    assert rows["none"]["loss_db"] > 1
    assert rows["none"]["left_hr_px"] == pytest.approx(1.0)  # the root of a quarter of 2²
    assert abs(rows["left out"]["loss_db"]) < 0.3
    assert rows["left out"]["returned_db"] == pytest.approx(rows["none"]["loss_db"] - rows["left out"]["loss_db"])
    assert rows["others left out"]["loss_db"] > rows["none"]["loss_db"]


def test_realignment_moves_shifted_pairs_back_and_leaves_exact_ones(rows: dict[str, dict[str, float]]) -> None:
    assert rows["realigned"]["left_hr_px"] < 0.2
    assert rows["unshifted"]["left_hr_px"] < 0.05
    assert abs(rows["unshifted"]["loss_db"]) < 0.05
