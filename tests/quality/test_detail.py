"""The scale up to which HR holds detail: known by construction, whatever sharpening, compression and noise do to it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from d2crealsr import opencv
from d2crealsr.quality import verdict
from d2crealsr.quality.detail import detail_scale
from d2crealsr.settings import AlignSettings
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2crealsr.types import Image

SCALE = 8
SIZE = Size(64 * SCALE, 48 * SCALE)


@cache
def picture(seed: int = 1) -> Image:
    """Overlapping discs of all sizes: sharp edges in all directions, as in nature (dead leaves)."""
    rng = np.random.default_rng(seed)
    fine = np.full((4 * SIZE.height, 4 * SIZE.width, 3), 128, np.uint8)
    radii = np.minimum(16 * rng.random(5000) ** -0.5, 400)
    centres = rng.random((5000, 2)) * (fine.shape[1], fine.shape[0])
    opencv.draw_discs(fine, centres, radii, rng.integers(30, 226, (5000, 3)).astype(np.uint8))
    return opencv.as_image(opencv.resize(fine, SIZE, "area"))


def blurred(image: Image, sigma: float) -> Image:
    return rounded(opencv.blur(image.astype(np.float32), sigma))


def rounded(values: np.ndarray) -> Image:
    return opencv.as_image(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def sharpened(image: Image, radius: float) -> Image:
    value = image.astype(np.float32)
    return rounded(value + 2 * (value - opencv.blur(value, radius)))


def compressed(image: Image, quality: int = 90) -> Image:
    return opencv.as_image(opencv.decode(opencv.encode_jpeg(image, quality)))


def noisy(image: Image) -> Image:
    return rounded(image + np.random.default_rng(2).normal(0, 2, image.shape))


def shot_from_afar(share: float) -> Image:
    """The picture with 1/share of the pixels, blurred and noisy as a camera's."""
    small = Size(*(round(side / share) for side in SIZE))
    return noisy(blurred(opencv.as_image(opencv.resize(picture(), small, "area")), 0.8))


def enlarged(share: float, kernel: opencv.Interpolation) -> Image:
    return opencv.as_image(opencv.resize(shot_from_afar(share), SIZE, kernel))


@pytest.mark.parametrize("kernel", ["nearest", "linear", "cubic", "lanczos4"])
@pytest.mark.parametrize("share", [8, 4])
def test_an_enlarged_picture_holds_no_more_than_before(share: int, kernel: opencv.Interpolation) -> None:
    bare = enlarged(share, kernel)
    for image in (bare, compressed(bare), sharpened(bare, share / 2), compressed(sharpened(bare, 1.5))):
        assert detail_scale(image, SCALE) <= SCALE / share


@pytest.mark.parametrize("look", [noisy, compressed, lambda image: image, lambda image: image // 2])
def test_a_sharp_picture_holds_detail_at_all_scales(look: Callable[[Image], Image]) -> None:
    shown = look(blurred(picture(), 0.8))
    assert detail_scale(shown, SCALE) > 3
    assert detail_scale(shown.astype(np.uint16) * 257, SCALE) == pytest.approx(detail_scale(shown, SCALE), abs=0.01)
    grey = np.repeat(shown[..., 1:2], 3, axis=2)
    assert detail_scale(opencv.as_image(grey), SCALE) > 3


def test_it_ends_where_a_blur_halves_the_contrast() -> None:
    """A Gaussian of σ px halves the amplitude at .187 / σ cycles per px, and hardly lowers what LR shows."""
    for sigma in (1.0, 2.0):
        assert detail_scale(blurred(picture(), sigma), SCALE) == pytest.approx(2 * SCALE * 0.187 / sigma, rel=0.2)


def test_noise_is_no_detail() -> None:
    """Strong noise in a blurred picture, which a spectrum alone would take for detail."""
    soft = blurred(picture(), 8)
    loud = rounded(soft + np.random.default_rng(3).normal(0, 12, soft.shape))
    assert detail_scale(loud, SCALE) < 1.3


def test_a_picture_of_one_colour_holds_nothing() -> None:
    assert detail_scale(np.full((256, 256, 3), 128, np.uint8), SCALE) == 0


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_the_smallest_crop_is_measured(scale: int) -> None:
    side = 32 * scale
    part = np.ascontiguousarray(blurred(picture(), 0.6)[:side, :side])
    assert 0.3 * scale < detail_scale(part, scale) <= scale


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("sigma", [0.6, 1.2])
def test_ordinary_lenses_hold_what_qa_asks_for_at_small_scales(scale: int, sigma: float) -> None:
    """They record about half of the scale, whatever it is: at ×2 no more than LR could show."""
    (rule,) = (rule for rule in verdict.RULES if rule.statistic == "detail_scale")
    found = detail_scale(noisy(blurred(picture(), sigma)), scale)
    assert not rule.rejects(found, AlignSettings(scale=scale))
    if scale > 2:  # at ×2 the band that LR shows reaches up to HR's own limit, and sharpness_ratio has to judge
        assert rule.rejects(detail_scale(noisy(blurred(picture(), 2 * scale)), scale), AlignSettings(scale=scale))


def test_at_scale_1_there_is_nothing_to_hold() -> None:
    assert detail_scale(picture(), 1) == 1
