"""The residual field on images displaced by known amounts."""

import dataclasses

import numpy as np
import pytest

from d2crealsr import opencv
from d2crealsr.imaging import degrade, geometry, photometry
from d2crealsr.imaging.comparison import Look, LrCrop
from d2crealsr.imaging.placement import grid_to_lr
from d2crealsr.quality import residuals
from d2crealsr.types import Crop, ResidualField, Size

SCALE = 8
SIGMA = 7.0
CROP = Crop(40, 30, 96, 72)
POSITIONS = geometry.pixel_centres(Size(CROP.width, CROP.height)) + np.array([CROP.x, CROP.y])
GRID = geometry.CaptureMapping(
    H_hr_to_lr=grid_to_lr(CROP, SCALE),
    hr_size=Size(CROP.width * SCALE, CROP.height * SCALE),
    lr_size=Size(200, 150),
)


def texture(seed: int = 0) -> np.ndarray:
    """Light with detail at several scales, (576, 768, 3), as LinearReduced of factor 1 holds it."""
    rng = np.random.default_rng(seed)
    size = Size(CROP.width * SCALE, CROP.height * SCALE)
    light = np.full((size.height, size.width), 0.4, np.float32)
    for cells in (12, 40, 120):
        noise = rng.normal(0, 0.05, (cells * 3 // 4, cells)).astype(np.float32)
        light += opencv.resize(noise, size, "cubic")
    return np.clip(light, 0.02, 1)[..., None].repeat(3, axis=2)


def published(light: np.ndarray) -> degrade.LinearReduced:
    return degrade.LinearReduced(light, light[..., 0].copy(), 1)


def lr_seeing(hr: degrade.LinearReduced, H_hr_to_crop: np.ndarray, noise: float = 0.002) -> np.ndarray:
    seen = hr.on_grid(hr.blurred(hr.rgb, SIGMA), H_hr_to_crop, Size(CROP.width, CROP.height))
    return seen + np.random.default_rng(1).normal(0, noise, seen.shape).astype(np.float32)


def lr_crop(rgb: np.ndarray) -> LrCrop:
    encoded = photometry.encode_tone(rgb, "srgb") @ photometry.JPEG_LUMA
    valid = np.ones(rgb.shape[:2], bool)
    return LrCrop(
        rgb=rgb,
        encoded=encoded.astype(np.float32),
        valid=valid,
        crop=CROP,
        tone="srgb",
        positions=POSITIONS,
        scale=SCALE,
    )


def look(hr: degrade.LinearReduced) -> Look:
    return Look.of(hr, SIGMA, photometry.Photometry())


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.31, -0.17), (-1.4, 0.9), (3.0, 3.0)])
def test_a_uniform_shift_is_measured_with_its_sign(shift: tuple[float, float]) -> None:
    """HR holds the content ``shift`` HR px further right and down than LR does."""
    hr = published(texture())
    H_true = geometry.compose(geometry.inverse(geometry.scaling(SCALE)), geometry.translation(-shift[0], -shift[1]))
    crop = lr_crop(lr_seeing(hr, H_true) * np.float32(0.7) + np.float32(0.01))
    field = crop.residuals(look(hr), GRID)
    trusted = field.weights > 0.5
    assert trusted.mean() > 0.9
    np.testing.assert_allclose(np.median(field.shifts_hr_px[trusted], axis=0), shift, atol=0.03)
    assert residuals.percentile(field, 50) == pytest.approx(np.hypot(*shift), abs=0.06)
    assert np.median(field.zncc) > 0.98


def test_a_turn_shows_as_a_turning_field() -> None:
    hr = published(texture())
    angle = 0.002
    turn = np.array([[1, -angle, 0], [angle, 1, 0], [0, 0, 1]])
    about = geometry.translation(*(np.array([CROP.width, CROP.height]) * SCALE / 2))
    H_true = geometry.compose(geometry.inverse(geometry.scaling(SCALE)), about, turn, geometry.inverse(about))
    field = lr_crop(lr_seeing(hr, H_true)).residuals(look(hr), GRID)
    offset = (field.points_lr - [CROP.x + CROP.width / 2, CROP.y + CROP.height / 2]) * SCALE
    expected = -angle * np.stack([-offset[:, 1], offset[:, 0]], axis=1)
    np.testing.assert_allclose(field.shifts_hr_px, expected, atol=0.12)


def test_blocks_without_texture_have_no_weight() -> None:
    hr = published(np.full((CROP.height * SCALE, CROP.width * SCALE, 3), 0.5, np.float32))
    flat = lr_crop(np.full((CROP.height, CROP.width, 3), 0.5, np.float32))
    field = flat.residuals(look(hr), GRID)
    assert not field.weights.any()
    assert np.isnan(residuals.percentile(field, 50))


def field_of(shifts: np.ndarray, weights: np.ndarray) -> ResidualField:
    """A field of 5×6 blocks, their shifts (5, 6, 2) and weights (5, 6)."""
    row, column = np.indices(weights.shape).reshape(2, -1)
    points = np.stack([10.0 + 24 * column, 7.0 + 20 * row], axis=1)
    return ResidualField(
        points_lr=points, shifts_hr_px=shifts.reshape(-1, 2), weights=weights.ravel(), zncc=np.ones(weights.size)
    )


def test_the_worst_neighbourhood_is_the_mean_of_nine_blocks_by_weight() -> None:
    shifts, weights = np.zeros((5, 6, 2)), np.ones((5, 6))
    shifts[1:4, 1:4] = (0.6, -0.8)
    shifts[2, 2], weights[2, 2] = (100.0, 0.0), 0.0
    assert residuals.worst_neighbourhood(field_of(shifts, weights)) == pytest.approx(1.0)


def test_a_corner_has_a_neighbourhood_of_four() -> None:
    shifts, weights = np.zeros((5, 6, 2)), np.ones((5, 6))
    shifts[:2, :2] = (0.0, 2.0)
    assert residuals.worst_neighbourhood(field_of(shifts, weights)) == pytest.approx(2.0)


def test_a_neighbourhood_of_little_weight_is_not_called_the_worst() -> None:
    shifts, weights = np.full((5, 6, 2), (0.3, 0.4)), np.ones((5, 6))
    shifts[:, 4:], weights[:, 3:] = (50.0, 0.0), 0.001
    assert residuals.worst_neighbourhood(field_of(shifts, weights)) == pytest.approx(0.5, abs=0.05)
    # Unless nothing is known any better.
    assert residuals.worst_neighbourhood(field_of(shifts, 0.1 * weights[:, ::-1])) > 30


def test_without_a_block_that_says_anything_there_is_no_worst_neighbourhood() -> None:
    assert np.isnan(residuals.worst_neighbourhood(field_of(np.zeros((5, 6, 2)), np.zeros((5, 6)))))


def test_the_worst_side_is_the_mean_of_its_outermost_blocks() -> None:
    shifts, weights = np.zeros((5, 6, 2)), np.ones((5, 6))
    shifts[:, 5] = (-0.6, 0.8)
    shifts[2, 2] = (100.0, 0.0)
    assert residuals.worst_side(field_of(shifts, weights)) == pytest.approx(1.0)
    shifts[3, 5], weights[3, 5] = (100.0, 0.0), 0.0
    assert residuals.worst_side(field_of(shifts, weights)) == pytest.approx(1.0)


def test_what_scatter_adds_to_a_side_is_taken_off() -> None:
    """Of blocks that share no shift, with deviation 1 in x and in y, a mean of five has a squared length of 2/5."""
    rng = np.random.default_rng(3)
    squares = []
    for _ in range(500):
        shifts = rng.normal(0, 1, (5, 6, 2))
        field = field_of(shifts, np.ones((5, 6)))
        left = field.points_lr[:, 0] == field.points_lr[:, 0].min()
        one_side = dataclasses.replace(field, weights=np.where(left, 1.0, 0.0))
        squares.append((np.sum(shifts[:, 0].mean(axis=0) ** 2), residuals.worst_side(one_side) ** 2))
    with_scatter, without = np.mean(squares, axis=0)
    assert with_scatter == pytest.approx(2 / 5, rel=0.15)
    assert without < 0.5 * with_scatter  # not 0: a length below nothing counts as nothing


def test_a_side_of_little_weight_is_not_called_the_worst() -> None:
    shifts, weights = np.full((5, 6, 2), (0.3, 0.4)), np.ones((5, 6))
    shifts[0], weights[0] = (50.0, 0.0), 0.05
    shifts[0, ::5] = (0.3, 0.4)  # corners belong to two sides
    assert residuals.worst_side(field_of(shifts, weights)) == pytest.approx(0.5)
    # Unless nothing is known any better.
    weights[1:] = 0.01
    assert residuals.worst_side(field_of(shifts, weights)) > 20


def test_where_the_border_is_blank_the_next_line_inwards_is_the_side() -> None:
    shifts, weights = np.zeros((5, 6, 2)), np.zeros((5, 6))
    weights[1:4, 1:5] = 1.0
    shifts[1:4, 4] = (0.0, 0.7)
    assert residuals.worst_side(field_of(shifts, weights)) == pytest.approx(0.7)


def test_without_a_block_that_says_anything_no_side_is_the_worst() -> None:
    assert np.isnan(residuals.worst_side(field_of(np.zeros((5, 6, 2)), np.zeros((5, 6)))))


def test_another_scene_does_not_correlate() -> None:
    hr, other = published(texture(0)), published(texture(1))
    crop = lr_crop(lr_seeing(other, geometry.inverse(geometry.scaling(SCALE))))
    assert np.median(crop.residuals(look(hr), GRID).zncc) < 0.8


@pytest.mark.parametrize("sigma", [5.0, 8.0, 12.0])
def test_the_blur_is_found(sigma: float) -> None:
    hr = published(texture())
    H = geometry.inverse(geometry.scaling(SCALE))
    seen = hr.on_grid(hr.blurred(hr.rgb, sigma), H, Size(CROP.width, CROP.height))
    assert lr_crop(seen).blur(hr, GRID) == pytest.approx(sigma, rel=0.05)


def test_brightness_error_is_the_mean_difference_of_blocks() -> None:
    hr = published(texture())
    seen = lr_seeing(hr, geometry.inverse(geometry.scaling(SCALE)), noise=0.01)
    crop = lr_crop(seen)
    assert crop.brightness_error(seen) == pytest.approx(0, abs=1e-6)
    assert crop.brightness_error(seen + np.float32(0.05)) == pytest.approx(0.05, rel=1e-3)


def test_differing_content_is_counted_and_the_rest_is_not() -> None:
    hr = published(texture())
    seen = lr_seeing(hr, geometry.inverse(geometry.scaling(SCALE)))
    assert lr_crop(seen).differing(look(hr), GRID) < 0.001
    seen[20:40, 30:60] = 0.9
    share = 20 * 30 / (CROP.width * CROP.height)
    assert lr_crop(seen).differing(look(hr), GRID) == pytest.approx(share, rel=0.4)  # its blurred rim counts


def test_clipped_pixels_neither_differ_nor_pull() -> None:
    """Half of LR is clipped: its blocks say nothing, the others still find the shift."""
    hr = published(texture())
    H_true = geometry.compose(geometry.inverse(geometry.scaling(SCALE)), geometry.translation(-0.5, 0))
    seen = lr_seeing(hr, H_true)
    seen[:, :48] = 1.0
    clipped = dataclasses.replace(lr_crop(seen), valid=np.arange(CROP.width) >= 50)
    clipped = dataclasses.replace(clipped, valid=np.broadcast_to(clipped.valid, (CROP.height, CROP.width)))
    assert clipped.differing(look(hr), GRID) < 0.002
    field = clipped.residuals(look(hr), GRID)
    left = field.points_lr[:, 0] < CROP.x + 36
    assert not field.weights[left].any()
    np.testing.assert_allclose(np.median(field.shifts_hr_px[field.weights > 0.5], axis=0), (0.5, 0), atol=0.04)


def test_a_field_tells_what_another_mapping_would_leave() -> None:
    points = np.array([[50.0, 40], [90, 60]])
    here = ResidualField(
        points_lr=points, shifts_hr_px=np.array([[0.2, 0], [0, -0.1]]), weights=np.ones(2), zncc=np.ones(2)
    )
    moved = geometry.compose(geometry.translation(0.25, -0.5), GRID.H_hr_to_lr)
    there = residuals.under(here, GRID, dataclasses.replace(GRID, H_hr_to_lr=moved), SCALE)
    np.testing.assert_allclose(there.shifts_hr_px, here.shifts_hr_px + np.array([2, -4]), atol=1e-9)
