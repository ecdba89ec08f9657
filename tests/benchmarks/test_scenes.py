"""Benchmark scenes: deterministic, of every kind, with a true error that is right."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.scenes import BenchScene, captures_of, make_files
from d2crealsr.imaging import geometry
from d2crealsr.types import Crop

if TYPE_CHECKING:
    from pathlib import Path


def test_kinds_come_in_equal_shares() -> None:
    kinds = [BenchScene(seed=seed).recipe.generator for seed in range(100, 125)]
    assert {kind: kinds.count(kind) for kind in kinds} == dict.fromkeys(
        ("leaves", "photos", "mixed", "text", "smooth"), 5
    )


def test_every_seed_is_another_scene() -> None:
    assert len({BenchScene(seed=seed).recipe.texture_seed for seed in range(100)}) == 100


def test_cached_captures_are_those_without_a_cache(mini: BenchScene, cache: Path) -> None:
    kept, made = captures_of(mini, cache), captures_of(mini, None)
    assert all(np.array_equal(a, b) for a, b in zip(kept, made, strict=True))


def test_cache_is_used(mini: BenchScene, cache: Path) -> None:
    files = make_files(mini, cache)
    before = files.hr.stat().st_mtime_ns
    assert make_files(mini, cache).hr.stat().st_mtime_ns == before


def test_truth_has_no_error(mini: BenchScene) -> None:
    assert mini.error_of(mini.true_mapping, mini.true_crop).maximum < 1e-6


def test_shift_in_lr_counts_scale_times(mini: BenchScene) -> None:
    truth = mini.true_mapping
    off = dataclasses.replace(truth, H_hr_to_lr=geometry.compose(geometry.translation(0.03, -0.04), truth.H_hr_to_lr))
    error = mini.error_of(off, mini.true_crop)
    assert error.mean == pytest.approx(8 * 0.05, rel=1e-3)
    assert error.rms == pytest.approx(8 * 0.05, rel=1e-3)


@pytest.mark.parametrize("nuisance", ["plain", "tilt"])
def test_rays_agree_with_the_homography_where_the_card_is_flat(nuisance: str) -> None:
    scene = BenchScene(seed=3, nuisance=nuisance)
    truth = scene.true_mapping
    off = dataclasses.replace(truth, H_hr_to_lr=truth.H_hr_to_lr @ geometry.translation(0.7, -0.4))
    expected = scene.error_of(off, scene.true_crop)
    by_rays = scene._error_on_bowed_card(off, scene.true_crop)
    assert by_rays.mean == pytest.approx(expected.mean, rel=1e-3)
    assert by_rays.signed == pytest.approx(expected.signed, rel=1e-3)


def test_bow_is_part_of_the_error() -> None:
    scene = BenchScene(seed=3, nuisance="bowed-card")
    error = scene.error_of(scene.true_mapping, scene.true_crop)
    assert 0 < error.maximum == pytest.approx(scene.truth.bow_shift_max_hr_px, rel=0.1)


def test_error_is_of_the_crop_asked_for(mini: BenchScene) -> None:
    truth = mini.true_mapping
    zoomed = dataclasses.replace(truth, H_hr_to_lr=truth.H_hr_to_lr @ geometry.scaling(1.001))
    x, y, width, height = mini.true_crop
    small = Crop(x + width // 4, y + height // 4, width // 2, height // 2)
    assert mini.error_of(zoomed, small).maximum != mini.error_of(zoomed, mini.true_crop).maximum
