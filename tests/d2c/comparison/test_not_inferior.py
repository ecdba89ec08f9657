"""A faster way of training is not inferior only where enough seeds say so."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from d2c.comparison.not_inferior import Loss, loss_of


def psnr(losses, images=3):
    return 25 - np.asarray(losses)[:, None] + np.zeros(images)


@pytest.mark.parametrize(
    ("losses", "answer"),
    [
        ([0.00, 0.02, 0.01, 0.03, 0.00, 0.02, 0.01, 0.02], "not inferior"),
        ([-0.5, -0.4, -0.6, -0.5, -0.3, -0.5, -0.4, -0.5], "not inferior"),
        ([0.2, 0.21, 0.19, 0.2, 0.22, 0.18, 0.2, 0.2], "inferior"),
        ([0.3, -0.3, 0.2, -0.2, 0.1, -0.1, 0.2, -0.2], "undecided"),
        ([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.001], "undecided"),
    ],
)
def test_the_answer_follows_from_the_limits_of_at_least_eight_seeds(losses, answer):
    assert loss_of(psnr([0.0] * len(losses)), psnr(losses)).answer == answer


def test_limits_are_one_sided_and_of_paired_seeds():
    reference = np.random.default_rng(0).normal(25, 1, (8, 4))
    losses = np.array([0.01, -0.02, 0.03, 0.00, 0.02, 0.01, -0.01, 0.02])
    found = loss_of(reference, reference - losses[:, None])
    expected = stats.ttest_1samp(losses, 0.0).confidence_interval(0.9)
    assert found[:3] == pytest.approx((losses.mean(), expected.low, expected.high))


def test_one_seed_has_no_limits():
    assert str(loss_of(psnr([0.0]), psnr([0.1]))) == "+0.100 dB (no limits), 1 seeds: undecided"
    assert Loss(0.0, -0.01, 0.01, 1).answer == "undecided"


def test_unpaired_seeds_are_refused():
    with pytest.raises(ValueError, match=r"got shape \(2, 3\), expected that of the reference, \(3, 3\)"):
        loss_of(psnr([0.0] * 3), psnr([0.0] * 2))
