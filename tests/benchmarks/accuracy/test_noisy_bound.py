"""The least possible error of a mapping between two noisy captures."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.accuracy.noisy_bound import NoisyPair, bound
from d2crealsr.imaging import geometry
from d2crealsr.types import Size

SIZE = Size(120, 80)
MAPPING = geometry.CaptureMapping(H_hr_to_lr=geometry.translation(0.3, -0.2), hr_size=SIZE, lr_size=SIZE)
AT = geometry.central_grid(SIZE).reshape(-1, 2)


def pair() -> NoisyPair:
    rng = np.random.default_rng(0)
    light = 0.5 + 0.1 * rng.standard_normal((80, 120, 1)).repeat(3, axis=2)
    return NoisyPair(light=light, variance=np.full(light.shape, 1e-4), ratio=0.0, blur=0.0, share=np.ones(3))


def test_the_bound_is_in_proportion_to_the_noise() -> None:
    louder = replace(pair(), variance=4 * pair().variance)
    assert bound(louder, MAPPING, AT) == pytest.approx(2 * bound(pair(), MAPPING, AT), rel=1e-3)


def test_noise_of_hr_counts_as_far_as_the_blur_lets_it_through() -> None:
    clean, noisy, blurred = (
        bound(p, MAPPING, AT) for p in (pair(), replace(pair(), ratio=1.0), replace(pair(), ratio=1.0, blur=1.0))
    )
    assert noisy == pytest.approx(np.sqrt(2) * clean, rel=1e-3)
    assert clean < blurred < noisy


def test_a_sensor_with_a_colour_filter_knows_a_third_of_it() -> None:
    filtered = replace(pair(), share=np.array([0.25, 0.5, 0.25]))
    assert bound(filtered, MAPPING, AT) == pytest.approx(np.sqrt(3) * bound(pair(), MAPPING, AT), rel=1e-3)
