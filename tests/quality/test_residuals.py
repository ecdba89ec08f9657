"""The residual field on images displaced by known amounts."""

import numpy as np
import pytest

from d2crealsr import opencv
from d2crealsr.imaging import degrade, geometry, warp
from d2crealsr.quality import residuals
from d2crealsr.quality.comparison import LrCrop
from d2crealsr.types import Crop, Size

SCALE = 8
SIGMA = 7.0
CROP = Crop(40, 30, 96, 72)
GRID = geometry.CaptureMapping(
    H_hr_to_lr=warp.grid_to_lr(CROP, SCALE),
    hr_size=Size(CROP.width * SCALE, CROP.height * SCALE),
    lr_size=Size(200, 150),
)


def texture(seed: int = 0) -> np.ndarray:
    """Light with detail at several scales, (576, 768, 3), as LinearReduced of factor 1 holds it."""
    rng = np.random.default_rng(seed)
    size = Size(CROP.width * SCALE, CROP.height * SCALE)
    light = np.full((size.height, size.width), 0.4, np.float32)
    for cells in (12, 40, 120):
        noise = rng.normal(0, 0.05, (cells * 3 // 4, cells)).astype(np.float32)
        light += opencv.resize(noise, size, "cubic")
    return np.clip(light, 0.02, 1)[..., None].repeat(3, axis=2)


def published(light: np.ndarray) -> degrade.LinearReduced:
    return degrade.LinearReduced(light, light[..., 0].copy(), 1)


def lr_seeing(hr: degrade.LinearReduced, H_hr_to_crop: np.ndarray, noise: float = 0.002) -> np.ndarray:
    seen = hr.on_grid(hr.blurred(hr.rgb, SIGMA), H_hr_to_crop, Size(CROP.width, CROP.height))
    return seen + np.random.default_rng(1).normal(0, noise, seen.shape).astype(np.float32)


def lr_crop(rgb: np.ndarray) -> LrCrop:
    return LrCrop(rgb, np.ones(rgb.shape[:2], bool), CROP, SCALE)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.31, -0.17), (-1.4, 0.9), (3.0, 3.0)])
def test_a_uniform_shift_is_measured_with_its_sign(shift: tuple[float, float]) -> None:
    """HR holds the content ``shift`` HR px further right and down than LR does."""
    hr = published(texture())
    H_true = geometry.compose(geometry.inverse(geometry.scaling(SCALE)), geometry.translation(-shift[0], -shift[1]))
    crop = lr_crop(lr_seeing(hr, H_true) * np.float32(0.7) + np.float32(0.01))
    field = crop.residuals(hr, GRID, SIGMA)
    trusted = field.weights > 0.5
    assert trusted.mean() > 0.9
    np.testing.assert_allclose(np.median(field.shifts_hr_px[trusted], axis=0), shift, atol=0.03)
    assert residuals.percentile(field, 50) == pytest.approx(np.hypot(*shift), abs=0.06)
    assert np.median(field.zncc) > 0.98


def test_a_turn_shows_as_a_turning_field() -> None:
    hr = published(texture())
    angle = 0.002
    turn = np.array([[1, -angle, 0], [angle, 1, 0], [0, 0, 1]])
    about = geometry.translation(*(np.array([CROP.width, CROP.height]) * SCALE / 2))
    H_true = geometry.compose(geometry.inverse(geometry.scaling(SCALE)), about, turn, geometry.inverse(about))
    field = lr_crop(lr_seeing(hr, H_true)).residuals(hr, GRID, SIGMA)
    offset = (field.points_lr - [CROP.x + CROP.width / 2, CROP.y + CROP.height / 2]) * SCALE
    expected = -angle * np.stack([-offset[:, 1], offset[:, 0]], axis=1)
    np.testing.assert_allclose(field.shifts_hr_px, expected, atol=0.12)


def test_blocks_without_texture_have_no_weight() -> None:
    hr = published(np.full((CROP.height * SCALE, CROP.width * SCALE, 3), 0.5, np.float32))
    flat = lr_crop(np.full((CROP.height, CROP.width, 3), 0.5, np.float32))
    field = flat.residuals(hr, GRID, SIGMA)
    assert not field.weights.any()
    assert np.isnan(residuals.percentile(field, 50))


def test_another_scene_does_not_correlate() -> None:
    hr, other = published(texture(0)), published(texture(1))
    crop = lr_crop(lr_seeing(other, geometry.inverse(geometry.scaling(SCALE))))
    assert np.median(crop.residuals(hr, GRID, SIGMA).zncc) < 0.8


@pytest.mark.parametrize("sigma", [5.0, 8.0, 12.0])
def test_the_blur_is_found(sigma: float) -> None:
    hr = published(texture())
    H = geometry.inverse(geometry.scaling(SCALE))
    seen = hr.on_grid(hr.blurred(hr.rgb, sigma), H, Size(CROP.width, CROP.height))
    assert lr_crop(seen).blur(hr, GRID) == pytest.approx(sigma, rel=0.05)


def test_brightness_error_is_the_mean_difference_of_blocks() -> None:
    hr = published(texture())
    seen = lr_seeing(hr, geometry.inverse(geometry.scaling(SCALE)), noise=0.01)
    crop = lr_crop(seen)
    assert crop.brightness_error(seen) == pytest.approx(0, abs=1e-6)
    assert crop.brightness_error(seen + np.float32(0.05)) == pytest.approx(0.05, rel=1e-3)
