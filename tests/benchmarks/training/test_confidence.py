"""The experiment on maps of confidence: turns are turned back, widths are chosen, and the stored table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.result_tables import read_csv

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

import torch

from benchmarks.training import confidence
from benchmarks.training.confidence import CANDIDATES, SCALE, Candidate, Seen, chosen_width, over_turns, row_of

RESULT = Path(confidence.__file__).parents[1] / "results" / "confidence.csv"


class Enlarging:
    """A net that repeats pixels, and adds a ramp from left to right if it is to depend on the direction."""

    def __init__(self, ramp: float = 0.0) -> None:
        self.ramp = ramp

    def diverge(self, lr):
        made = lr.repeat_interleave(SCALE, dim=2).repeat_interleave(SCALE, dim=3)
        return (made + self.ramp * torch.linspace(0, 1, made.shape[3]))[:, None]


def test_a_net_that_does_not_depend_on_the_direction_has_no_spread_over_turns():
    lr = np.random.default_rng(0).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    even, uneven = (over_turns(Enlarging(ramp), lr) for ramp in (0.0, 0.1))
    assert even.shape == (8, 6 * SCALE, 9 * SCALE)
    np.testing.assert_allclose(even.std(axis=0), 0, atol=1e-4)
    assert uneven.std(axis=0).mean() > 1


def test_a_map_is_compared_within_each_image_and_with_the_gradient():
    rng = np.random.default_rng(2)
    images = []
    for level in (1, 10):  # pooled, the level would make any map look good
        error, edges = level * rng.exponential(1, (2, 20, 30))
        noisy = error + level * rng.exponential(2, error.shape)
        images.append(Seen({"tree": error}, {"tree": {"gradient": edges, "spread of branches": noisy}}))
    candidate = Candidate("tree", "spread of branches", 1)
    assert chosen_width(candidate, images) == 0.0  # errors of neighbours have nothing in common here
    row = row_of(candidate, 0.0, 0.0, images)
    assert 0.3 < row["rank"] == pytest.approx(row["partial_rank"], abs=0.05)
    assert row["rank_over_gradient"] == pytest.approx(row["rank"], abs=0.15)
    assert np.isnan(row_of(Candidate("tree", "gradient", 1), 0.0, 0.0, images)["partial_rank"])


def test_the_stored_table_has_every_candidate():
    assert [(row["picture"], row["candidate"]) for row in read_csv(RESULT)] == [each[:2] for each in CANDIDATES]
