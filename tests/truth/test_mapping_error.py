"""True error of a mapping, by cases that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from d2crealsr.imaging import geometry
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.imaging.placement import Placement
from d2crealsr.truth.mapping_error import crop_grid, mapping_error
from d2crealsr.types import Crop, Size

HR, LR = Size(1200, 800), Size(600, 400)
TRUE = np.array([[0.125, 0.002, 225.3], [-0.002, 0.125, 150.1], [1e-7, -2e-7, 1]])
CROP = Crop(257, 172, 86, 56)


def mapping(H: np.ndarray, k1_hr: float = 0.0) -> CaptureMapping:
    return CaptureMapping(H_hr_to_lr=geometry.normalised(H), hr_size=HR, lr_size=LR, k1_hr=k1_hr)


def test_grid_covers_pixel_centres_with_19_points_along_the_longer_side() -> None:
    wide, tall = crop_grid(CROP), crop_grid(Crop(10, 20, 56, 86))
    assert wide.shape == tall.shape == (247, 2)
    assert (wide.min(axis=0) == [257, 172]).all()
    assert (wide.max(axis=0) == [342, 227]).all()
    assert len(np.unique(wide[:, 0])) == len(np.unique(tall[:, 1])) == 19


def test_the_truth_has_no_error() -> None:
    error = mapping_error(Placement(mapping(TRUE, 0.01), CROP, 8), mapping(TRUE, 0.01))
    assert error.maximum < 1e-9


def test_a_mapping_too_far_right_shows_things_too_far_right() -> None:
    published = geometry.translation(0.02, -0.01) @ TRUE
    error = mapping_error(Placement(mapping(published), CROP, 8), mapping(TRUE))
    assert error.signed == pytest.approx([0.16, -0.08], abs=1e-9)
    assert [error.mean, error.p95, error.maximum] == pytest.approx([np.hypot(0.16, 0.08)] * 3)


def test_a_forgotten_half_pixel_at_eight_is_three_and_a_half_hr_pixels() -> None:
    published = TRUE @ geometry.translation(3.5, 3.5)
    error = mapping_error(Placement(mapping(published), CROP, 8), mapping(TRUE))
    # The captures' own scale is 7.999 and turned by 0.9 degrees.
    assert error.mean == pytest.approx(3.5 * np.sqrt(2), rel=0.01)


def test_unmodelled_distortion_grows_towards_the_corners() -> None:
    error = mapping_error(Placement(mapping(TRUE), CROP, 8), mapping(TRUE, 0.005))
    assert error.maximum > 2 * error.mean
    assert np.linalg.norm(error.signed) < 0.2 * error.mean
