"""The smooth part of residual fields that are known exactly, and control crops that have no shift."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2crealsr.audit.cells import Cells
from d2crealsr.audit.smooth import fit_smooth
from d2crealsr.imaging import geometry
from d2crealsr.types import Crop, ResidualField, Size

CROP = Crop(7, 5, 120, 80)
CENTRE = np.array([7 + 59.5, 5 + 39.5])


def field_of(shifts: Any, weights: Any = None) -> ResidualField:
    """A field over 12 × 8 blocks of 10 LR px; ``shifts`` is a function of the block centres."""
    x, y = np.meshgrid(CROP.x + 4.5 + 10 * np.arange(12), CROP.y + 4.5 + 10 * np.arange(8))
    points = np.stack([x, y], axis=-1).reshape(-1, 2)
    weights = np.ones(96) if weights is None else weights
    return ResidualField(points_lr=points, shifts_hr_px=shifts(points), weights=weights, zncc=np.ones(96))


numbers = st.floats(-3, 3)


@given(st.tuples(numbers, numbers), st.lists(numbers, min_size=4, max_size=4))
def test_an_affine_field_is_found_and_nothing_remains(constant: tuple[float, float], slopes: list[float]) -> None:
    affine = np.array(slopes).reshape(2, 2) / 100
    weights = np.random.default_rng(0).uniform(0.1, 1, 96)
    found = fit_smooth(field_of(lambda p: np.array(constant) + (p - CENTRE) @ affine.T, weights), CROP)
    np.testing.assert_allclose(found.constant, constant, atol=1e-9)
    np.testing.assert_allclose(found.affine, affine, atol=1e-9)
    np.testing.assert_allclose(found.rest.shifts_hr_px, 0, atol=1e-9)
    over_crop = geometry.pixel_centres(Size(CROP.width, CROP.height)) + np.array([CROP.x, CROP.y])
    everywhere = np.array(constant) + (over_crop - CENTRE) @ affine.T
    assert found.hr_px == pytest.approx(np.sqrt(np.mean(np.sum(everywhere**2, axis=-1))), abs=1e-9)


def test_blocks_without_weight_do_not_count() -> None:
    weights = np.ones(96)
    weights[::3] = 0
    found = fit_smooth(field_of(lambda p: np.where(weights[:, None] > 0, [0.5, -0.2], 99.0), weights), CROP)
    np.testing.assert_allclose(found.constant, [0.5, -0.2], atol=1e-9)
    assert found.affine_hr_px < 1e-9


def test_the_error_is_what_noise_does_to_the_smooth_part() -> None:
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.2, 1, 96)
    found = [fit_smooth(field_of(lambda p: rng.normal(0, 0.3, p.shape), weights), CROP) for _ in range(300)]
    root_mean_square = np.sqrt(np.mean([smooth.hr_px**2 for smooth in found]))
    assert np.mean([smooth.error_hr_px for smooth in found]) == pytest.approx(root_mean_square, rel=0.1)


def test_blocks_in_one_row_fix_nothing() -> None:
    weights = np.zeros(96)
    weights[:12] = 1
    found = fit_smooth(field_of(np.zeros_like, weights), CROP)
    assert np.isnan([found.constant_hr_px, found.affine_hr_px, found.hr_px, found.error_hr_px]).all()


def test_taken_out_is_where_hr_really_lies() -> None:
    affine = np.array([[0.010, -0.004], [0.002, -0.006]])
    field = field_of(lambda p: np.array([0.7, -0.3]) + (p - CENTRE) @ affine.T)
    mapping = geometry.CaptureMapping(
        H_hr_to_lr=geometry.inverse(geometry.scaling(4)), hr_size=Size(600, 400), lr_size=Size(150, 100)
    )
    moved = fit_smooth(field, CROP).taken_out(mapping)
    np.testing.assert_allclose(
        moved.lr_to_hr(field.points_lr) - mapping.lr_to_hr(field.points_lr), field.shifts_hr_px, atol=1e-9
    )


def test_cells_follow_the_blocks_and_half_a_turn_undoes_itself() -> None:
    field = field_of(np.zeros_like)
    cells = Cells.of(field, CROP)
    assert (cells.count, cells.index.shape) == (96, (CROP.height, CROP.width))
    for number, (x, y) in enumerate(field.points_lr - [CROP.x, CROP.y]):
        assert cells.index[round(y), round(x)] == number
    image = np.random.default_rng(0).normal(size=(CROP.height, CROP.width))
    turned = image[cells.turned]
    np.testing.assert_array_equal(turned[cells.turned], image)
    np.testing.assert_array_equal(turned[:10, :10], image[:10, :10][::-1, ::-1])
    valid = image > 0
    means = cells.mean(image, valid)
    assert means[0] == pytest.approx(image[:10, :10][valid[:10, :10]].mean())
    np.testing.assert_allclose(cells.mean(turned, np.ones_like(valid)), cells.mean(image, np.ones_like(valid)))
