"""Tone curves, exact tables and the brightness fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2crealsr.imaging import photometry


@pytest.mark.parametrize("tone", ["srgb", "gamma=2.2", "gamma=1"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_stored_value_survives_linear_light(tone: str, dtype: type) -> None:
    values = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).repeat(3).reshape(1, -1, 3)
    linear = photometry.to_linear(values, tone)
    back = photometry.quantised(linear, tone, np.dtype(dtype))
    tolerance = 0 if dtype == np.uint8 or tone == "gamma=1" else 1
    assert np.abs(back.astype(int) - values.astype(int)).max() <= tolerance


def test_srgb_by_its_standard() -> None:
    """IEC 61966-2-1: mid grey 128 is 21.586 % of the light."""
    assert photometry.to_linear(np.full((1, 1, 3), 128, np.uint8), "srgb")[0, 0, 0] == pytest.approx(0.21586, abs=1e-5)


def test_quantised_clips() -> None:
    out = photometry.quantised(np.array([[[-0.5, 0.5, 7.0]]], np.float32), "srgb", np.dtype(np.uint8))
    assert out.ravel().tolist() == [0, 188, 255]


def test_unknown_tone_is_named() -> None:
    with pytest.raises(ValueError, match="expected 'srgb' or 'gamma=G'"):
        photometry.decode_tone(np.array([0.5]), "log")


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_reduced_linear_is_the_block_mean_of_light(factor: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1050, 37, 3)).astype(np.uint8)
    rows, columns = 1050 // factor, 37 // factor
    light = photometry.decode_tone(image[: rows * factor, : columns * factor] / 255, "srgb")
    expected = light.reshape(rows, factor, columns, factor, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(photometry.reduced_linear(image, factor, "srgb"), expected, atol=1e-6)


@given(st.floats(0.3, 4), st.floats(-0.02, 0.02), st.integers(0, 1000))
def test_brightness_is_found_below_outliers(gain: float, offset: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hr = rng.uniform(0.05, 0.9, (40, 60, 3)).astype(np.float32)
    lr = (gain * hr + offset + rng.normal(0, 0.003, hr.shape)).astype(np.float32)
    lr[:8] = rng.uniform(0, 4, lr[:8].shape)
    fitted = photometry.fit_brightness(hr, lr, np.ones((40, 60), bool))
    np.testing.assert_allclose(fitted.gain, gain, rtol=0.02)
    np.testing.assert_allclose(fitted.offset, offset, atol=0.006)


def test_saturated_pixels_and_their_neighbours() -> None:
    image = np.full((9, 9, 3), 100, np.uint8)
    image[4, 4, 1] = 252
    expected = np.zeros((9, 9), bool)
    expected[3:6, 3:6] = True
    np.testing.assert_array_equal(photometry.saturated(image), expected)
