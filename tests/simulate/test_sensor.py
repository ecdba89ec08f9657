"""The sensor: noise, filters and tones do what the design says and move nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from d2crealsr.simulate.sensor import (
    BASE_EXPOSURE,
    FULL_WELL,
    READ_NOISE,
    develop,
    expose,
    reference_tones,
    rggb,
)
from d2crealsr.types import Size


@pytest.fixture
def shot(dots):
    return dataclasses.replace(dots.session(0, quiet=True).hr, vignetting=0.0, wb=(1.0, 1.0, 1.0))


def take(light, shot, seed=0):
    size = Size(light.shape[1], light.shape[0])
    return expose(light.astype(np.float32), 0, size, shot, np.random.default_rng(seed))


def test_demosaic_moves_no_colour(shot, dots):
    """Coloured waves in, the same out: the shift that explains the difference best is below 1/1000 px."""
    y, x = np.mgrid[:256, :256].astype(float)
    waves = [0.4 + 0.2 * np.sin(0.11 * x + 0.05 * y), 0.4 + 0.2 * np.cos(0.07 * x - 0.12 * y)]
    light = np.stack([*waves, 0.4 + 0.2 * np.sin(0.09 * x + 0.13 * y)], axis=-1)
    image = develop(take(light, shot), shot)
    inner = (slice(8, -8), slice(8, -8))
    for channel in range(3):
        slope_y, slope_x = np.gradient(light[..., channel])
        error = (dots.linear(image, channel) / BASE_EXPOSURE - light[..., channel])[inner]
        A = np.column_stack([slope_x[inner].ravel(), slope_y[inner].ravel()])
        shift = np.linalg.lstsq(A, error.ravel(), rcond=None)[0]
        assert np.abs(shift).max() < 1e-3


def test_noise_is_shot_and_read_noise(shot):
    noisy = dataclasses.replace(shot, noise=True)
    raw = take(np.full((400, 400, 3), 0.5), noisy).astype(float)
    electrons = (raw - 2048) / 3
    expected = 0.5 * BASE_EXPOSURE * FULL_WELL
    assert electrons.mean() == pytest.approx(expected, rel=1e-3)
    assert electrons.std() == pytest.approx(np.sqrt(expected + READ_NOISE**2), rel=0.02)


def test_dark_keeps_its_mean_below_zero_noise(shot):
    raw = take(np.zeros((200, 200, 3)), dataclasses.replace(shot, noise=True)).astype(float)
    assert (raw.mean() - 2048) / 3 == pytest.approx(0, abs=0.2)


def test_vignetting_is_the_loss_at_the_frame_corner(shot):
    raw = take(np.full((400, 600, 3), 0.5), dataclasses.replace(shot, vignetting=0.3)).astype(float) - 2048
    assert raw[0, 0] / raw[200, 300] == pytest.approx(0.7, abs=2e-3)


def test_white_balance_multiplies_and_a_full_well_is_white(shot):
    tinted = dataclasses.replace(shot, wb=(0.96, 1.0, 1.04))
    grey = develop(take(np.full((64, 64, 3), 0.3), tinted), tinted)[32, 32]
    assert grey[0] < grey[1] < grey[2]
    burnt = dataclasses.replace(tinted, exposure=4.0)
    assert (develop(take(np.full((64, 64, 3), 0.9), burnt), burnt) == 255).all()


def test_sensor_rows_do_not_depend_on_strips(shot):
    rng = np.random.default_rng(1)
    light = rng.random((64, 48, 3)).astype(np.float32)
    curved = dataclasses.replace(shot, vignetting=0.2)
    whole = expose(light, 0, Size(48, 64), curved, rng)
    below = expose(light[32:], 32, Size(48, 64), curved, rng)
    np.testing.assert_array_equal(whole[32:], below)


def test_without_a_filter_every_colour_has_the_noise_of_its_pixel(shot):
    noisy = dataclasses.replace(shot, noise=True, vignetting=0.2)
    light = np.random.default_rng(2).random((32, 48, 3)).astype(np.float32)
    behind, bare = (
        expose(light, 64, Size(48, 160), noisy, np.random.default_rng(3), colour_filter)
        for colour_filter in (rggb, np.copy)
    )
    assert bare.shape == (32, 48, 3)
    np.testing.assert_array_equal(behind, rggb(bare.astype(np.float32)))


def test_another_demosaic_can_develop(shot):
    raw = take(np.full((8, 8, 3), 0.3), shot)
    as_green = develop(raw, shot, lambda mosaic: np.stack([mosaic] * 3, axis=-1))
    np.testing.assert_array_equal(as_green[..., 0], as_green[..., 1])


def test_reference_tones_are_srgb():
    assert reference_tones(np.zeros((1, 1, 3), np.float32)).item(0) == 0
    half = reference_tones(np.full((1, 1, 3), 0.5 / BASE_EXPOSURE, np.float32)).item(0)
    assert half == 188  # linear one half in sRGB
