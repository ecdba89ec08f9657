"""Intervals over images and seeds cover the truth as often as they say; few seeds give a range."""

from __future__ import annotations

import numpy as np
import pytest

from d2c.comparison.intervals import Difference, difference


def drawn(rng, seeds, images, mean=0.0, of_seeds=0.05):
    return mean + rng.normal(0, of_seeds, (seeds, 1)) + rng.normal(0, 0.02, (seeds, images))


def test_intervals_cover_the_true_difference_in_about_95_of_100_draws():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(400):
        pictures = rng.normal(0, 3.0, 12)  # the same images for both
        own = rng.normal(0, 0.05, 12)
        found = difference(pictures + own + drawn(rng, 4, 12, 0.3), pictures + drawn(rng, 4, 12))
        covered += found.low <= 0.3 <= found.high
        assert found.kind == "interval"
    assert 0.93 <= covered / 400 <= 0.99


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_give_a_range_which_resolves_nothing(seeds):
    found = difference(np.full((seeds, 5), 31.0), np.full((3, 5), 30.0))
    assert (found.kind, found.resolved, found.mean) == ("range", False, 1.0)


def test_a_method_without_seeds_varies_over_images_only():
    a, b = np.array([[30.0, 31.0, 32.0]]), np.array([[29.0, 30.1, 30.9]])
    found = difference(a, b, seeded=(False, False))
    assert found.kind == "interval"
    assert found.low < 1.0 < found.high
    assert found.resolved


def test_outputs_of_one_training_are_compared_within_each_seed():
    rng = np.random.default_rng(1)
    mean = drawn(rng, 4, 10, of_seeds=1.0)
    fused = mean + 0.01 + rng.normal(0, 0.001, (4, 10))
    assert difference(fused, mean, paired=True).resolved
    assert not difference(fused, mean).resolved
    two = difference(fused[:2], mean[:2], paired=True)
    assert two.high - two.low < 0.01


def test_one_value_is_not_called_a_range():
    assert str(Difference(0.1, 0.1, 0.1, "range")) == "+0.100 (one value, no range)"
    assert str(Difference(0.1, 0.0, 0.2, "range")) == "+0.100 (range +0.000 … +0.200)"


def test_one_image_says_nothing_of_other_images():
    found = difference(np.array([[30.0], [30.2], [30.4]]), np.array([[29.0], [29.1], [29.3]]))
    assert found.kind == "range"
    assert not found.resolved
