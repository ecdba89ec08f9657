"""Every class of bad pair is rejected, each for its reason (bad: design, section 9).

Two kinds of bad: captures that no alignment makes a pair of, and mappings that are wrong. The second kind is made by
publishing a known mapping moved by a known amount; nothing is registered, so what QA sees is what it would see if
registration had been that wrong.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from d2crealsr import align, opencv
from d2crealsr.align import Alignment, align_pair
from d2crealsr.imaging import geometry, photometry
from d2crealsr.imaging.crop import choose_crop
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.imaging.placement import Placement
from d2crealsr.registration import locate
from d2crealsr.registration.refine import Refinement
from d2crealsr.registration.sift import Registration
from d2crealsr.simulate import NUISANCES, Recipe, SimulateSettings, shoot
from d2crealsr.simulate.recipe import stream
from d2crealsr.simulate.session import draw_session
from d2crealsr.truth.mapping_error import mapping_error
from d2crealsr.types import AlignmentFailure, Crop, Size, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2crealsr.simulate import Scene
    from d2crealsr.types import Image

    Outcome = Alignment | AlignmentFailure
    Judge = Callable[[Image, Image, CaptureMapping], Outcome]

SCALE, SEED = 8, 7401
MINI, MIDDLE = Size(1200, 800), Size(1800, 1200)
"""Captures of 24 and of 35 blocks: the second is enough to see where a pattern of displacements is worst."""


@cache
def made(size: Size, *nuisances: str, **changes: Any) -> Scene:
    """A card of dead leaves, its drawn numbers changed: those of the LR shot by name, the session's after ``all_``."""
    session = draw_session(stream("session", SEED, 0), size, SCALE)
    for name in nuisances:
        session = NUISANCES[name].change(session, stream(name, SEED, 0))
    of_all = {name.removeprefix("all_"): value for name, value in changes.items() if name.startswith("all_")}
    of_lr = {name: value for name, value in changes.items() if not name.startswith("all_")}
    session = dataclasses.replace(session, lr=dataclasses.replace(session.lr, **of_lr), **of_all)
    recipe = Recipe(scene="bad", group="bad", generator="leaves", texture_seed=SEED, capture_seed=SEED)
    return shoot(recipe, SimulateSettings(size="mini"), session=session)


def truth_of(scene: Scene) -> CaptureMapping:
    session = scene.truth.session
    return CaptureMapping(H_hr_to_lr=scene.truth.H_hr_to_lr, hr_size=session.size, lr_size=session.size)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Judge:
    """``judged(hr, lr, mapping)``: the whole of ``align_pair``, but for registration, which is sure of ``mapping``."""

    def judge(hr: Image, lr: Image, mapping: CaptureMapping) -> Outcome:
        H = mapping.H_hr_to_lr
        stage = Stage(iteration=1, stage="sift", H_hr_to_lr=H, n_inliers=99, sigma_blur_hr_px=9.0)
        monkeypatch.setattr(align, "register", lambda *_, **__: Registration(H, (stage,)))
        refinement = Refinement(
            mapping=mapping, sigma_blur_hr_px=9.0, phase=None, converged=True, covariance=np.zeros((9, 9))
        )
        monkeypatch.setattr(locate, "refine", lambda *_, **__: refinement)
        return align_pair(hr, lr)

    return judge


def reasons_of(outcome: Outcome) -> set[str]:
    return {outcome.reason} if isinstance(outcome, AlignmentFailure) else set(outcome.reasons)


# Mappings that are wrong


def displacement(kind: str, hr_px: float, crop: Crop) -> np.ndarray:
    """Homography between LR positions whose worst point over a crop is ``hr_px`` off: in a corner, or everywhere."""
    width, height = crop.width - 1, crop.height - 1
    share = hr_px / SCALE / (np.hypot(width, height) / 2)
    D = np.eye(3)
    if kind == "shift":
        D[:2, 2] = hr_px / SCALE * np.array([0.6, -0.8])
    elif kind == "scale":
        D[0, 0] = D[1, 1] = 1 + share
    elif kind == "rotation":
        D[0, 1], D[1, 0] = -share, share
    elif kind == "shear":
        D[0, 1] = hr_px / SCALE / (height / 2)
    else:
        D[2, 0] = share / (width / 2)
    middle = np.array([crop.x + width / 2, crop.y + height / 2])
    return geometry.compose(geometry.translation(*middle), D, geometry.translation(*-middle))


def moved(true: CaptureMapping, kind: str, hr_px: float, crop: Crop) -> CaptureMapping:
    """The true mapping with an error of one kind."""
    if kind == "radial":
        bent = dataclasses.replace(true, k1_hr=1e-3)
        return dataclasses.replace(true, k1_hr=1e-3 * hr_px / mapping_error(Placement(bent, crop, SCALE), true).maximum)
    D = displacement(kind, hr_px, crop)
    return dataclasses.replace(true, H_hr_to_lr=geometry.compose(geometry.inverse(D), true.H_hr_to_lr))


def test_the_true_mapping_is_accepted(judged: Judge) -> None:
    """Without which the tests below would say nothing."""
    for size in (MINI, MIDDLE):
        scene = made(size)
        outcome = judged(scene.hr, scene.lr, truth_of(scene))
        assert reasons_of(outcome) == set()
        assert outcome.residual_shape == "random"


def published_with_an_error(judged: Judge, kind: str, hr_px: float) -> Alignment:
    scene = made(MIDDLE)
    true = truth_of(scene)
    outcome = judged(scene.hr, scene.lr, moved(true, kind, hr_px, choose_crop(true, SCALE, "default")))
    assert isinstance(outcome, Alignment)
    assert mapping_error(outcome.estimate.placement, true).maximum == pytest.approx(hr_px, rel=0.05)
    return outcome


@pytest.mark.parametrize(
    ("kind", "hr_px"),
    [("shift", 1.1), ("scale", 1.8), ("rotation", 1.8), ("shear", 2.5), ("perspective", 5.0), ("radial", 8.0)],
)
def test_a_mapping_that_is_wrong_is_rejected(judged: Judge, kind: str, hr_px: float) -> None:
    """By the median of the blocks: an error that grows towards the corners is caught once it is large at half way."""
    assert "residual_too_large" in published_with_an_error(judged, kind, hr_px).reasons


@pytest.mark.parametrize("kind", ["scale", "rotation", "shear", "perspective", "radial"])
def test_a_worst_point_just_over_a_pixel_is_rejected(judged: Judge, kind: str) -> None:
    """Where it is in a corner alone, neither the median nor the 95th percentile of the blocks shows it."""
    assert "residual_too_large" in published_with_an_error(judged, kind, 1.3).reasons


SHAPES = {"shift": "uniform", "scale": "affine", "rotation": "affine", "shear": "affine", "perspective": "affine"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*SHAPES, "radial"])
def test_its_worst_point_is_known(judged: Judge, kind: str) -> None:
    """The pattern that is named, and the displacement that it comes to at its worst."""
    outcome = published_with_an_error(judged, kind, 1.5)
    assert outcome.residual_shape == SHAPES.get(kind, "radial")
    assert outcome.statistics["residual_worst_hr_px"] == pytest.approx(1.5, rel=0.25)


@pytest.mark.parametrize("hr_px", [1.6, 6.0])
def test_a_part_of_the_card_that_was_lifted(judged: Judge, hr_px: float) -> None:
    """A bend over a seventh of the crop, which no mapping follows."""
    scene = made(MIDDLE)
    x, y = np.moveaxis(geometry.pixel_centres(MIDDLE), -1, 0)
    bend = hr_px * np.exp(-((x - 1050) ** 2 + (y - 660) ** 2) / (2 * 130**2))
    hr = opencv.remap(scene.hr, (x + bend).astype(np.float32), y.astype(np.float32), "cubic")
    assert "residual_too_large" in judged(opencv.as_image(hr), scene.lr, truth_of(scene)).reasons


# Captures that are no pair


class Captures(NamedTuple):
    """Two captures, and the mapping they would have if they were a pair."""

    hr: Image
    lr: Image
    true: CaptureMapping


def of(scene: Scene) -> Captures:
    return Captures(scene.hr, scene.lr, truth_of(scene))


def smeared(image: Image, px: int) -> Image:
    """Motion blur along a diagonal, its centre where it was."""
    kernel = np.eye(px, dtype=np.float32) / px
    return opencv.as_image(np.clip(np.rint(opencv.filter2d(image.astype(np.float32), kernel)), 0, 255).astype(np.uint8))


def defocused(image: Image, sigma: float) -> Image:
    return opencv.as_image(np.clip(np.rint(opencv.blur(image.astype(np.float32), sigma)), 0, 255).astype(np.uint8))


def covered(share: float) -> Captures:
    """A sticker on the card in HR that covers a share of the crop."""
    scene = made(MINI)
    hr, side = scene.hr.copy(), round(np.sqrt(share * 0.576**2 * MINI.width * MINI.height))
    hr[300 : 300 + side, 500 : 500 + side] = (90, 70, 60)
    return Captures(opencv.as_image(hr), scene.lr, truth_of(scene))


def cut_off(lr_px: int) -> Captures:
    """LR ends some pixels right of the card's middle."""
    scene = made(MINI)
    right = int(truth_of(scene).hr_centre_in_lr[0]) + lr_px
    return Captures(scene.hr, opencv.as_image(np.ascontiguousarray(scene.lr[:, :right])), truth_of(scene))


def with_captures(change_hr: Callable[[Image], Image] | None, change_lr: Callable[[Image], Image] | None) -> Captures:
    scene = made(MINI)
    hr, lr = (image if f is None else f(image) for f, image in ((change_hr, scene.hr), (change_lr, scene.lr)))
    return Captures(hr, lr, truth_of(scene))


def overexposed(scene: Scene, stops: float) -> Scene:
    """The scene with an HR that was exposed longer: by the captures' own light, above white nothing is left."""
    light = photometry.to_linear(scene.hr, "srgb") * np.float32(2**stops)
    return dataclasses.replace(scene, hr=photometry.quantised(light, "srgb", scene.hr.dtype))


def saturated(image: Image, share: float) -> Image:
    """The picture with this share of its saturation, stored as a camera would."""
    luma = (image @ photometry.JPEG_LUMA)[..., None]
    pixels = np.clip(np.rint(luma + share * (image - luma)), 0, 255).astype(np.uint8)
    return opencv.as_image(opencv.decode(opencv.encode_jpeg(pixels)))


def black_and_white(image: Image) -> Image:
    return saturated(image, 0.0)


def other_camera(image: Image) -> Image:
    """As developed without the correction of its sensor's colours; grey stays grey."""
    matrix = np.array([[0.75, 0.20, 0.05], [0.12, 0.78, 0.10], [0.02, 0.22, 0.76]], np.float32)
    return photometry.quantised(photometry.to_linear(image, "srgb") @ matrix.T, "srgb", image.dtype)


def noise(image: Image) -> Image:
    return opencv.as_image(np.random.default_rng(0).integers(0, 256, image.shape, dtype=np.uint8))


def mirrored(image: Image) -> Image:
    return opencv.as_image(np.ascontiguousarray(image[:, ::-1]))


def tilt_by(degrees: float) -> float:
    return made(MINI).truth.session.lr.tilt_x + degrees


NO_PAIR: dict[str, tuple[Callable[[], Captures], set[str]]] = {
    "another card": (lambda: of(made(MINI, "wrong-scene")), {"too_few_matches", "not_same_scene"}),
    "noise in place of LR": (lambda: with_captures(None, noise), {"too_few_matches", "not_same_scene"}),
    "a mirrored card": (lambda: with_captures(None, mirrored), {"too_few_matches", "not_same_scene"}),
    "one pattern over and over": (lambda: of(made(MINI, "repetition")), {"too_few_matches"}),
    "nearly no texture": (lambda: of(made(MINI, "low-texture")), {"low_texture"}),
    "a sheet over part of the card": (lambda: of(made(MINI, "occlusion")), {"content_mismatch"}),
    "a glare": (lambda: of(made(MINI, "glare")), {"content_mismatch"}),
    "a sticker on 2.5 % of the crop": (lambda: covered(0.025), {"content_mismatch"}),
    "LR clipped": (lambda: of(made(MINI, exposure=8.0)), {"too_few_matches", "low_texture", "clipped"}),
    "HR clipped": (lambda: of(overexposed(made(MINI), 1.5)), {"clipped"}),
    "HR in black and white": (lambda: with_captures(black_and_white, None), {"colour_mismatch"}),
    "LR in black and white": (lambda: with_captures(None, black_and_white), {"colour_mismatch"}),
    "HR with little saturation": (lambda: with_captures(lambda hr: saturated(hr, 0.3), None), {"colour_mismatch"}),
    "red and blue exchanged in HR": (lambda: with_captures(lambda hr: hr[..., ::-1], None), {"colour_mismatch"}),
    "red and green exchanged in LR": (lambda: with_captures(None, lambda lr: lr[..., [1, 0, 2]]), {"colour_mismatch"}),
    "HR with another camera's colours": (lambda: with_captures(other_camera, None), {"colour_mismatch"}),
    "LR black": (lambda: of(made(MINI, exposure=0.003)), {"too_few_matches", "low_texture"}),
    "LR out of focus": (
        lambda: with_captures(None, lambda lr: defocused(lr, 5.0)),
        {"too_few_matches", "low_texture", "position_uncertain", "residual_too_large"},
    ),
    "HR out of focus": (
        lambda: with_captures(lambda hr: defocused(hr, 20.0), None),
        {"too_few_matches", "low_texture", "position_uncertain", "residual_too_large"},
    ),
    "LR camera moved while it exposed": (
        lambda: with_captures(None, lambda lr: smeared(lr, 11)),
        {"too_few_matches", "low_texture", "position_uncertain", "residual_too_large"},
    ),
    "HR camera moved while it exposed": (
        lambda: with_captures(lambda hr: smeared(hr, 81), None),
        {"too_few_matches", "low_texture", "position_uncertain", "residual_too_large"},
    ),
    "a bowed card and a camera that moved": (
        lambda: of(made(MIDDLE, tilt_x=tilt_by(12), all_bow_mm=3.0)),
        {"residual_too_large"},
    ),
    "LR camera tilted by 25 degrees": (lambda: of(made(MINI, tilt_x=tilt_by(25))), {"implausible_homography"}),
    "zoomed too little": (lambda: of(made(MINI, all_zoom=6.5)), {"scale_mismatch"}),
    "zoomed too far": (lambda: of(made(MINI, all_zoom=11.0)), {"scale_mismatch"}),
    "the card ends outside of LR": (lambda: cut_off(12), {"crop_too_small"}),
}


@pytest.mark.parametrize("name", NO_PAIR)
def test_captures_that_are_no_pair(name: str) -> None:
    make, allowed = NO_PAIR[name]
    captures = make()
    found = reasons_of(align_pair(captures.hr, captures.lr))
    assert found & allowed, found


def test_two_captures_in_black_and_white_are_a_pair() -> None:
    captures = with_captures(black_and_white, black_and_white)
    outcome = align_pair(captures.hr, captures.lr)
    assert reasons_of(outcome) == set()
    assert isinstance(outcome, Alignment)
    assert outcome.statistics["colour_ratio"] < 0.01


def test_other_gains_of_the_channels_are_no_other_colours() -> None:
    """White balance is matched. What is left is as small as between captures with one white balance."""
    captures = with_captures(None, lambda lr: balanced(lr, (0.85, 1.0, 1.1)))
    outcome = align_pair(captures.hr, captures.lr)
    assert reasons_of(outcome) == set()
    assert isinstance(outcome, Alignment)
    assert outcome.statistics["colour_ratio"] < 0.15


def balanced(image: Image, gains: tuple[float, float, float]) -> Image:
    light = photometry.to_linear(image, "srgb") * np.array(gains, np.float32)
    return photometry.quantised(light, "srgb", image.dtype)


def test_what_is_clipped_in_hr_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Part of the crop is clipped. The mapping is wrong by more where nobody masks it."""
    scene = overexposed(made(MINI), 1.0)
    true = truth_of(scene)
    masked = align_pair(scene.hr, scene.lr)
    monkeypatch.setattr(photometry, "reduced_clipping", lambda *_: None)
    blind = align_pair(scene.hr, scene.lr)
    assert isinstance(masked, Alignment)
    assert isinstance(blind, Alignment)
    assert masked.statistics["hr_clipped_fraction"] == pytest.approx(share_clipped(scene, masked), abs=0.01)
    assert blind.statistics["hr_clipped_fraction"] == 0
    worse = [mapping_error(each.estimate.placement, true).mean for each in (masked, blind)]
    assert worse[0] < 0.8 * worse[1]
    assert masked.statistics["sigma_hr_px"] < blind.statistics["sigma_hr_px"]


def share_clipped(scene: Scene, found: Alignment) -> float:
    """Share of the published part of the HR capture that is saturated, pixel by pixel."""
    crop = found.crop
    corners = geometry.corners(Size(crop.width, crop.height)) + np.array([crop.x, crop.y])
    p_hr = truth_of(scene).lr_to_hr(corners)
    left, top = np.ceil(p_hr.min(axis=0)).astype(int)
    right, bottom = np.floor(p_hr.max(axis=0)).astype(int)
    return float((scene.hr[top:bottom, left:right] >= 250).any(axis=2).mean())


NOT_TO_BE_FOOLED = {
    "another card": {"not_same_scene"},
    "noise in place of LR": {"not_same_scene"},
    "nearly no texture": {"low_texture"},
    "LR clipped": {"clipped"},
    "LR black": {"low_texture", "not_same_scene"},
    "a sticker on 2.5 % of the crop": {"content_mismatch"},
}


@pytest.mark.parametrize("name", NOT_TO_BE_FOOLED)
def test_qa_sees_it_even_where_registration_is_sure(judged: Judge, name: str) -> None:
    """Registration need not fail first: QA rejects by itself, told the mapping that the right captures would have."""
    captures = NO_PAIR[name][0]()
    found = reasons_of(judged(*captures))
    assert found & NOT_TO_BE_FOOLED[name], found


@pytest.mark.parametrize(("sigma", "sharper", "rejected"), [(1.0, True, False), (8.0, True, True), (12.0, False, True)])
def test_an_hr_without_detail_of_its_own_is_rejected(sigma: float, sharper: bool, rejected: bool) -> None:
    """It is found, but there is nothing to learn from it. LR's own blur is about 6 HR px."""
    captures = with_captures(lambda hr: defocused(hr, sigma), None)
    outcome = align_pair(captures.hr, captures.lr)
    assert ("hr_not_sharper" in reasons_of(outcome)) == rejected
    assert isinstance(outcome, Alignment)
    assert (outcome.statistics["sharpness_ratio"] > 1) == sharper


def test_a_bowed_card_and_a_camera_that_moved_are_more_than_a_pixel_off() -> None:
    scene = made(MIDDLE, tilt_x=tilt_by(12), all_bow_mm=3.0)
    assert scene.truth.bow_shift_max_hr_px > 1.5
