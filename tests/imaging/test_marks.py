"""Marks: every scene has its own, and they are found in photographs of every size, turned and in low light."""

import numpy as np
import pytest

from d2crealsr import opencv
from d2crealsr.imaging import geometry, marks, photometry
from d2crealsr.types import Size

CORNERS = np.array([[-4.0, -4], [4, -4], [4, 4], [-4, 4]])  # of the black border, in modules from the centre


def photograph(scene: str, frame: Size, share: float, *, turn: float = 0.0, tilt: float = 0.0):
    """A frame that shows a mark, ``share`` of its width wide, in its middle, and the true corners of the mark."""
    paper = np.pad(np.where(marks.modules_of(scene), 230, 25).astype(np.uint8), 1, constant_values=230)
    fine = np.kron(paper, np.ones((16, 16), np.uint8))
    t = np.radians(turn)
    turned = np.array([[np.cos(t), -np.sin(t), 0], [np.sin(t), np.cos(t), 0], [0, 0, 1.0]])
    seen = np.diag([frame.width * share / 8, frame.width * share / 8, 1.0])
    aside = np.array([[1, 0, 0], [0, 1, 0], [tilt, 0, 1.0]])
    H = geometry.compose(geometry.translation(*geometry.frame_centre(frame)), seen, aside, turned)
    to_fine = geometry.compose(geometry.translation(79.5, 79.5), np.diag([16, 16, 1.0]), geometry.inverse(H))
    grey = opencv.warp(np.stack([fine] * 3, axis=-1), to_fine, frame, "area", outside="zero").astype(np.float32)
    noise = np.random.default_rng(0).normal(60, 2, (*grey.shape[:2], 1))
    shown = opencv.blur(np.maximum(grey, noise).astype(np.float32), 0.7)
    return shown.round().astype(np.uint8), geometry.project(H, CORNERS)


@pytest.mark.parametrize("share", [0.1, 0.03])
@pytest.mark.parametrize("turn", [0.0, 10.0, 200.0])
def test_a_mark_is_found_as_large_as_in_hr_and_as_small_as_in_lr(share: float, turn: float) -> None:
    image, corners = photograph("0123", Size(600, 400), share, turn=turn, tilt=0.02)
    (mark,) = marks.detect(image)
    assert mark.scene == "0123"
    assert np.abs(mark.corners - corners).max() < 1.5


def test_sixteen_bits_and_low_light_make_no_difference() -> None:
    image, _ = photograph("0008", Size(300, 200), 0.1)
    deep = image.astype(np.uint16) * 257
    dark = (image // 12).astype(np.uint8)
    assert [mark.scene for some in (image, deep, dark) for mark in marks.detect(some)] == ["0008"] * 3


@pytest.mark.parametrize(("blur", "light"), [(1.5, 1.0), (0.8, 4.0)])
def test_small_marks_are_read_though_blurred_or_overexposed(blur: float, light: float) -> None:
    image, _ = photograph("0123", Size(600, 400), 8 * 3.1 / 600)
    spread = opencv.blur(photometry.to_linear(image, "srgb"), blur)
    shown = photometry.quantised(np.minimum(light * spread, 1).astype(np.float32), "srgb", np.dtype(np.uint8))
    assert [mark.scene for mark in marks.detect(shown)] == ["0123"]


def test_a_frame_without_marks_has_none() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (8, 12, 3))
    for image in (np.zeros((40, 60, 3)), np.full((1, 1, 3), 200), np.kron(noise, np.ones((3, 3, 1)))):
        assert marks.detect(image.astype(np.uint8)) == []


def test_every_scene_has_its_own_mark() -> None:
    assert marks.scene_of(1) == "0001"
    assert marks.scene_of(marks.MOST_SCENES) == "2319"
    patterns = {marks.modules_of(marks.scene_of(number)).tobytes() for number in range(1, 2320)}
    assert len(patterns) == marks.MOST_SCENES
    assert not marks.modules_of("0001")[[0, -1]].any()  # the border is black


@pytest.mark.parametrize("number", [0, 2320])
def test_there_are_no_further_marks(number: int) -> None:
    with pytest.raises(ValueError, match=f"got mark {number}, expected 1 to 2319"):
        marks.scene_of(number)


@pytest.mark.parametrize("scene", ["1", "00001", "card", "٠٠٠١", "9999"])
def test_other_names_have_no_mark(scene: str) -> None:
    with pytest.raises(ValueError, match=r"expected .*2319"):
        marks.modules_of(scene)
