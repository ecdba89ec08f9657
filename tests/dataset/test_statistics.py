"""Statistics of the tables against their documented definitions, by formulas that share nothing with what made them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import d2crealsr
from d2crealsr.align import Alignment

RAW = Path(__file__).parents[1] / "earlier" / "v0.1.0" / "raw"
SCALE = 2


@pytest.fixture(scope="module", params=["astronaut", "coffee"])
def found(request: pytest.FixtureRequest) -> tuple[Alignment, np.ndarray, np.ndarray]:
    """An alignment, and both captures as RGB."""
    hr, lr = (cv2.imread(str(RAW / side / f"{request.param}.jpg"))[..., ::-1] for side in ("hr", "lr"))
    made = d2crealsr.align_pair(np.ascontiguousarray(hr), np.ascontiguousarray(lr), scale=SCALE)
    assert isinstance(made, Alignment)
    return made, hr, lr


def luma(rgb: np.ndarray) -> np.ndarray:
    return rgb @ np.array([0.299, 0.587, 0.114]) / 255


def test_zncc_is_the_correlation_over_the_whole_crop(found) -> None:
    """HR as published, blurred to LR's sharpness and reduced, correlated with LR: close, as the blur is a Gaussian."""
    made, _, _ = found
    direct = next(stage for stage in made.stages if stage.stage == "direct")
    hr = cv2.GaussianBlur(luma(made.hr), (0, 0), direct.sigma_blur_hr_px)
    height, width = made.lr.shape[:2]
    x = SCALE * np.arange(width) + (SCALE - 1) / 2
    y = SCALE * np.arange(height) + (SCALE - 1) / 2
    grid = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    seen = cv2.remap(hr.astype(np.float32), *grid, cv2.INTER_LINEAR)
    inner = np.s_[6:-6, 6:-6]
    expected = np.corrcoef(seen[inner].ravel(), luma(made.lr)[inner].ravel())[0, 1]
    assert made.statistics["zncc"] == pytest.approx(expected, abs=0.01)


def test_the_blocks_statistics_are_weighted_percentiles(found) -> None:
    made, _, _ = found
    field = made.residuals
    length = np.hypot(*field.shifts_hr_px.T)
    for name, values, q in (
        ("residual_p50_hr_px", length, 0.5),
        ("residual_p95_hr_px", length, 0.95),
        ("zncc_block_p50", np.nan_to_num(field.zncc), 0.5),
    ):
        order = np.argsort(values)
        below = np.cumsum(field.weights[order]) / field.weights.sum()
        nearest = values[order][
            [max(np.searchsorted(below, q) - 1, 0), min(np.searchsorted(below, q) + 1, len(order) - 1)]
        ]
        assert nearest[0] - 1e-9 <= made.statistics[name] <= nearest[1] + 1e-9


def test_scale_rotation_and_offset_are_the_homographys(found) -> None:
    made, hr, lr = found
    centre = np.array([(hr.shape[1] - 1) / 2, (hr.shape[0] - 1) / 2])
    around = centre + np.array([[0, 0], [1, 0], [0, 1]])
    points = cv2.perspectiveTransform(around[None].astype(np.float64), made.H_hr_to_lr)[0]
    right, down = points[1] - points[0], points[2] - points[0]
    area = right[0] * down[1] - right[1] * down[0]
    assert made.statistics["scale_effective"] == pytest.approx(area**-0.5, rel=1e-3)
    assert made.statistics["scale_ratio"] == pytest.approx(area**-0.5 / SCALE, rel=1e-3)
    turn = np.degrees(np.arctan2(right[1] - down[0], right[0] + down[1]))
    assert made.statistics["rotation_deg"] == pytest.approx(turn, abs=1e-2)
    middle = np.array([(lr.shape[1] - 1) / 2, (lr.shape[0] - 1) / 2])
    assert made.statistics["card_offset"] == pytest.approx(np.hypot(*(points[0] - middle)), abs=0.05)


def test_clipped_and_textured_fractions_count(found) -> None:
    made, _, _ = found
    shown = np.isfinite(made.residuals.zncc)
    assert made.statistics["textured_fraction"] == pytest.approx(np.mean(made.residuals.weights[shown] > 0))
    saturated = cv2.dilate((made.lr >= 250).any(axis=2).astype(np.uint8), np.ones((3, 3), np.uint8))
    assert made.statistics["clipped_fraction"] == pytest.approx(saturated.mean(), abs=1e-9)
