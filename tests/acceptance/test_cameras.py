"""Cameras held and turned in every way, and two cameras that have nothing in common. Truth is known each time."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from d2crealsr import opencv
from d2crealsr.align import Alignment, align_pair
from d2crealsr.imaging.crop import choose_crop
from d2crealsr.imaging.geometry import CaptureMapping, scaling, translation
from d2crealsr.simulate import Recipe, SimulateSettings, encode_capture, session_for, shoot
from d2crealsr.store.images import read_header, read_image
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from d2crealsr.simulate import Scene
    from d2crealsr.truth.mapping_error import MappingError
    from d2crealsr.types import Image, Matrix

BOUND_HR_PX = 0.3
MINI = SimulateSettings(size="mini")


def accepted(hr: Image | Path, lr: Image | Path) -> Alignment:
    pair = align_pair(hr, lr)
    assert isinstance(pair, Alignment), pair
    assert pair.accepted, pair.reasons
    return pair


@pytest.mark.parametrize(("hr_flag", "lr_flag"), [(6, 6), (6, 1), (3, 8)])
def test_portrait_captures_stored_in_any_way(
    mini_scene: Callable[..., Scene],
    error_of: Callable[[Alignment, Scene], MappingError],
    tmp_path: Path,
    hr_flag: int,
    lr_flag: int,
) -> None:
    """Files lie as the camera was held; the flag in each says how, and the two need not agree."""
    scene = mini_scene("leaves", 2, "portrait")
    hr, lr = tmp_path / "hr.jpg", tmp_path / "lr.jpg"
    hr.write_bytes(encode_capture(scene.hr, "jpg", hr_flag))
    lr.write_bytes(encode_capture(scene.lr, "jpg", lr_flag))
    header = read_header(hr.read_bytes(), "hr")
    assert (header.width, header.height) == (800, 1200)
    pair = accepted(hr, lr)
    assert pair.crop[2:] == (56, 86)
    assert pair.hr.shape == (86 * 8, 56 * 8, 3)
    assert error_of(pair, scene).mean < BOUND_HR_PX
    assert error_of(pair, scene).maximum < 2 * BOUND_HR_PX


@cache
def turned_scene(quarters: int) -> Scene:
    """The LR camera was turned by quarter turns and no flag says so."""
    recipe = Recipe(scene="turned", group="turned", generator="leaves", texture_seed=4, capture_seed=4)
    session = session_for(recipe, MINI)
    lr = dataclasses.replace(session.lr, roll=session.lr.roll + 90 * quarters)
    return shoot(recipe, MINI, session=dataclasses.replace(session, lr=lr))


@pytest.mark.parametrize(("quarters", "rotation_deg"), [(1, 90), (2, 180), (3, -90)])
def test_one_camera_upside_down_or_on_its_side(
    error_of: Callable[[Alignment, Scene], MappingError], quarters: int, rotation_deg: float
) -> None:
    """The homography holds the rotation, and LR is still only cropped."""
    scene = turned_scene(quarters)
    pair = accepted(scene.hr, scene.lr)
    assert abs((pair.statistics["rotation_deg"] - rotation_deg + 180) % 360 - 180) < 3
    assert pair.hr.shape == (8 * pair.lr.shape[0], 8 * pair.lr.shape[1], 3)
    assert (pair.crop.width, pair.crop.height) == ((56, 86) if quarters % 2 else (86, 56))  # the frame as LR sees it
    assert error_of(pair, scene).mean < BOUND_HR_PX


def test_keypoints_of_an_upside_down_camera_have_no_bias(error_of: Callable[[Alignment, Scene], MappingError]) -> None:
    """A constant shift of keypoints in either image's own pixels cancels between pictures that lie alike. Upside down
    it adds up, and a single registration shows it: 2.7 HR px with OpenCV's default flag."""
    scene = turned_scene(2)
    pair = align_pair(scene.hr, scene.lr, iters=1, refine="none")
    assert error_of(pair, scene).mean < 0.5


def test_a_full_size_portrait_with_orientation_6(tmp_path: Path) -> None:
    """4000×6000 held upright lies in its file as 6000×4000 with flag 6; it comes back upright, and is cropped so."""
    upright = np.zeros((6000, 4000, 3), dtype=np.uint8)
    upright[:3000, :2000] = (200, 60, 60)
    file = tmp_path / "portrait.jpg"
    file.write_bytes(encode_capture(upright, "jpg", 6))
    image = read_image(file)
    assert image.shape == (6000, 4000, 3)
    assert image[1000, 1000, 0] > 150
    assert image[[1000, 5000, 5000], [3000, 1000, 3000]].max() < 50
    size = Size(image.shape[1], image.shape[0])
    H_hr_to_lr = translation(1700, 2650) @ np.linalg.inv(scaling(8))
    crop = choose_crop(CaptureMapping(H_hr_to_lr=H_hr_to_lr, hr_size=size, lr_size=size), 8, "default")
    assert crop == Crop(1700 + (500 - 288) // 2, 2650 + (750 - 432) // 2, 288, 432)


def _part(image: Image, x: int, y: int, width: int, height: int) -> tuple[Image, Matrix]:
    """A part of a capture and the homography that leads to it."""
    return opencv.as_image(image[y : y + height, x : x + width]), translation(-x, -y)


CAMERAS = {
    "LR is a crop of its frame": (((0, 0, 1200, 800), None), ((430, 280, 300, 260), None)),
    "HR 4:3 and off centre, LR of more pixels": (((100, 0, 1067, 800), None), ((0, 0, 1200, 800), (1290, 860))),
    "HR of fewer pixels, LR square": (((0, 0, 1200, 800), (1146, 764)), ((300, 100, 600, 600), None)),
    "pixels that are not quite square": (((0, 0, 1200, 800), None), ((0, 0, 1200, 800), (1224, 800))),
}


@pytest.mark.parametrize("cameras", CAMERAS.values(), ids=CAMERAS.keys())
def test_cameras_of_other_sizes_and_aspects(
    mini_scene: Callable[..., Scene],
    error_against: Callable[..., MappingError],
    resized: Callable[..., Matrix],
    cameras: tuple,
) -> None:
    scene = mini_scene("mixed", 2)
    images, leads = [], []
    for image, (part, size) in zip((scene.hr, scene.lr), cameras, strict=True):
        picture, lead = _part(image, *part)
        if size is not None:
            lead = resized(part[2:], size) @ lead
            picture = opencv.as_image(opencv.resize(picture, Size(*size), "cubic"))
        images.append(picture)
        leads.append(lead)
    true = leads[1] @ scene.truth.H_hr_to_lr @ np.linalg.inv(leads[0])
    pair = accepted(*images)
    sizes = [(image.shape[1], image.shape[0]) for image in images]
    error = error_against(pair, true / true[2, 2], *sizes)
    assert error.mean < BOUND_HR_PX
    assert error.maximum < 2 * BOUND_HR_PX
    width, height = (2 * (288 * side // 8000) for side in sizes[0])
    assert pair.crop.width <= width
    assert pair.crop.height <= height
    assert pair.crop.width * pair.crop.height > 0.7 * width * height
