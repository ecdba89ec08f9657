"""The measures of confidence maps: perfect, useless and opposite orders, and what a third map explains."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.training.sparsification import (
    ause,
    block_rms,
    partial_rank_correlation,
    rank_correlation,
    smoothed,
)

RNG = np.random.default_rng(5)
ERROR = RNG.exponential(1, (40, 40))


def test_the_area_is_zero_for_the_order_of_the_errors_and_grows_with_disorder():
    useless, opposite = ause(RNG.permuted(ERROR), ERROR), ause(-ERROR, ERROR)
    assert ause(ERROR**3, ERROR) == 0
    assert 0.3 < useless < opposite


def test_rank_correlation_does_not_depend_on_the_units():
    assert rank_correlation(np.exp(ERROR), ERROR) == pytest.approx(1)
    assert rank_correlation(1 / ERROR, ERROR) == pytest.approx(-1)


def test_what_another_map_explains_is_taken_out():
    edges, own = RNG.standard_normal((2, 100, 100))
    error = edges + own
    echo = edges + 0.5 * RNG.standard_normal(edges.shape)
    assert rank_correlation(echo, error) > 0.5
    assert partial_rank_correlation(echo, error, edges) == pytest.approx(0, abs=0.05)
    assert partial_rank_correlation(own, error, edges) > 0.9


def test_blocks_are_root_mean_squares_and_smoothing_keeps_their_mean():
    image = np.kron([[3.0, 0.0], [1.0, 2.0]], np.ones((4, 4))) * np.tile([1, -1], (8, 4))
    np.testing.assert_allclose(block_rms(image, 4), [[3, 0], [1, 2]])
    assert smoothed(ERROR, 1.0).mean() == pytest.approx(ERROR.mean(), rel=0.02)
    assert smoothed(ERROR, 0.0) is ERROR
