"""Lateral chromatic aberration of a known size is measured with its sign; without any, none is believed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy import ndimage

from d2crealsr.imaging import degrade, geometry
from d2crealsr.imaging.placement import Placement
from d2crealsr.registration.chromatic import ChromaticAberration, measure_chromatic_aberration, without_aberration
from d2crealsr.types import Crop, Size

SCALE = 8
HR, CROP = Size(1440, 1080), Crop(25, 19, 130, 97)
MAPPING = geometry.CaptureMapping(
    H_hr_to_lr=geometry.inverse(geometry.scaling(SCALE)), hr_size=HR, lr_size=Size(180, 135)
)
PLACEMENT = Placement(MAPPING, CROP, SCALE)


@lru_cache(maxsize=1)
def picture(seed: int) -> np.ndarray:
    """Blobs of three colours that have something, but not everything, in common."""
    rng = np.random.default_rng(seed)
    shape = (HR.height, HR.width)
    smooth = [ndimage.gaussian_filter(rng.standard_normal(shape), 5, mode="wrap") for _ in range(4)]
    common, *own = (plane / plane.std() for plane in smooth)
    return np.stack([0.4 + 0.05 * common + 0.004 * plane for plane in own], axis=-1)


@lru_cache(maxsize=3)
def captured(k_r: float, k_b: float, seed: int, noise: float) -> np.ndarray:
    """A picture, red and blue magnified about the frame's centre, noisy."""
    ideal = picture(seed)
    centre = geometry.frame_centre(HR)
    rgb = np.empty_like(ideal)
    for channel, k in enumerate((k_r, 0.0, k_b)):
        if k == 0.0:
            rgb[..., channel] = ideal[..., channel]
            continue
        x, y = (geometry.pixel_centres(HR) - centre).transpose(2, 0, 1) / (1 + k) + centre[:, None, None]
        rgb[..., channel] = ndimage.map_coordinates(ideal[..., channel], [y, x], order=3, mode="nearest")
    return rgb + np.random.default_rng([seed, 1]).normal(0, noise, rgb.shape)


def seen_through(
    k_r: float, k_b: float, *, seed: int = 0, noise: float = 0.004, factor: int = 4
) -> degrade.LinearReduced:
    """A captured picture, averaged as the HR capture is."""
    rgb = captured(k_r, k_b, seed, noise)
    rgb = rgb.reshape(HR.height // factor, factor, HR.width // factor, factor, 3).mean(axis=(1, 3)).astype(np.float32)
    return degrade.LinearReduced(rgb, rgb @ np.array([0.2126, 0.7152, 0.0722], np.float32), factor)


@pytest.mark.parametrize("k", [(5e-4, -5e-4), (-1.2e-3, 4e-4), (0.0, 8e-4)])
@pytest.mark.parametrize("factor", [4, 2, 1])
def test_red_and_blue_are_found_where_the_lens_has_put_them(k: tuple[float, float], factor: int) -> None:
    found = measure_chromatic_aberration(seen_through(*k, factor=factor), PLACEMENT)
    np.testing.assert_allclose((found.k_r, found.k_b), k, atol=6e-5, rtol=0.03)
    np.testing.assert_allclose(found.at(500.0), np.array((found.k_r, found.k_b)) * 500)
    np.testing.assert_allclose(found.believed(), k, atol=6e-5, rtol=0.05)


@pytest.mark.slow
def test_a_perfect_lens_is_left_alone_and_the_error_is_what_noise_does() -> None:
    found = [measure_chromatic_aberration(seen_through(0, 0, seed=seed, noise=0.03), PLACEMENT) for seed in range(6)]
    assert {one.believed() for one in found} == {(0.0, 0.0)}
    measured = np.array([[one.k_r, one.k_b] for one in found])
    predicted = np.array([[one.error_r, one.error_b] for one in found])
    assert 0.1 < np.sqrt(np.mean(measured**2) / np.mean(predicted**2)) < 1.2


def test_what_is_corrected_is_gone() -> None:
    k = (9e-4, -6e-4)
    after = measure_chromatic_aberration(without_aberration(seen_through(*k), k), PLACEMENT)
    assert np.abs([after.k_r, after.k_b]).max() < 8e-5


def test_what_is_uncertain_is_shrunk_or_not_believed() -> None:
    certain = ChromaticAberration(5e-4, -5e-4, 1e-6, 1e-6).believed()
    np.testing.assert_allclose(certain, (5e-4, -5e-4), rtol=1e-4)
    red, blue = ChromaticAberration(8e-4, 3e-4, 1.2e-4, 1e-4).believed()
    assert 0.9 < red / 8e-4 < 0.97
    assert blue == 0.0
    assert ChromaticAberration(8e-4, 3e-4, 1e-6, 2e-4).believed() == (0.0, 0.0)
    assert ChromaticAberration(float("nan"), 0.02, float("nan"), 1e-6).believed() == (0.0, 0.0)


@pytest.mark.parametrize("blank", ["blue", "unrelated", "small"])
def test_where_nothing_can_be_told_nothing_is(blank: str) -> None:
    hr = seen_through(5e-4, 5e-4)
    if blank == "blue":
        hr.rgb[..., 2] = 0
    elif blank == "unrelated":
        hr.rgb[..., 2] = seen_through(5e-4, 5e-4, seed=9).rgb[::-1, ::-1, 2] * 0.5
    found = measure_chromatic_aberration(
        hr, PLACEMENT if blank != "small" else Placement(MAPPING, Crop(80, 60, 32, 32), SCALE)
    )
    assert found.believed() == (0.0, 0.0)
    if blank != "unrelated":
        assert np.isnan(found.k_b)
    if blank != "small":
        assert found.k_r == pytest.approx(5e-4, abs=6e-5)
