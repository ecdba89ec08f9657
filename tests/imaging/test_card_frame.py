"""White borders and the desk are cut off a crop, up to a straight edge; a picture without them stays whole."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from d2crealsr import opencv
from d2crealsr.imaging import geometry
from d2crealsr.imaging.card_frame import within_picture
from d2crealsr.imaging.degrade import LinearReduced, reduced
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.types import Crop, Size

LR = Size(600, 400)
CROP = Crop(256, 172, 88, 56)
"""The crop of an HR frame of 1200x800 px at x8, which lies in the middle of LR."""


def noise(seed: int, cell: int, low: int, high: int) -> np.ndarray:
    """A picture of blobs, as large as LR."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(low, high, (LR.height // cell + 2, LR.width // cell + 2, 3)).astype(np.float32)
    return opencv.resize(coarse, LR, "cubic")


def shot(picture: Crop, border: int, turn: float = 0.0, paper: float = 235.0) -> np.ndarray:
    """LR with a picture on a card with a border, on a brown desk."""
    scene = noise(1, 6, 60, 80) * np.array([1.1, 1.0, 0.7], np.float32)
    x, y = np.meshgrid(np.arange(LR.width), np.arange(LR.height))
    cx, cy = picture.x + (picture.width - 1) / 2, picture.y + (picture.height - 1) / 2
    u = np.cos(turn) * (x - cx) + np.sin(turn) * (y - cy)
    v = -np.sin(turn) * (x - cx) + np.cos(turn) * (y - cy)
    out = np.maximum(np.abs(u) - picture.width / 2, np.abs(v) - picture.height / 2)
    scene[out < border] = paper
    scene[out < 0] = noise(2, 4, 10, 190)[out < 0]
    grain = np.random.default_rng(3).normal(0, 2, scene.shape)
    return np.clip(opencv.blur(scene, 0.8) + grain, 0, 255).round().astype(np.uint8)


def mapping() -> CaptureMapping:
    H = geometry.compose(geometry.translation(225, 150), geometry.inverse(geometry.scaling(8)))
    return CaptureMapping(H_hr_to_lr=H, hr_size=Size(1200, 800), lr_size=LR)


def inside(crop: Crop, picture: Crop) -> bool:
    right, bottom = picture.x + picture.width, picture.y + picture.height
    return (
        crop.x >= picture.x and crop.y >= picture.y and crop.x + crop.width <= right and crop.y + crop.height <= bottom
    )


@pytest.mark.parametrize("turn", [0.0, 0.02])
@pytest.mark.parametrize(("border", "what"), [(20, "white"), (0, "desk")])
def test_what_surrounds_the_picture_is_cut_off(border: int, what: str, turn: float) -> None:
    picture = Crop(262, 179, 74, 44)
    found = within_picture(shot(picture, border, turn), CROP, mapping())
    slack = 1 if turn else 0  # in the corners
    allowed = Crop(picture.x - slack, picture.y - slack, picture.width + 2 * slack, picture.height + 2 * slack)
    assert inside(found, allowed)
    assert found.width * found.height > 0.75 * picture.width * picture.height


def test_a_picture_that_fills_the_crop_stays_whole() -> None:
    picture = Crop(236, 160, 128, 80)
    assert within_picture(shot(picture, 8), CROP, mapping()) == CROP
    sky = shot(picture, 8)
    sky[160:190, 236:364] = 220  # a pale sky that ends at a straight horizon
    assert within_picture(sky, CROP, mapping()) == CROP


def test_an_irregular_edge_is_not_taken_for_a_border() -> None:
    hand = shot(Crop(236, 160, 128, 80), 8)
    y, x = np.mgrid[: LR.height, : LR.width]
    hand[(y < 182 + 6 * np.sin(x / 7)) & (np.abs(x - 300) < 64) & (y > 160)] = 235
    assert within_picture(hand, CROP, mapping()) == CROP


def test_an_empty_crop_stays_empty() -> None:
    assert within_picture(shot(Crop(262, 179, 74, 44), 8), Crop(300, 200, 0, 0), mapping()) == Crop(300, 200, 0, 0)


def painted(lr: np.ndarray, where: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """A thing of one colour in LR, as soft as the rest."""
    image = lr.astype(np.float32)
    image[where] = colour
    return np.clip(opencv.blur(image, 0.8), 0, 255).round().astype(np.uint8)


def reach(crop: Crop, turn: float, middle: tuple[float, float]) -> tuple[float, float]:
    """How far a crop reaches from the middle of a turned card, along the card's rows and across them."""
    x, y = np.meshgrid(np.arange(crop.x, crop.x + crop.width), np.arange(crop.y, crop.y + crop.height))
    dx, dy = x - middle[0], y - middle[1]
    along, across = np.cos(turn) * dx + np.sin(turn) * dy, np.cos(turn) * dy - np.sin(turn) * dx
    return float(np.abs(along).max()), float(np.abs(across).max())


def test_a_card_that_is_turned_by_seven_degrees_is_cut_within() -> None:
    picture, turn = Crop(262, 179, 74, 44), 0.12
    found = within_picture(shot(picture, 20, turn), CROP, mapping())
    along, across = reach(found, turn, (298.5, 200.5))
    assert along <= 37
    assert across <= 22
    assert found.width * found.height > 0.5 * picture.width * picture.height


@pytest.mark.parametrize("degrees", [-17, 13])
def test_a_card_that_is_turned_far_is_sought_in_a_turned_view(degrees: float) -> None:
    picture, turn = Crop(262, 179, 74, 44), np.radians(degrees)
    found = within_picture(shot(picture, 20, turn), CROP, mapping())
    along, across = reach(found, turn, (298.5, 199.5))
    assert along <= 37.5
    assert across <= 22.5
    assert found.width * found.height > 0.4 * picture.width * picture.height


@cache
def discs() -> np.ndarray:
    """A cloth printed with discs of all colours, as large as LR."""
    rng, cloth = np.random.default_rng(5), np.full((LR.height, LR.width, 3), 110, np.float32)
    for x, y, size in rng.uniform(0, [LR.width, LR.height, 1], (2000, 3)):
        r = 12 * (0.3 + size)
        rows, columns = (slice(max(0, int(at - r)), int(at + r) + 1) for at in (y, x))
        v, u = np.ogrid[rows.start : min(rows.stop, LR.height), columns.start : min(columns.stop, LR.width)]
        cloth[rows, columns][np.hypot(u - x, v - y) < r] = rng.uniform(10, 220, 3)
    return cloth


def on_print(picture: Crop, drawn: np.ndarray | None = None) -> np.ndarray:
    """LR with a picture on a cloth that has all of its colours, with something pale drawn on the picture."""
    scene = discs().copy()
    smaller = opencv.resize(discs(), Size(LR.width // 2, LR.height // 2), "area").mean(axis=2, keepdims=True)
    scene[picture.y :, picture.x :][: picture.height, : picture.width] = smaller[: picture.height, : picture.width]
    if drawn is not None:
        scene[drawn] = 170
    return np.clip(opencv.blur(scene, 0.8), 0, 255).round().astype(np.uint8)


def test_edges_that_both_shots_show_stand_in_for_colours() -> None:
    picture = Crop(262, 179, 74, 44)
    lr = on_print(picture)
    found = within_picture(lr, CROP, mapping(), hr_of(lr))
    assert inside(found, picture)
    assert found.width * found.height > 0.75 * picture.width * picture.height
    assert within_picture(lr, CROP, mapping()) == CROP


def test_a_frame_that_a_picture_shows_is_none_on_a_printed_cloth_either() -> None:
    card = Crop(236, 160, 128, 80)
    y, x = np.mgrid[: LR.height, : LR.width]
    out = np.maximum(np.abs(x - 299.5) - 36, np.abs(y - 199.5) - 20)
    for drawn in (out < 0, (out > 0) & (out < 4)):  # an even picture in the picture, and a broad line
        lr = on_print(card, drawn)
        assert within_picture(lr, CROP, mapping(), hr_of(lr)) == CROP


def test_the_whole_frame_is_cut_too() -> None:
    picture = Crop(262, 179, 74, 44)
    assert inside(within_picture(shot(picture, 0), Crop(226, 151, 148, 98), mapping()), picture)


def test_a_finger_over_the_side_of_the_card_is_left_out() -> None:
    whole = shot(Crop(236, 160, 128, 80), 0)
    y, x = np.mgrid[: LR.height, : LR.width]
    finger = ((np.abs(x - 305) < 7) & (y < 180) & (y > 110)) | (np.hypot(x - 305, y - 180) < 7)
    found = within_picture(painted(whole, finger, (205, 150, 120)), CROP, mapping())
    assert not finger[found.y : found.y + found.height, found.x : found.x + found.width].any()
    assert found.width * found.height > 0.65 * CROP.width * CROP.height
    beside = finger & (y < 158)  # something that ends at the card
    assert within_picture(painted(whole, beside, (205, 150, 120)), CROP, mapping()) == CROP


def test_what_is_in_one_shot_alone_is_left_to_qa() -> None:
    """A sheet whose edge is the straightest line in LR, and which HR shows as well or not."""
    whole = shot(Crop(236, 160, 128, 80), 0)
    under_sheet = painted(whole, np.mgrid[: LR.height, : LR.width][1] < 275, (150, 160, 170))
    found = [within_picture(under_sheet, CROP, mapping(), hr_of(lr)) for lr in (under_sheet, whole)]
    assert found[0].x >= 275
    assert found[1] == CROP


def hr_of(lr: np.ndarray) -> LinearReduced:
    """HR of the mapping, as far as LR shows it."""
    return reduced(opencv.as_image(opencv.resize(lr[150:250, 225:375], Size(1200, 800), "cubic")), 8, "srgb")


def test_a_frame_that_the_picture_shows_is_no_border() -> None:
    whole = shot(Crop(236, 160, 128, 80), 0)
    y, x = np.mgrid[: LR.height, : LR.width]
    out = np.maximum(np.abs(x - 299.5) - 36, np.abs(y - 199.5) - 20)
    for colour in ((240, 240, 240), (10, 10, 10)):
        assert within_picture(painted(whole, (out > 0) & (out < 4), colour), CROP, mapping()) == CROP


def test_nothing_is_cut_where_lr_does_not_show_the_desk() -> None:
    lr = shot(Crop(236, 160, 128, 80), 8)[150:250, 225:375]
    H = geometry.inverse(geometry.scaling(8))
    close = CaptureMapping(H_hr_to_lr=H, hr_size=Size(1200, 800), lr_size=Size(150, 100))
    crop = Crop(CROP.x - 225, CROP.y - 150, CROP.width, CROP.height)
    assert within_picture(lr, crop, close) == crop
