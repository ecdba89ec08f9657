"""Lateral chromatic aberration of a known size is measured with its sign; without any, none is."""

import numpy as np
import pytest

from d2crealsr import opencv
from d2crealsr.imaging import degrade, geometry
from d2crealsr.quality.chromatic import measure_chromatic_aberration
from d2crealsr.quality.comparison import LrCrop
from d2crealsr.types import Crop, Size

SCALE, SIGMA = 8, 7.0
HR, CROP = Size(960, 720), Crop(12, 9, 96, 72)
POSITIONS = geometry.pixel_centres(Size(CROP.width, CROP.height)) + np.array([CROP.x, CROP.y])
MAPPING = geometry.CaptureMapping(
    H_hr_to_lr=geometry.inverse(geometry.scaling(SCALE)), hr_size=HR, lr_size=Size(120, 90)
)


def light() -> np.ndarray:
    rng = np.random.default_rng(2)
    total = np.full((HR.height, HR.width), 0.4, np.float32)
    for cells in (15, 50, 140):
        total += opencv.resize(rng.normal(0, 0.05, (cells * 3 // 4, cells)).astype(np.float32), HR, "cubic")
    return np.clip(total, 0.02, 1)


@pytest.mark.parametrize("k", [(0.0, 0.0), (0.001, -0.0006)])
def test_red_and_blue_are_found_where_the_lens_has_put_them(k: tuple[float, float]) -> None:
    grey = light()
    centre = geometry.frame_centre(HR)
    captured = geometry.pixel_centres(HR)
    channels = []
    for magnification in (k[0], 0.0, k[1]):
        ideal = (captured - centre) / (1 + magnification) + centre
        channels.append(degrade.sample(grey, 1, ideal))
    rgb = np.stack(channels, axis=-1)
    hr = degrade.LinearReduced(rgb, rgb[..., 1].copy(), 1)
    true = degrade.LinearReduced(grey[..., None].repeat(3, axis=2), grey, 1)
    p_lr = geometry.pixel_centres(Size(CROP.width, CROP.height)) + np.array(CROP[:2])
    seen = true.at(true.blurred(true.rgb, SIGMA), MAPPING.lr_to_hr(p_lr)) * np.array([0.7, 0.8, 0.9], np.float32)
    seen = (seen + np.random.default_rng(0).normal(0, 0.002, seen.shape)).astype(np.float32)
    lr = LrCrop(seen, seen[..., 1], np.ones(seen.shape[:2], bool), CROP, SCALE, POSITIONS)
    found = measure_chromatic_aberration(hr, lr, MAPPING, SIGMA)
    np.testing.assert_allclose((found.k_r, found.k_b), k, atol=1e-4)
    np.testing.assert_allclose(found.at(500.0), np.array((found.k_r, found.k_b)) * 500)


def test_a_channel_without_light_says_nothing() -> None:
    rgb = light()[..., None].repeat(3, axis=2)
    rgb[..., 2] = 0
    hr = degrade.LinearReduced(rgb, rgb[..., 1].copy(), 1)
    p_lr = geometry.pixel_centres(Size(CROP.width, CROP.height)) + np.array(CROP[:2])
    seen = hr.at(hr.blurred(hr.rgb, SIGMA), MAPPING.lr_to_hr(p_lr))
    lr = LrCrop(seen, seen[..., 1], np.ones(seen.shape[:2], bool), CROP, SCALE, POSITIONS)
    assert np.isnan(measure_chromatic_aberration(hr, lr, MAPPING, SIGMA).k_b)
