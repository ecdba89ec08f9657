"""Where registration starts from points: the mapping they suggest, what is wrong with them, and what comes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from d2crealsr.align import Alignment, align_pair
from d2crealsr.errors import SettingsError
from d2crealsr.imaging import geometry
from d2crealsr.registration.points import checked_points, outside, points_problem, start_from_points
from d2crealsr.registration.sift import Registration
from d2crealsr.simulate import Recipe, SimulateSettings, shoot
from d2crealsr.types import AlignmentFailure, Size

HR, LR = Size(800, 600), Size(320, 280)
TURNED = np.array([[0.2, -0.15, 130], [0.15, 0.2, 20], [0, 0, 1]])
"""HR is four times as fine as LR, and turned by 37°."""
SPREAD = np.array([[60.0, 80], [700, 50], [740, 520], [90, 560]])


def pairs(hr: np.ndarray, lr: np.ndarray) -> tuple[tuple[float, float, float, float], ...]:
    return tuple(map(tuple, np.hstack([hr, lr]).tolist()))


def started(hr: np.ndarray, lr: np.ndarray, scale: int = 4) -> Registration | AlignmentFailure:
    return start_from_points(pairs(hr, lr), HR, LR, scale=scale)


def test_four_points_give_back_the_mapping_that_made_them() -> None:
    found = started(SPREAD, geometry.project(TURNED, SPREAD))
    assert isinstance(found, Registration)
    np.testing.assert_allclose(found.H_hr_to_lr, TURNED, atol=1e-9)
    (stage,) = found.stages
    assert (stage.stage, stage.n_matches, stage.n_inliers) == ("rough", 4, 4)
    assert stage.scale_effective == pytest.approx(4)
    assert stage.reprojection_rmse_lr_px < 1e-9


def test_a_strong_tilt_is_followed_and_errors_of_clicks_are_not() -> None:
    tilted = TURNED + np.array([[0, 0, 0], [0, 0, 0], [4e-4, 0, 0]])
    found = started(SPREAD, geometry.project(tilted, SPREAD))
    assert isinstance(found, Registration)
    np.testing.assert_allclose(found.H_hr_to_lr, tilted, rtol=1e-9, atol=1e-12)

    clicked = geometry.project(TURNED, SPREAD) + np.array([[2, 0], [-1, 1], [0, -2], [1, 1]])
    found = started(SPREAD, clicked)
    assert isinstance(found, Registration)
    assert found.H_hr_to_lr[2].tolist() == [0, 0, 1]
    off = geometry.project(found.H_hr_to_lr, SPREAD) - geometry.project(TURNED, SPREAD)
    assert np.linalg.norm(off, axis=1).max() < 2
    assert 1 < found.stages[0].reprojection_rmse_lr_px < 2


@pytest.mark.parametrize(
    ("hr", "problem"),
    [
        (SPREAD[:3], "got 3 points, expected at least 4"),
        (SPREAD[[0, 1, 2, 2]], "two points have the same position in HR"),
        (np.array([[0.0, 0], [100, 101], [200, 199], [0, 300]]), "all points in HR, or all but one, lie on a line"),
    ],
)
def test_points_that_determine_nothing(hr: np.ndarray, problem: str) -> None:
    lr = geometry.project(TURNED, SPREAD[: len(hr)])
    assert problem in points_problem(pairs(hr, lr))
    with pytest.raises(SettingsError, match=f"points: {problem}"):
        started(hr, lr)


@pytest.mark.parametrize(
    ("points", "got"),
    [
        (5, "5"),
        (None, "None"),
        ("abcd", "'abcd'"),
        ([(1, 2, 3)] * 4, "[(1, 2, 3), (1, 2, 3), (1, 2, 3), (1, 2, 3)]"),
        ([(1, 2, 3, 4), (1, 2, 3)], "[(1, 2, 3, 4), (1, 2, 3)]"),
        (np.zeros((4, 5)), "an array of shape (4, 5)"),
        ([(1, 2, 3, 4), (1, np.nan, 3, 4)], "[1.0, nan, 3.0, 4.0] as point 2"),
        ([(1, 2, 3, np.inf)] * 4, "[1.0, 2.0, 3.0, inf] as point 1"),
    ],
)
def test_what_is_no_table_of_points_is_refused(points: Any, got: str) -> None:
    blank = np.full((40, 60, 3), 200, np.uint8)
    with pytest.raises(SettingsError) as caught:
        align_pair(blank, blank, points=points)
    assert str(caught.value) == f"points: got {got}, expected finite numbers (hr_x, hr_y, lr_x, lr_y) for each point"


def test_points_may_be_an_array_or_lists_or_none() -> None:
    assert checked_points(()) == checked_points([]) == checked_points(np.empty((0, 4))) == ()
    rows = ((1.0, 2.0, 3.0, 4.5), (5.0, 6.0, 7.0, 8.0))
    assert checked_points(rows) == checked_points(np.array(rows)) == checked_points([list(row) for row in rows]) == rows


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "got None, expected a path, an array of pixels or a CaptureImage"),
        ([[[1, 2, 3]]], "got [[[1, 2, 3]]], expected a path, an array of pixels or a CaptureImage"),
        (np.zeros((40, 60, 3)), "expected (H, W, 3) uint8 or uint16 RGB, got (40, 60, 3) float64"),
        (np.zeros((40, 60), np.uint8), "expected (H, W, 3) uint8 or uint16 RGB, got (40, 60) uint8"),
    ],
)
def test_what_is_no_image_is_refused_with_its_side(image: Any, message: str) -> None:
    blank = np.full((40, 60, 3), 200, np.uint8)
    for side, captures in (("hr", (image, blank)), ("lr", (blank, image))):
        with pytest.raises(SettingsError) as caught:
            align_pair(*captures)
        assert str(caught.value) == f"{side}: {message}"


def test_more_points_may_lie_on_a_line_but_two_must_not() -> None:
    row = np.array([[0.0, 0], [100, 0], [200, 0], [300, 0]])
    assert points_problem(pairs(np.vstack([row, [[0, 100]]]), np.random.default_rng(0).random((5, 2)))) != ""
    assert points_problem(pairs(np.vstack([row, [[0, 100], [200, 90]]]), np.random.default_rng(0).random((6, 2)))) == ""


def test_points_on_the_frame_are_inside_of_it() -> None:
    assert outside((-0.5, 599.5, 319.5, 0), HR, LR) == ""
    assert "point (0, 599.6) lies outside of the upright HR capture, 800x600" in outside((0, 599.6, 0, 0), HR, LR)
    assert "upright LR capture" in outside((0, 0, 320, 0), HR, LR)
    failure = started(SPREAD + np.array([100, 0]), geometry.project(TURNED, SPREAD))
    assert isinstance(failure, AlignmentFailure)
    assert failure.reason == "points_do_not_fit"


@pytest.mark.parametrize(
    ("order", "scale", "reason"),
    [
        ([1, 0, 3, 2], 4, "points_do_not_fit"),
        ([0, 2, 1, 3], 4, "points_do_not_fit"),
        ([0, 1, 2, 3], 1, "scale_mismatch"),
    ],
    ids=["mirrored", "crossed", "another scale"],
)
def test_points_that_no_camera_sees(order: list[int], scale: int, reason: str) -> None:
    failure = started(SPREAD, geometry.project(TURNED, SPREAD)[order], scale)
    assert isinstance(failure, AlignmentFailure)
    assert failure.reason == reason


@pytest.mark.slow
def test_a_pair_that_sift_does_not_find_is_aligned_from_clicks() -> None:
    """One pattern over and over: no keypoint is like one other alone."""
    scene = shoot(
        Recipe(scene="a", group="a", generator="leaves"),
        SimulateSettings(size="mini", seed=5, scale=4, nuisances=("repetition",)),
    )
    alone = align_pair(scene.hr, scene.lr, scale=4)
    assert isinstance(alone, AlignmentFailure)
    hr = SPREAD * [1.4, 1.3]
    lr = geometry.project(scene.truth.H_hr_to_lr, hr) + np.array([[1, 0], [0, -1], [-1, 0], [0, 1]])
    found = align_pair(scene.hr, scene.lr, scale=4, points=np.rint(np.hstack([hr, lr])))
    assert isinstance(found, Alignment)
    assert found.started_from == "points"
    assert set(found.reasons) <= {"hr_not_sharper"}, "this pattern is soft"
    assert [stage.stage for stage in found.stages][:2] == ["rough", "sift"]
    off = geometry.project(found.H_hr_to_lr, hr) - geometry.project(scene.truth.H_hr_to_lr, hr)
    assert 4 * np.linalg.norm(off, axis=1).mean() < 0.3
