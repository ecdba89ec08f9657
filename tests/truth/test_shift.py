"""The pixel estimator against shifts that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from d2crealsr.truth.shift import fourier_shift, linear_luma, measure_shift

MARGIN = 48
SIZE = (384, 256)


def picture(seed: int) -> np.ndarray:
    """A band-limited texture with detail from 1.5 to 20 px, in linear light, with a margin on all sides."""
    rng = np.random.default_rng(seed)
    shape = (SIZE[1] + 2 * MARGIN, SIZE[0] + 2 * MARGIN)
    layers = [ndimage.gaussian_filter(rng.standard_normal(shape), sigma) for sigma in (1.5, 4, 20)]
    texture = sum(layer / layer.std() for layer in layers)
    return np.clip(0.4 + 0.07 * texture, 0, 1).astype(np.float32)


def cut(image: np.ndarray) -> np.ndarray:
    return image[MARGIN:-MARGIN, MARGIN:-MARGIN]


def mean_shift(published: np.ndarray, true: np.ndarray, **options: np.ndarray) -> np.ndarray:
    found = measure_shift(published.astype(np.float32), true, (MARGIN, MARGIN), **options)
    grid = np.stack(np.meshgrid(np.linspace(0, SIZE[0] - 1, 19), np.linspace(0, SIZE[1] - 1, 13)), axis=-1)
    return found.field.at(grid).reshape(-1, 2).mean(axis=0)


@settings(max_examples=12, deadline=None)
@given(dx=st.floats(-4, 4), dy=st.floats(-4, 4), seed=st.integers(0, 50))
def test_known_shift_is_found_to_a_thousandth_of_a_pixel(dx: float, dy: float, seed: int) -> None:
    true = picture(seed)
    assert mean_shift(cut(fourier_shift(true, (dx, dy))), true) == pytest.approx([dx, dy], abs=0.001)


def test_sign_content_further_right_is_positive() -> None:
    true = picture(0)
    assert mean_shift(cut(np.roll(true, 2, axis=1)), true) == pytest.approx([2, 0], abs=0.01)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.12, -0.07), (-1.3, 2.4)])
def test_noise_blur_vignetting_and_brightness_do_not_bias(shift: tuple[float, float]) -> None:
    true = picture(3)
    shown = ndimage.gaussian_filter(cut(fourier_shift(true, shift)), 1.0)
    y, x = np.indices(shown.shape)
    vignetting = 1 - 0.25 * ((x - 300) ** 2 + (y - 30) ** 2) / 300**2
    noisy = 1.3 * shown * vignetting + 0.02 + 0.01 * np.random.default_rng(1).standard_normal(shown.shape)
    assert mean_shift(noisy, true) == pytest.approx(shift, abs=0.006)


def test_field_follows_a_shift_that_grows_over_the_image() -> None:
    true = picture(4)
    y, x = np.indices((SIZE[1], SIZE[0]), dtype=float)
    dx, dy = 0.002 * (x - 100), -0.003 * (y - 50) + 1e-5 * (x - 190) ** 2
    spline = ndimage.spline_filter(true, order=3)
    published = ndimage.map_coordinates(spline, [y + MARGIN - dy, x + MARGIN - dx], order=3, prefilter=False)
    found = measure_shift(published.astype(np.float32), true, (MARGIN, MARGIN)).field.at(np.stack([x, y], axis=-1))
    assert np.abs(found - np.stack([dx, dy], axis=-1)).max() < 0.02


def test_occluded_fifth_is_let_go() -> None:
    true = picture(5)
    published = cut(fourier_shift(true, (0.3, 0.2))).copy()
    published[64:192, 64:192] = cut(picture(6))[64:192, 64:192]
    assert mean_shift(published, true) == pytest.approx([0.3, 0.2], abs=0.02)


def test_masked_pixels_say_nothing() -> None:
    true = picture(7)
    published = cut(fourier_shift(true, (-0.2, 0.1))).copy()
    masked = np.zeros(published.shape, bool)
    masked[100:150, 50:330] = True
    published[masked] = 1.0
    assert mean_shift(published, true, masked=masked) == pytest.approx([-0.2, 0.1], abs=0.003)


def test_noise_is_told() -> None:
    true = picture(8)
    noisy = cut(true) + 0.02 * np.random.default_rng(2).standard_normal((SIZE[1], SIZE[0]))
    assert measure_shift(noisy.astype(np.float32), true, (MARGIN, MARGIN)).noise == pytest.approx(0.02, rel=0.1)


def test_blank_image_has_an_infinite_error() -> None:
    blank = np.full((SIZE[1], SIZE[0]), 0.5, np.float32)
    assert measure_shift(blank, np.full_like(picture(0), 0.5), (MARGIN, MARGIN)).error == np.inf


def test_image_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 128 px a side"):
        measure_shift(np.zeros((100, 200), np.float32), np.zeros((300, 300), np.float32), (0, 0))


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_linear_luma_of_black_grey_and_white(depth: type[np.uint8] | type[np.uint16]) -> None:
    top = np.iinfo(depth).max
    image = np.array([[[0] * 3, [round(0.5 * top)] * 3, [top] * 3]], dtype=depth)
    assert linear_luma(image)[0] == pytest.approx([0, 0.2140, 1], abs=0.002)
