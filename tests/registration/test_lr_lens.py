"""Distortion of the LR lens: what it leaves off the frame's middle, found, fitted and, where it stays, rejected."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2crealsr.imaging import geometry
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.imaging.placement import Placement
from d2crealsr.quality import verdict
from d2crealsr.registration.lr_lens import can_show, measure_lr_distortion
from d2crealsr.settings import AlignSettings
from d2crealsr.types import Crop, ResidualField, Size

SCALE, FRAME = 8, Size(3000, 2000)
AT = {"middle": Crop(1392, 928, 216, 144), "aside": Crop(1992, 1328, 216, 144)}

AT_CROP = geometry.central_grid(Size(216, 144), share=1.0)


def mapping_to(crop: Crop, *, k1_lr: float = 0.0) -> CaptureMapping:
    """HR's frame centred on a crop, a little turned; with a lens, the homography that comes closest."""
    middle = np.array([crop.x + (crop.width - 1) / 2, crop.y + (crop.height - 1) / 2])
    turn = np.array([[1, -0.01, 0], [0.01, 1, 0], [1e-7, 2e-7, 1]])
    centre = geometry.frame_centre(FRAME)
    H = geometry.compose(
        geometry.translation(*middle), np.diag([0.125, 0.125, 1]), turn, geometry.translation(*-centre)
    )
    flat = CaptureMapping(H_hr_to_lr=H, hr_size=FRAME, lr_size=FRAME)
    return flat.with_lenses(k1_hr=0.0, k1_lr=k1_lr)


def left_by(
    published: CaptureMapping, true: CaptureMapping, crop: Crop, *, noise: float, seed: int = 0
) -> ResidualField:
    """The residual field that a wrong mapping leaves, with noise and two blocks that are wrong."""
    rng = np.random.default_rng(seed)
    x = crop.x + 12 + 24 * np.arange(crop.width // 24)
    y = crop.y + 12 + 24 * np.arange(crop.height // 24)
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float64)
    shifts = SCALE * (published.hr_to_lr(true.lr_to_hr(points)) - points) + rng.normal(0, noise, points.shape)
    shifts[rng.permutation(len(points))[:2]] += 3
    return ResidualField(
        points_lr=points, shifts_hr_px=shifts, weights=rng.uniform(0.5, 1, len(points)), zncc=np.ones(len(points))
    )


@pytest.mark.parametrize("k1", [0.03, -0.05])
def test_a_distorting_lr_lens_is_found_off_the_middle(k1: float) -> None:
    crop = AT["aside"]
    true = mapping_to(crop, k1_lr=k1)
    published = true.with_lenses(k1_hr=0.0, k1_lr=0.0)
    field = left_by(published, true, crop, noise=0.05)
    found = measure_lr_distortion(field, Placement(published, crop, SCALE))
    assert found.k1 == pytest.approx(k1, rel=0.15)
    assert found.hr_px > 0.1
    assert can_show(Placement(published, crop, SCALE))
    again = measure_lr_distortion(
        left_by(true, true, crop, noise=0.05),
        Placement(published.with_lenses(k1_hr=0.0, k1_lr=found.k1), crop, SCALE),
    )
    assert again[:2] == (0.0, 0.0)


def test_its_standard_error_is_what_it_moves_over_the_crop() -> None:
    """How the mapping moves when k1 errs by its spread over thirty draws, homography refitted over HR's frame."""
    crop = AT["aside"]
    true = mapping_to(crop, k1_lr=0.05)
    published = true.with_lenses(k1_hr=0.0, k1_lr=0.0)
    found = [
        measure_lr_distortion(left_by(published, true, crop, noise=0.05, seed=seed), Placement(published, crop, SCALE))
        for seed in range(30)
    ]
    spread = float(np.std([each.k1 for each in found]))
    frame = geometry.central_grid(FRAME, share=1.0).reshape(-1, 2)
    ideal = geometry.Lens(0.05 + spread, FRAME).undistort(true.hr_to_lr(frame))
    H = geometry.fitted_homography(frame, ideal)
    erring = dataclasses.replace(true, H_hr_to_lr=H, k1_lr=0.05 + spread)
    points = AT_CROP.reshape(-1, 2) + np.array([crop.x, crop.y])
    moved = SCALE * (erring.hr_to_lr(true.lr_to_hr(points)) - points)
    expected = float(np.sqrt(np.mean(np.sum(moved**2, axis=1))))
    assert np.median([each.error_hr_px for each in found]) == pytest.approx(expected, rel=0.15)


def test_in_the_middle_nothing_shows_and_noise_is_no_lens() -> None:
    crop = AT["middle"]
    true = mapping_to(crop, k1_lr=0.03)
    published = true.with_lenses(k1_hr=0.0, k1_lr=0.0)
    field = left_by(published, true, crop, noise=0.1)
    assert measure_lr_distortion(field, Placement(published, crop, SCALE))[:2] == (0.0, 0.0)
    assert not can_show(Placement(published, crop, SCALE))
    aside = AT["aside"]
    flat = mapping_to(aside)
    fields = [left_by(flat, flat, aside, noise=0.15, seed=seed) for seed in range(60)]
    assert {measure_lr_distortion(field, Placement(flat, aside, SCALE)).k1 for field in fields} == {0.0}


def test_few_blocks_say_nothing() -> None:
    crop = AT["aside"]
    true = mapping_to(crop, k1_lr=0.03)
    field = left_by(true.with_lenses(k1_hr=0.0, k1_lr=0.0), true, crop, noise=0.01)
    few = dataclasses.replace(field, weights=np.where(np.arange(len(field.weights)) < 12, 1.0, 0.0))
    none = dataclasses.replace(field, weights=np.zeros(len(field.weights)))
    assert measure_lr_distortion(few, Placement(true, crop, SCALE))[:2] == (0.0, 0.0)
    assert measure_lr_distortion(none, Placement(true, crop, SCALE))[:2] == (0.0, 0.0)


def test_what_stays_is_rejected() -> None:
    assert "card_off_centre" in verdict.judge({"off_centre_hr_px": 0.3}, AlignSettings())
    assert verdict.judge({"off_centre_hr_px": 0.2}, AlignSettings()) == ()


@settings(max_examples=20)
@given(st.floats(-0.05, 0.05), st.floats(-0.02, 0.02))
def test_other_lenses_keep_the_positions(k1_lr: float, k1_hr: float) -> None:
    """By half an LR px over what is published, where a homography alone would be tens off; and none is none."""
    flat = mapping_to(AT["aside"])
    bent = flat.with_lenses(k1_hr=k1_hr, k1_lr=k1_lr)
    points = geometry.central_grid(FRAME).reshape(-1, 2)
    assert (bent.k1_hr, bent.k1_lr) == (k1_hr, k1_lr)
    assert np.abs(bent.hr_to_lr(points) - flat.hr_to_lr(points)).max() < 0.5
    same = flat.with_lenses(k1_hr=0.0, k1_lr=0.0)
    np.testing.assert_allclose(same.H_hr_to_lr, flat.H_hr_to_lr, rtol=1e-7, atol=1e-9)
