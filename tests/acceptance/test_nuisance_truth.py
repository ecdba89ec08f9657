"""Each nuisance switched on in turn: what the manifest says of it against what the simulator made of it.

A scene with a nuisance is the scene without it but for that, so the two are compared. That pairs are aligned all the
same, or rejected, is in `test_nuisances.py`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from d2crealsr.align import Alignment, align_pair
from d2crealsr.simulate import Recipe, SimulateSettings, shoot

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2crealsr.simulate import Scene
    from d2crealsr.truth.mapping_error import MappingError

    Scenes = Callable[..., Scene]
    ErrorOf = Callable[[Alignment, Scene], MappingError]

SEEDS = (2, pytest.param(5, marks=pytest.mark.slow))


def aligned(scene: Scene) -> Alignment:
    """The estimate, whatever QA thinks of it."""
    pair = align_pair(scene.hr, scene.lr)
    assert isinstance(pair, Alignment), pair
    return pair


@pytest.mark.parametrize("seed", SEEDS)
def test_exposure_is_the_gain_of_every_channel(mini_scene: Scenes, error_of: ErrorOf, seed: int) -> None:
    """Four times the light, of which six sevenths clip: what is left must tell the gain, and the position."""
    plain, bright = (mini_scene("leaves", seed, *nuisances) for nuisances in ((), ("lr-exposure-x4",)))
    assert bright.truth.session.lr.exposure == 4 * plain.truth.session.lr.exposure
    before, after = aligned(plain), aligned(bright)
    assert np.divide(after.photometry.gain, before.photometry.gain) == pytest.approx([4, 4, 4], rel=0.07)
    assert after.statistics["brightness_error_after"] < 0.2 * after.statistics["brightness_error_before"]
    assert 0.8 < after.statistics["clipped_fraction"] < 0.95
    assert error_of(after, bright).mean < 0.3


@pytest.mark.parametrize("seed", SEEDS)
def test_vignetting_is_the_illumination_field(mini_scene: Scenes, seed: int) -> None:
    """The tele lens darkens its corners by .08 and .24; of LR's frame the card fills an eighth, where it is even."""
    scene = mini_scene("leaves", seed)
    light = aligned(scene).photometry
    assert light.field_r2 == pytest.approx(scene.truth.session.hr.vignetting, abs=0.02)
    assert abs(light.field_x) < 0.01
    assert abs(light.field_y) < 0.01


@pytest.mark.parametrize("seed", SEEDS)
def test_chromatic_aberration_is_the_displacement_at_the_corner(mini_scene: Scenes, seed: int) -> None:
    """What demosaic and noise seem to displace is there without it too."""
    plain, fringed = (mini_scene("leaves", seed, *nuisances) for nuisances in ((), ("chromatic-aberration",)))
    before, after = aligned(plain), aligned(fringed)
    corner = after.scale * np.hypot(after.crop.width, after.crop.height) / 2
    lens = fringed.truth.session.hr
    for name, share in (("ca_r_hr_px", lens.ca_r), ("ca_b_hr_px", lens.ca_b)):
        displaced = after.statistics[name] - before.statistics[name]
        assert abs(displaced) == pytest.approx(abs(share) * corner, abs=0.03), name
        assert np.sign(displaced) == -np.sign(share), name


@pytest.mark.parametrize("nuisance", ["turned-camera", "rolled"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_turned_camera_is_the_rotation(mini_scene: Scenes, error_of: ErrorOf, seed: int, nuisance: str) -> None:
    scene = mini_scene("leaves", seed, nuisance)
    pair, session = aligned(scene), scene.truth.session
    off = pair.statistics["rotation_deg"] - (session.lr.roll - session.hr.roll)
    assert abs((off + 180) % 360 - 180) < 0.1
    assert error_of(pair, scene).mean < 0.2


@pytest.mark.parametrize("psf_sigma", [0.9, 1.2])
def test_defocus_is_the_blur(mini_scene: Scenes, psf_sigma: float) -> None:
    """Variances add up: LR's own blur, less HR's, in HR px; the pixel's width is the same in both."""
    scene = mini_scene("leaves", 2)
    plain = scene.truth.session
    soft = dataclasses.replace(plain, lr=dataclasses.replace(plain.lr, psf_sigma=psf_sigma))
    recipe = Recipe(scene="soft", group="soft", generator="leaves", texture_seed=2, capture_seed=2)
    blurred = shoot(recipe, SimulateSettings(size="mini"), session=soft)
    before, after = (aligned(each).stages[-1].sigma_blur_hr_px for each in (scene, blurred))
    expected = np.sqrt(before**2 + 64 * (psf_sigma**2 - plain.lr.psf_sigma**2))
    assert after == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("nuisance", ["occlusion", "glare"])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_covers_the_card_is_seen_as_such(mini_scene: Scenes, nuisance: str, seed: int) -> None:
    """Not all of it: a sheet may be as bright as the card, and a glare drowns LR, which then counts as clipped."""
    plain, covered = (mini_scene("leaves", seed, *nuisances) for nuisances in ((), (nuisance,)))
    before, after = aligned(plain).statistics, aligned(covered).statistics
    truth = covered.truth.content_differs_fraction
    assert before["content_differs_fraction"] == plain.truth.content_differs_fraction == 0
    seen = after["content_differs_fraction"] + after["clipped_fraction"] - before["clipped_fraction"]
    assert 0.4 * truth < seen < 1.3 * truth


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bowed_card_is_off_by_its_bow_and_no_more(mini_scene: Scenes, seed: int) -> None:
    """Its homography stays where the flat card's is; what it departs from that the simulator knows."""
    flat, bowed = (mini_scene("leaves", seed, *nuisances) for nuisances in ((), ("bowed-card",)))
    before, after = aligned(flat), aligned(bowed)
    x, y = np.meshgrid(np.linspace(100, 1100, 9), np.linspace(100, 700, 7))
    points = np.stack([x, y], axis=-1)
    off = 8 * np.linalg.norm(mapped(after, points) - mapped(before, points), axis=-1)
    assert 0.01 < off.mean() < bowed.truth.bow_shift_max_hr_px + 0.1


def mapped(pair: Alignment, points: np.ndarray) -> np.ndarray:
    homogeneous = np.concatenate([points, np.ones_like(points[..., :1])], axis=-1) @ pair.H_hr_to_lr.T
    return homogeneous[..., :2] / homogeneous[..., 2:]


@pytest.mark.parametrize("seed", SEEDS)
def test_off_the_middle_of_a_distorting_lr_lens_the_error_bar_says_so(
    mini_scene: Scenes, error_of: ErrorOf, seed: int
) -> None:
    """24 blocks do not tell the lens' distortion from noise; then the pair must not claim to know better."""
    plain, aside = (mini_scene("leaves", seed, *nuisances) for nuisances in ((), ("off-centre-lens",)))
    sure, unsure = (aligned(each).statistics["sigma_hr_px"] for each in (plain, aside))
    assert unsure > 2 * sure
    assert error_of(aligned(aside), aside).mean < 3 * unsure
