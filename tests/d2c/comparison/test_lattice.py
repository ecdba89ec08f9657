"""Energy on the lattice of the scale's period: a checkerboard is seen, pictures and noise are not."""

from __future__ import annotations

import numpy as np
import pytest

from d2c.comparison.lattice import lattice_rms


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_a_pattern_with_the_period_of_the_scale_is_measured_exactly(scale):
    pattern = np.random.default_rng(0).normal(size=(scale, scale))
    pattern -= pattern.mean()
    error = np.tile(pattern, (20, 30)) + 7.0
    assert lattice_rms(error, scale) == pytest.approx(np.sqrt(np.mean(pattern**2)))


def test_it_is_the_energy_at_the_frequencies_of_the_lattice():
    error = np.random.default_rng(1).normal(size=(32, 48))
    power = np.abs(np.fft.fft2(error) / error.size) ** 2
    lattice = power[::8, ::12].sum() - power[0, 0]
    assert lattice_rms(error, 4) == pytest.approx(np.sqrt(lattice))


def test_noise_leaves_what_chance_allows():
    error = np.random.default_rng(2).normal(size=(400, 400))
    assert lattice_rms(error, 2) == pytest.approx(np.sqrt(0.75 / 40_000), rel=0.9)
