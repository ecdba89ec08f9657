"""The shifts of blocks that the benchmark computes from residuals, and the nine numbers that describe a field."""

import numpy as np
import pytest

from benchmarks.accuracy import refinement_and_blocks as fields
from d2crealsr.imaging import geometry
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.types import Size

SIZE = Size(96, 72)


def test_nine_numbers_describe_a_lens_and_a_homography() -> None:
    at = geometry.pixel_centres(SIZE)[::8, ::8].reshape(-1, 2)
    H = geometry.compose(geometry.translation(0.2, -0.1), np.array([[1.001, 0, 0], [0, 0.999, 0], [1e-6, 0, 1]]))
    bent = CaptureMapping(H_hr_to_lr=H, hr_size=SIZE, lr_size=SIZE).with_lenses(k1_hr=-0.002, k1_lr=0.0)
    shift = bent.lr_to_hr(at) - at
    numbers = fields.nine_numbers(at, shift, np.broadcast_to(np.eye(2), (len(at), 2, 2)), SIZE)
    assert numbers[8] == pytest.approx(-0.002, rel=0.02)
    np.testing.assert_allclose(fields._terms(at, SIZE) @ numbers, shift, atol=1e-3)


def test_blocks_find_their_shifts_and_leave_light_of_their_own_aside() -> None:
    rng = np.random.default_rng(0)
    at = geometry.pixel_centres(SIZE).reshape(-1, 2)
    block = np.repeat(np.arange(4), len(at) // 4)
    slopes, seen = rng.normal(size=(len(at), 2)), rng.random(len(at)) + 1
    moved = np.array([[0.1, 0.0], [0.0, -0.2], [0.05, 0.05], [0, 0]])
    residual = np.sum(slopes * moved[block], axis=1)
    brighter = residual + 0.3 * (block + 1) * seen - 0.1 * block
    weight = np.ones(len(at))
    plain = fields.shifts(slopes, residual, weight, (), block, at)
    lit = fields.shifts(slopes, brighter, weight, (np.ones_like(seen), seen), block, at)
    np.testing.assert_allclose(plain.shift, moved, atol=1e-4)
    np.testing.assert_allclose(lit.shift, moved, atol=1e-4)
    np.testing.assert_allclose(plain.at.mean(axis=0), at.mean(axis=0))
    misled = fields.shifts(slopes, brighter, weight, (), block, at)
    assert np.abs(misled.shift - moved).max() > 0.01
