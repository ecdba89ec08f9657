"""The measures of the postcards: on images whose spectrum is known, and what the stored table has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.result_tables import read_csv
from d2crealsr.simulate.recipe import POSTCARDS

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

from benchmarks.training import postcards
from benchmarks.training.least_squares import filtered, fitted

RESULT = Path(postcards.__file__).parents[1] / "results" / "postcards.csv"
SCALE = 4


def hr_and_lr(seed, strength=1.0):
    """White noise with detail below LR's Nyquist frequency, and its exact LR samples at the pixel centres."""
    rng = np.random.default_rng(seed)
    side, low = 256, 64
    spectrum = np.zeros((side, side), complex)
    kept = np.abs(np.fft.fftfreq(side)) < 0.5 / SCALE
    spectrum[np.ix_(kept, kept)] = np.fft.fft2(rng.normal(size=(side, side)))[np.ix_(kept, kept)]
    hr = np.fft.ifft2(spectrum).real
    phase = np.exp(2j * np.pi * (SCALE - 1) / 2 * np.fft.fftfreq(side))
    moved = np.fft.ifft2(spectrum * phase * phase[:, None]).real
    lr = strength * moved[::SCALE, ::SCALE]
    assert lr.shape == (low, low)
    return hr, lr


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_a_wave_that_is_left_whole_or_half_is_measured_as_such(strength):
    hr, lr = hr_and_lr(0, strength)
    np.testing.assert_allclose(postcards.transfer(lr, hr, SCALE), strength, atol=0.03)


def test_power_beyond_nyquist_is_a_share_of_all():
    hr, _ = hr_and_lr(1)
    assert postcards.beyond_nyquist(hr, SCALE) < 0.01
    rows, columns = np.indices(hr.shape)
    wave = np.sqrt(2) * hr.std() * np.cos(2 * np.pi * 0.3 * (rows + columns))
    assert postcards.beyond_nyquist(hr + wave, SCALE) == pytest.approx(0.5, abs=0.03)


def test_the_linear_filter_recovers_a_linear_hr_and_keeps_constants():
    rng = np.random.default_rng(2)
    lr = rng.normal(100, 20, (40, 30))
    padded = np.pad(lr, 1, mode="edge")
    blocks = [0.7 * lr + 0.1 * k * padded[1:-1, 2:] + k for k in range(SCALE**2)]
    hr = np.array(blocks).reshape(SCALE, SCALE, *lr.shape).transpose(2, 0, 3, 1).reshape(160, 120)
    filters = fitted([(lr, hr)], SCALE)
    np.testing.assert_allclose(filtered(lr, filters, SCALE), hr, atol=0.05)


def test_the_stored_table_has_every_layout_the_kinds_and_city100():
    rows = {row["pairs_of"]: row for row in read_csv(RESULT)}
    assert {f"postcards, {layout}" for layout in POSTCARDS} < set(rows)
    assert {"postcards, all", "five kinds of card, all", "City100, all"} < set(rows)
    assert float(rows["postcards, all"]["bicubic_db"]) > float(rows["five kinds of card, all"]["bicubic_db"])
