"""Tone curves by numbers: monotone, exactly invertible, sRGB where the numbers are equal, and known by their names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2crealsr.imaging import photometry
from d2crealsr.imaging.tone_family import ToneCurve, curve_name, named_curve

S_CURVE = "curve=1.2:-0.4:-0.8:-0.3:1"
VALUES = np.linspace(0, 1, 1001)


def test_equal_numbers_are_srgb() -> None:
    np.testing.assert_allclose(
        ToneCurve.of(np.full(5, 0.7)).decoded(VALUES), photometry.decode_tone(VALUES, "srgb"), atol=1e-5
    )
    assert curve_name(np.full(5, 0.7)) == "srgb"


@given(numbers=st.lists(st.floats(-3, 3), min_size=3, max_size=7))
def test_any_numbers_give_a_monotone_curve_from_0_to_1(numbers: list[float]) -> None:
    curve = ToneCurve.of(np.array(numbers))
    assert (curve.table[0], curve.table[-1]) == (0, 1)
    assert np.all(np.diff(curve.table) > 0)
    np.testing.assert_allclose(curve.encoded(curve.decoded(VALUES)), VALUES, atol=1e-9)


def test_a_constant_added_to_the_numbers_changes_nothing() -> None:
    numbers = np.array([0.3, -0.2, 0.5])
    np.testing.assert_allclose(ToneCurve.of(numbers).table, ToneCurve.of(numbers + 2).table, atol=1e-12)


def test_derivatives_by_the_numbers_are_those_of_differences() -> None:
    numbers, step = np.array([0.5, -0.3, 0.1, 0.2, -0.4]), 1e-5
    for place, derivative in enumerate(ToneCurve.of(numbers).by_number()):
        further, before = (ToneCurve.of(numbers + sign * step * np.eye(5)[place]).table for sign in (1, -1))
        np.testing.assert_allclose(derivative, (further - before) / (2 * step), atol=1e-8)


def test_the_name_holds_the_curve() -> None:
    numbers = np.array([0.12345, -0.5, 2.0, 0.0])
    assert named_curve(curve_name(numbers)).numbers == pytest.approx([0.1234, -0.5, 2, 0], abs=1e-4)


@pytest.mark.parametrize("name", ["curve=", "curve=1:2", "curve=1:x:3", "curve=1:2:nan", "curve=1:2:1e9", "srgb"])
def test_what_is_no_name_of_a_curve_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected curve=A:B:C"):
        named_curve(name)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_stored_value_survives_linear_light(dtype: type) -> None:
    values: np.ndarray = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(1, -1)[..., None].repeat(3, axis=2)
    back = photometry.quantised(photometry.to_linear(values, S_CURVE), S_CURVE, np.dtype(dtype))
    assert np.abs(back.astype(int) - values).max() <= (0 if dtype == np.uint8 else 1)


def test_the_slope_of_encoding_is_that_of_differences() -> None:
    linear = np.linspace(0.01, 0.99, 99, dtype=np.float32)
    encoded, slope = photometry.encode_with_slope(linear, S_CURVE)
    np.testing.assert_allclose(encoded, photometry.encode_tone(linear, S_CURVE), atol=2e-5)
    further, before = (photometry.encode_tone(linear + sign * 0.001, S_CURVE) for sign in (1, -1))
    np.testing.assert_allclose(slope, (further - before) / 0.002, rtol=0.02)


def test_beyond_white_the_curve_goes_on_as_a_line() -> None:
    (at_one, beyond), (slope, _) = photometry.encode_with_slope(np.array([1, 1.1], np.float32), S_CURVE)
    assert beyond - at_one == pytest.approx(0.1 * slope, rel=1e-4)
