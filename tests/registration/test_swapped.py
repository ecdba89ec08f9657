"""HR and LR that were exchanged are said to be, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from d2crealsr.align import align_pair
from d2crealsr.simulate import Recipe, SimulateSettings, shoot


@pytest.fixture(scope="module")
def captures() -> tuple[np.ndarray, np.ndarray]:
    scene = shoot(Recipe(scene="a", group="a", generator="leaves"), SimulateSettings(size="mini", seed=3))
    return scene.hr, scene.lr


@pytest.mark.parametrize("scale", [8, 2])
def test_exchanged_captures(captures: tuple[np.ndarray, np.ndarray], scale: int) -> None:
    hr, lr = captures
    if scale == 2:  # the same two pictures at the scale that a reduced HR has
        hr = np.ascontiguousarray(hr[::4, ::4])
    outcome = align_pair(lr, hr, scale=scale)
    assert outcome.reason == "hr_lr_swapped"
    assert f"at x{scale}" in outcome.message


@pytest.mark.parametrize("shape", [(1, 1), (31, 400), (500, 1)])
def test_captures_of_a_few_pixels_are_no_captures(
    captures: tuple[np.ndarray, np.ndarray], shape: tuple[int, int]
) -> None:
    hr, lr = captures
    few = np.zeros((*shape, 3), np.uint8)
    assert align_pair(few, lr).reason == align_pair(hr, few).reason == "too_small"


@pytest.mark.slow
def test_other_failures_keep_their_reason(captures: tuple[np.ndarray, np.ndarray]) -> None:
    hr, lr = captures
    noise = np.random.default_rng(0).integers(0, 256, hr.shape, dtype=np.uint8)
    assert align_pair(noise, lr, scale=8).reason == "too_few_matches"
    assert align_pair(np.full_like(hr, 128), lr, scale=8).reason == "low_texture"
