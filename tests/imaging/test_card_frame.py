"""White borders and the desk are cut off a crop, up to a straight edge; a picture without them stays whole."""

from __future__ import annotations

import numpy as np
import pytest

from d2crealsr import opencv
from d2crealsr.imaging import geometry
from d2crealsr.imaging.card_frame import within_picture
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
