"""Small objects that only one of the two images shows, and what must not be taken for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from d2crealsr import opencv
from d2crealsr.imaging import photometry
from d2crealsr.imaging.comparison import LrCrop, Shown
from d2crealsr.quality.place import NONE, Place, largest_place, place_in_words
from d2crealsr.settings import AlignSettings
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCALE = 8
CROP = Crop(200, 100, 96, 72)
LIMIT = AlignSettings().max_differing_place
LUMA = photometry.JPEG_LUMA


def picture(seed: int = 0) -> NDArray[np.float32]:
    """Encoded colours with detail down to 2 LR px, (72, 96, 3)."""
    rng = np.random.default_rng(seed)
    made = np.full((CROP.height, CROP.width, 3), 0.5, np.float32)
    for cells in (6, 20, 48):
        noise = rng.normal(0, 0.08, (cells * 3 // 4, cells, 3)).astype(np.float32)
        made += opencv.resize(noise, Size(CROP.width, CROP.height), "cubic")
    return np.clip(made, 0.05, 0.95)


def disc(hr_px: float, x: float = 40.3, y: float = 30.7) -> NDArray[np.float32]:
    """How much of each LR pixel a disc covers as LR sees it, (72, 96, 1)."""
    fine = 8
    columns, rows = ((np.arange(side * fine) + 0.5) / fine - 0.5 for side in (CROP.width, CROP.height))
    inside = (np.hypot(columns[None] - x, rows[:, None] - y) <= hr_px / SCALE / 2).astype(np.float32)
    return opencv.resize(opencv.blur(inside, 1.0 * fine), Size(CROP.width, CROP.height), "area")[..., None]


def seen(lr: NDArray[np.float32], hr: NDArray[np.float32], *, scale: int = SCALE, hr_clipped: bool = False) -> Place:
    pixels = np.rint(255 * np.clip(lr, 0, 1)).astype(np.uint8)
    whole = np.zeros((CROP.y + CROP.height, CROP.x + CROP.width, 3), np.uint8)
    whole[CROP.y :, CROP.x :] = pixels
    crop = LrCrop.of(opencv.as_image(whole), CROP, "srgb", scale=scale)
    return largest_place(crop, Shown(hr.astype(np.float32), np.full(hr.shape[:2], hr_clipped)))


@pytest.mark.parametrize("only_in", ["hr", "lr"])
@pytest.mark.parametrize(
    "added", [(0.15, 0.15, 0.15), (-0.15, -0.15, -0.15), (0.15, -0.0766, 0.0)], ids=["brighter", "darker", "colour"]
)
def test_a_disc_of_36_hr_px_that_differs_by_15_percent_is_found(only_in: str, added: tuple[float, ...]) -> None:
    plain = picture()
    with_disc = plain + disc(36) * np.array(added, np.float32)
    place = seen(plain, with_disc) if only_in == "hr" else seen(with_disc, plain)
    assert LIMIT < place.hr_px < 60
    middle = (place.box.x + (place.box.width - 1) / 2, place.box.y + (place.box.height - 1) / 2)
    assert middle == pytest.approx((CROP.x + 40.3, CROP.y + 30.7), abs=1.1)


def test_the_size_is_that_of_the_object() -> None:
    plain = picture()
    for hr_px in (48, 72, 120):
        assert seen(plain + 0.15 * disc(hr_px), plain).hr_px == pytest.approx(hr_px, abs=14)
    assert seen(plain + 0.15 * disc(16), plain).hr_px < LIMIT


def test_a_disc_at_the_border_of_the_crop_is_found() -> None:
    plain = picture()
    assert seen(plain - 0.25 * disc(48, x=0.0, y=30.0), plain).hr_px > LIMIT


def test_a_thin_strip_is_as_far_across_as_it_is_long() -> None:
    plain = picture()
    dark = plain.copy()
    dark[:, 0] = 0.03
    assert seen(dark, plain).hr_px > 0.7 * CROP.height * SCALE


def test_the_digits_of_a_date_are_one_place() -> None:
    plain = picture()
    strokes = np.zeros((CROP.height, CROP.width, 1), np.float32)
    for left in range(20, 60, 8):
        strokes[60:68, left] = strokes[60:68, left + 4] = strokes[60, left : left + 5] = 1
    stamped = plain + opencv.blur(strokes, 0.6)[..., None] * (np.array([1, 0.6, 0.1], np.float32) - plain)
    assert seen(stamped, plain).box.width > 30


def test_honest_differences_are_no_place() -> None:
    """Displaced by .3 HR px, sharpened, noisy, compressed."""
    plain = picture()
    moved = opencv.warp(plain, np.array([[1, 0, 0.3 / SCALE], [0, 1, 0], [0, 0, 1]]), Size(CROP.width, CROP.height))
    assert seen(moved, plain) == NONE
    assert seen(plain + 0.7 * (plain - opencv.blur(plain, 1.0)), plain).hr_px < LIMIT
    noisy = plain + np.random.default_rng(1).normal(0, 0.06, plain.shape).astype(np.float32)
    assert seen(noisy, plain).hr_px < LIMIT
    coded = opencv.decode(opencv.encode_jpeg(np.rint(255 * plain).astype(np.uint8), 70)).astype(np.float32) / 255
    assert seen(coded, plain).hr_px < LIMIT


def test_a_tone_curve_that_is_not_quite_the_assumed_one_is_no_place() -> None:
    plain = picture()
    assert np.abs(plain**1.3 - plain).max() > 0.07
    assert seen(plain**1.3, plain).hr_px < LIMIT
    assert seen(plain**1.3 + 0.25 * disc(36), plain).hr_px > LIMIT


def test_clipped_pixels_count_only_if_they_contradict() -> None:
    plain = picture()
    assert seen(plain + disc(48), plain).hr_px > LIMIT  # LR is white where HR is not
    too_bright = np.clip(plain * 1.8, 0, 1)
    assert seen(too_bright, too_bright).hr_px == 0
    bright = plain + 0.2 * disc(60)
    assert seen(bright, plain, hr_clipped=True).hr_px == 0  # a clipped HR may have been as bright
    assert seen(plain - 0.2 * disc(60), plain, hr_clipped=True).hr_px > LIMIT


def test_at_scale_one_a_few_pixels_are_no_place() -> None:
    plain = picture()
    dot = plain.copy()
    dot[30:34, 40:44] = 1
    assert seen(dot, plain, scale=1).hr_px < LIMIT
    assert seen(plain + 0.2 * disc(36 * SCALE), plain, scale=1).hr_px > LIMIT


def test_words_say_where() -> None:
    assert place_in_words(3, 4, 5, 6) == "LR shows something else than HR at column 3, row 4 of LR (5x6 LR px)"


def test_parts_of_a_mask_touch_by_their_corners_too() -> None:
    mask = np.zeros((6, 8), np.bool_)
    mask[1, 1] = mask[2, 2] = mask[5, 6] = True
    boxes, areas = opencv.connected(mask)
    assert sorted(map(tuple, boxes.tolist())) == [(1, 1, 2, 2), (6, 5, 1, 1)]
    assert sorted(areas.tolist()) == [1, 2]
    gap = np.zeros((5, 9), np.bool_)
    gap[2, [2, 5]] = True
    assert len(opencv.connected(opencv.close(gap, 1))[1]) == 1
    assert not len(opencv.connected(np.zeros((5, 5), np.bool_))[1])


def test_white_in_both_images_is_no_place_although_darker_parts_have_another_tone_curve() -> None:
    hr = 0.55 * picture()
    lr = hr + 0.4 * (hr - 0.25) ** 2
    for image in (hr, lr):
        image[20:40, 30:60] = 1
    assert seen(lr, hr) == NONE


def test_a_border_that_hr_does_not_explain_is_left_out() -> None:
    grey = np.full((40, 60, 3), 100, np.uint8)
    lr = LrCrop.of(grey, Crop(0, 0, 60, 40), "srgb", scale=8)
    shown = grey.astype(np.float32) / 255
    shown[:, -2:] += 0.3
    there = Shown(shown, np.zeros((40, 60), np.bool_))
    assert largest_place(lr, there).hr_px > 27
    assert largest_place(lr, there, margin=4) == NONE
