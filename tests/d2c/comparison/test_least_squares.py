"""The exact least-squares filter: it finds what made the data, and nothing linear is better."""

from __future__ import annotations

import numpy as np
import pytest

from d2c.comparison import least_squares
from d2c.comparison.least_squares import SIDE, LinearFilter, fit
from d2c.data.patches import PixelPair
from d2c.errors import CheckpointError, DataError
from d2c.inference.bicubic import bicubic


def pictures(count, size, scale, seed=0):
    rng = np.random.default_rng(seed)
    lr = [rng.integers(0, 256, (size, size + 3, 3), dtype=np.uint8) for _ in range(count)]
    return lr, [np.repeat(np.repeat(image, scale, 0), scale, 1) for image in lr]


def test_the_filter_that_made_hr_is_found_again():
    rng = np.random.default_rng(1)
    truth = LinearFilter(2, rng.normal(0, 0.01, (3 * SIDE**2 + 1, 12)))
    lr = [rng.integers(0, 256, (20, 23, 3), dtype=np.uint8) for _ in range(2)]
    found = fit([PixelPair("a", image, np.asarray(truth(image), np.float64)) for image in lr], 2)
    np.testing.assert_allclose(found.weights, truth.weights, atol=2e-6)  # the filter's images are single precision
    assert (found.parameters, found.multiply_adds) == (244 * 12, 243 * 12)


def test_no_other_filter_has_a_smaller_error_on_the_fitted_pairs():
    rng = np.random.default_rng(2)
    hr = [rng.integers(0, 256, (60, 48, 3), dtype=np.uint8) for _ in range(2)]
    pairs = [PixelPair("a", bicubic(image, 16, 20), image) for image in hr]
    found = fit(pairs, 3)

    def error(tried):
        return sum(float(np.square(tried(pair.lr) - pair.hr / 255).sum()) for pair in pairs)

    least = error(found)
    for _ in range(3):
        changed = found.weights + rng.normal(0, 1e-3, found.weights.shape)
        assert error(LinearFilter(3, changed)) > least


def test_grey_images_have_a_solution_though_their_colours_depend_on_each_other():
    lr, hr = pictures(2, 14, 2)
    grey = [(np.repeat(a[..., :1], 3, 2), np.repeat(b[..., :1], 3, 2)) for a, b in zip(lr, hr, strict=True)]
    found = fit([PixelPair("grey", a, b) for a, b in grey], 2)
    assert np.abs(found.weights).max() < 10
    np.testing.assert_allclose(found(grey[0][0]), grey[0][1] / 255, atol=1e-5)


def test_strips_change_nothing(monkeypatch):
    lr, hr = pictures(1, 15, 2)
    whole = fit([PixelPair("a", lr[0], hr[0])], 2)
    monkeypatch.setattr(least_squares, "_PIXELS_AT_A_TIME", 40)
    np.testing.assert_allclose(fit([PixelPair("a", lr[0], hr[0])], 2).weights, whole.weights, atol=1e-9)
    np.testing.assert_allclose(whole(lr[0]), hr[0] / 255, atol=1e-5)


def test_it_is_kept_in_a_file_and_a_damaged_one_is_named(tmp_path):
    lr, hr = pictures(1, 12, 2)
    found = fit([PixelPair("a", lr[0], hr[0])], 2)
    found.save(tmp_path / "filter.npz")
    np.testing.assert_array_equal(LinearFilter.load(tmp_path / "filter.npz").weights, found.weights)
    (tmp_path / "filter.npz").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match="is not a filter; delete it"):
        LinearFilter.load(tmp_path / "filter.npz")
    with pytest.raises(DataError, match="no pairs to fit"):
        fit([], 2)
