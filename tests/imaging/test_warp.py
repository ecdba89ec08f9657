"""The one resampling against positions known beforehand."""

import numpy as np
import pytest

from d2crealsr.imaging import geometry, photometry, warp
from d2crealsr.imaging.estimate import Estimate
from d2crealsr.imaging.photometry import Photometry
from d2crealsr.imaging.placement import Placement
from d2crealsr.types import Crop, Size

LINEAR = Photometry(tone="gamma=1")


def planar(H: np.ndarray, **lenses: float) -> geometry.CaptureMapping:
    return geometry.CaptureMapping(H_hr_to_lr=H, hr_size=Size(400, 300), lr_size=Size(100, 80), **lenses)


def published_as(hr: np.ndarray, placement: Placement, light: Photometry = LINEAR, **colours: object) -> np.ndarray:
    return warp.warp_hr(hr, Estimate(placement=placement, light=light, **colours))


def ramp(size: Size) -> np.ndarray:
    """Red holds x, green holds y, in 16 bits, 100 a pixel."""
    x, y = np.meshgrid(np.arange(size.width), np.arange(size.height))
    return np.stack([100 * x, 100 * y, np.full_like(x, 7)], axis=-1).astype(np.uint16)


@pytest.mark.parametrize("k1_hr", [0.0, 0.01])
@pytest.mark.parametrize("k1_lr", [0.0, -0.02])
def test_published_pixels_come_from_where_the_convention_says(k1_hr: float, k1_lr: float) -> None:
    H = np.array([[0.124, 0.003, 14.2], [-0.002, 0.126, 11.7], [1e-6, -2e-6, 1]])
    m = planar(H, k1_hr=k1_hr, k1_lr=k1_lr)
    crop = Crop(30, 25, 12, 10)
    published = published_as(ramp(m.hr_size), Placement(m, crop, 8))
    assert published.shape == (80, 96, 3)
    u, v = 17, 53
    p_lr = np.array([30 + (u + 0.5) / 8 - 0.5, 25 + (v + 0.5) / 8 - 0.5])
    expected = m.lr_to_hr(p_lr)
    np.testing.assert_allclose(published[v, u, :2] / 100, expected, atol=0.07)  # OpenCV 4 adds 1/64
    assert published[v, u, 2] == 7


def test_identity_at_integer_positions_is_a_copy() -> None:
    """A mapping whose grid falls on HR pixels publishes them unchanged, whatever the interpolation."""
    rng = np.random.default_rng(1)
    hr = rng.integers(0, 256, (300, 400, 3)).astype(np.uint8)
    m = planar(geometry.compose(geometry.translation(3, 2), geometry.inverse(geometry.scaling(4))))
    published = published_as(hr, Placement(m, Crop(13, 12, 40, 40), 4), Photometry())
    np.testing.assert_array_equal(published, hr[40:200, 40:200])


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.7])
def test_at_scale_1_a_shift_by_a_fraction_is_that_shift(fraction: float) -> None:
    """OpenCV's cubic kernel would be off by .05 px at some fractions, the same for all pixels."""
    m = planar(geometry.translation(-fraction, fraction))
    published = published_as(ramp(m.hr_size), Placement(m, Crop(20, 20, 60, 40), 1))
    x, y = np.meshgrid(np.arange(20, 80) + fraction, np.arange(20, 60) - fraction)
    np.testing.assert_allclose(published[..., :2] / 100, np.stack([x, y], axis=-1), atol=0.011)


def test_brightness_and_field_are_applied_in_linear_light() -> None:
    hr = np.full((300, 400, 3), 20_000, np.uint16)
    m = planar(geometry.inverse(geometry.scaling(4)))
    crop = Crop(20, 20, 40, 30)
    light = Photometry(tone="gamma=1", gain=(1.0, 1.5, 2.0), offset=(0.0, 0.0, 0.01), field_x=0.1, field_r2=-0.2)
    published = published_as(hr, Placement(m, crop, 4), light)
    u, v = 10, 20
    x, y = (np.array([20 * 4 + u, 20 * 4 + v]) - [199.5, 149.5]) / 250
    field = 1 + 0.1 * x - 0.2 * (x**2 + y**2)
    expected = 20_000 * field * np.array([1.0, 1.5, 2.0]) + np.array([0, 0, 655.35])
    np.testing.assert_allclose(published[v, u], expected, rtol=2e-4)  # linear between nodes of a very small capture


def test_brightness_is_matched_as_the_formula_says_to_the_last_bit() -> None:
    light = Photometry(gain=(1.1, 0.9, 1.05), offset=(0.01, -0.02, 0.003), field_x=0.1)
    rng = np.random.default_rng(0)
    bright = rng.random((20, 7, 3), dtype=np.float32)
    field = 1 + rng.random((20, 7), dtype=np.float32) / 10
    gain, offset = (np.array(each, np.float32) for each in (light.gain, light.offset))
    plain = photometry.quantised(bright * gain * field[..., None] + offset, "srgb", np.dtype(np.uint8))
    np.testing.assert_array_equal(warp._as_stored(bright, field, light, np.dtype(np.uint8)), plain)


def test_depth_is_kept() -> None:
    m = planar(geometry.inverse(geometry.scaling(4)))
    for dtype in (np.uint8, np.uint16):
        assert published_as(np.zeros((300, 400, 3), dtype), Placement(m, Crop(20, 20, 8, 8), 4)).dtype == dtype


@pytest.mark.parametrize("k1_hr", [0.0, 0.01])
def test_red_and_blue_are_read_where_the_lens_has_put_them(k1_hr: float) -> None:
    H = np.array([[0.124, 0.003, 14.2], [-0.002, 0.126, 11.7], [1e-6, -2e-6, 1]])
    m = planar(H, k1_hr=k1_hr)
    crop, k = Crop(25, 20, 20, 15), (0.004, -0.006)
    x, y = np.meshgrid(np.arange(400), np.arange(300))
    for axis, ramp_ in enumerate((x, y)):
        hr = np.stack([100 * ramp_] * 3, axis=-1).astype(np.uint16)
        published = published_as(hr, Placement(m, crop, 8), ca_k=k)
        v, u = 97, 23
        p = m.lr_to_hr(np.array([25 + (u + 0.5) / 8 - 0.5, 20 + (v + 0.5) / 8 - 0.5]))
        centre = np.array([199.5, 149.5])
        for channel, magnification in enumerate((k[0], 0.0, k[1])):
            expected = (centre + (p - centre) * (1 + magnification))[axis]
            assert published[v, u, channel] / 100 == pytest.approx(expected, abs=0.07)


def wave(cycles_per_px: float, size: Size) -> np.ndarray:
    x = np.arange(size.width)
    row = np.rint(20_000 + 10_000 * np.cos(2 * np.pi * cycles_per_px * x)).astype(np.uint16)
    return np.repeat(np.tile(row, (size.height, 1))[..., None], 3, axis=2)


def contrast_of(published: np.ndarray) -> float:
    return float(np.sqrt(2) * published.astype(float).std() / 10_000)


def shrunk(cycles_per_px: float, shrink: float) -> np.ndarray:
    """A wave in HR, published at 4/shrink px per LR px in each direction."""
    m = planar(geometry.compose(geometry.translation(3.3, 2.2), geometry.inverse(geometry.scaling(4 * shrink))))
    return published_as(wave(cycles_per_px, m.hr_size), Placement(m, Crop(15, 14, 30, 20), 4))


@pytest.mark.parametrize("shrink", [1.1, 1.25, 1.6])
def test_what_the_published_grid_cannot_hold_is_filtered_out_before_hr_shrinks(shrink: float) -> None:
    assert contrast_of(shrunk(0.3 / shrink, shrink)) > 0.95
    assert contrast_of(shrunk(0.48, shrink)) < 0.4


@pytest.mark.parametrize("shrink", [0.8, 1.0, 1.009])
def test_nothing_is_filtered_where_hr_does_not_shrink(shrink: float) -> None:
    image = np.random.default_rng(0).random((40, 50, 3), dtype=np.float32)
    assert warp.without_aliasing(image, shrink) is image


def test_the_low_pass_moves_nothing() -> None:
    """A ramp stays a ramp: positions and brightness are as they were."""
    x, y = np.meshgrid(np.arange(60, dtype=np.float32), np.arange(50, dtype=np.float32))
    image = np.stack([x, y, np.full_like(x, 7)], axis=-1)
    filtered = warp.without_aliasing(image, 1.3)
    np.testing.assert_allclose(filtered[8:-8, 8:-8], image[8:-8, 8:-8], atol=1e-4)


def test_strips_fit_together_where_hr_shrinks(monkeypatch: pytest.MonkeyPatch) -> None:
    hr = np.random.default_rng(2).integers(0, 65536, (300, 400, 3)).astype(np.uint16)
    m = planar(geometry.compose(geometry.translation(3.3, 2.2), geometry.inverse(geometry.scaling(4.6))))
    crop = Crop(15, 14, 30, 20)
    whole = published_as(hr, Placement(m, crop, 4))
    monkeypatch.setattr(warp, "_STRIP_ROWS", 12)
    np.testing.assert_allclose(published_as(hr, Placement(m, crop, 4)).astype(float), whole, atol=1)
