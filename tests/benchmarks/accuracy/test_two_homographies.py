"""The moved images of the benchmark lie where its homographies say, and exact is measured through HR."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.accuracy import two_homographies as two
from d2crealsr.imaging import geometry
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.types import Image, Matrix


def waves(size: Size, H: Matrix | None = None) -> Image:
    """A picture of slow waves as seen through a homography of its pixels."""
    points = geometry.pixel_centres(size)
    x, y = np.moveaxis(points if H is None else geometry.project(geometry.inverse(H), points), -1, 0)
    planes = [128 + 60 * np.sin(a * x + b * y) for a, b in ((0.11, 0.05), (-0.07, 0.12), (0.09, 0.13))]
    return np.round(np.stack(planes, axis=-1)).astype(np.uint8)


def test_a_moved_image_shows_what_is_there() -> None:
    size = Size(240, 160)
    H = two.drawn("a scene", 1, size)
    moved = two.reduced(two.moved_light(waves(size), H), H, 1)
    np.testing.assert_allclose(moved.H, H)
    inner = np.s_[30:-30, 30:-30]
    assert np.abs(moved.lr[inner].astype(int) - waves(size, H)[inner]).max() <= 2


def test_a_reduced_image_has_its_homography() -> None:
    size = Size(242, 161)
    light = two.moved_light(waves(size), np.eye(3))
    small = two.reduced(light, np.eye(3), 4)
    assert small.lr.shape == (40, 60, 3)
    np.testing.assert_allclose(geometry.project(small.H, np.array([1.5, 1.5])), [0, 0], atol=1e-12)
    assert np.abs(small.lr[5, 7].astype(float) - waves(size)[20:24, 28:32].mean(axis=(0, 1))).max() < 2


def test_homographies_of_two_shots_differ_a_little_and_are_drawn_again_alike() -> None:
    size = Size(1218, 870)
    first, second = (two.drawn("001", number, size) for number in (0, 1))
    np.testing.assert_array_equal(first, two.drawn("001", 0, size))
    outline = geometry.corners(size)
    apart = np.linalg.norm(geometry.project(first, outline) - geometry.project(second, outline), axis=1)
    assert 1 < apart.mean() < 60


def test_what_both_estimates_share_is_not_in_exact() -> None:
    """An HR that is displaced as a whole costs nothing; a second estimate that is off by .3 HR px costs that."""
    size, scale = Size(800, 600), 4
    known = [geometry.compose(geometry.inverse(geometry.scaling(scale)), two.drawn("x", n, size)) for n in (0, 1)]
    both = [two.Moved(np.zeros((150, 200, 3), np.uint8), H) for H in known]
    p_lr = geometry.pixel_centres(Size(20, 20)).reshape(-1, 2) + 60

    def estimate(H: Matrix, x: float) -> CaptureMapping:
        displaced = geometry.compose(H, geometry.translation(x, 0.2))
        return CaptureMapping(H_hr_to_lr=displaced, hr_size=size, lr_size=Size(200, 150))

    shared = two._error([estimate(H, 0.5) for H in known], both, p_lr, scale)
    assert shared.maximum < 1e-6
    apart = two._error([estimate(H, x) for H, x in zip(known, (0.5, 0.8), strict=True)], both, p_lr, scale)
    assert apart.mean == pytest.approx(0.3, rel=0.05)


def test_the_interval_is_over_images() -> None:
    rows = [
        {"moved": "LR", "scene": scene, "status": status, "exact": exact, "rms": exact, "predicted": 0.1}
        | {"shared": 0.1, "agreement": 0.1, "own": 0.05}
        for scene, exact, status in (("1", 0.1, "accepted"), ("1", 0.3, "accepted"), ("2", 0.4, "residual_too_large"))
    ]
    everything, accepted = two.summarise([*rows, {"moved": "LR", "scene": "2", "status": "no estimate"}])
    assert (everything["n"], everything["of"], accepted["n"]) == (3, 4, 2)
    assert everything["exact"] == pytest.approx(0.3)  # of .2 and .4
    assert everything["low"] < everything["exact"] < everything["high"]
    assert accepted["single"] == pytest.approx(0.2 / np.sqrt(2))
