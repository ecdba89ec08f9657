"""Registration by SIFT: quickly where direct refinement follows, and with all keypoints where few of them agree."""

from __future__ import annotations

import numpy as np
import pytest

from d2crealsr import opencv
from d2crealsr.imaging import degrade, geometry
from d2crealsr.imaging.degrade import LinearReduced
from d2crealsr.registration import sift
from d2crealsr.registration.lr_view import LrView, footprint
from d2crealsr.registration.sift import Registration, register
from d2crealsr.types import Crop, Image, Size

TRUE = geometry.compose(geometry.translation(82.3, 57.6), geometry.inverse(geometry.scaling(4)))
"""HR of 640 × 448 is four times as fine as LR of 320 × 224, and lies in its middle."""


@pytest.fixture(scope="module")
def pair() -> tuple[LinearReduced, Image]:
    """Squares of many sizes, and the part of LR that shows them."""
    random = np.random.default_rng(7)
    hr = np.full((448, 640, 3), 90, np.uint8)
    for x, y, side in random.integers([0, 0, 6], [630, 440, 40], (800, 3)):
        hr[y : y + side, x : x + side] = random.integers(20, 235)
    seen = opencv.warp(opencv.blur(hr.astype(np.float32), 3), geometry.inverse(TRUE), Size(320, 224), outside="zero")
    return degrade.reduced(hr, 4, "srgb"), opencv.as_image(np.rint(seen).astype(np.uint8))


def found(pair: tuple[LinearReduced, Image], *, then_refined: bool, iters: int = 2) -> Registration:
    result = register(pair[0], pair[1], scale=4, iters=iters, tone="srgb", then_refined=then_refined)
    assert isinstance(result, Registration)
    return result


def off_lr_px(registration: Registration) -> float:
    points = geometry.central_grid(Size(640, 448))
    moved = geometry.project(registration.H_hr_to_lr, points) - geometry.project(TRUE, points)
    return float(np.linalg.norm(moved, axis=-1).max())


def test_what_is_refined_later_is_registered_twice_with_few_keypoints(pair: tuple[LinearReduced, Image]) -> None:
    quick, whole = found(pair, then_refined=True), found(pair, then_refined=False)
    assert [stage.stage for stage in quick.stages] == ["rough", "sift"]
    assert quick.stages[1].n_keypoints_lr < quick.stages[0].n_keypoints_lr < whole.stages[1].n_keypoints_lr
    assert quick.stages[1].sigma_blur_hr_px == pytest.approx(whole.stages[1].sigma_blur_hr_px, abs=1)
    assert off_lr_px(quick) < 0.3
    assert off_lr_px(whole) < 0.1


def test_where_few_matches_agree_all_keypoints_are_used(
    pair: tuple[LinearReduced, Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = found(pair, then_refined=False, iters=1)
    monkeypatch.setattr(sift, "_SURELY", 100_000)
    assert np.array_equal(found(pair, then_refined=True).stages[0].H_hr_to_lr, whole.H_hr_to_lr)


def test_a_part_of_a_view_has_its_keypoints_at_the_same_places(pair: tuple[LinearReduced, Image]) -> None:
    view = LrView.of(pair[1], Crop(20, 20, 280, 190), 4, "srgb", 30_000)
    part = view.of_part(footprint(TRUE, Size(640, 448), Size(320, 224)))
    places, all_places = (
        geometry.project(geometry.inverse(each.H_lr_to_view), each.keypoints.points) for each in (part, view)
    )
    assert 0 < len(places) < len(all_places)
    known = {tuple(place) for place in np.round(all_places, 6)}
    assert known >= {tuple(place) for place in np.round(places, 6)}
    np.testing.assert_allclose(part.luma.shape, view.zoom * np.array([112, 160]), atol=2)
