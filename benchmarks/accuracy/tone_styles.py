"""Tone curves of cameras for :mod:`benchmarks.accuracy.tone_curves`, none of them of the family that ``tone`` fits."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.interpolate import CubicSpline

from d2crealsr.imaging.tone_family import ToneCurve, curve_name
from d2crealsr.simulate.printing import srgb_of_linear

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CURVES", "CURVES_OF_CHANNELS", "Light", "contrast", "filmic", "flat", "known_name", "s_curve"]

Light = np.ndarray[Any, Any]

_STEEPNESS = 6.0
_JPEG_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

_KNOWN_NUMBERS = 16
"""The most numbers that the name of a curve can have."""


def _sigmoid(value: Light) -> Light:
    """A contrast curve of encoded values from (0, 0) to (1, 1), steepest in the middle."""
    low, high = (1 / (1 + np.exp(-_STEEPNESS * (end - 0.5))) for end in (0, 1))
    curved: Light = (1 / (1 + np.exp(-_STEEPNESS * (value - 0.5))) - low) / (high - low)
    return curved


def s_curve(linear: Light) -> Light:
    """The sigmoid on encoded values of each channel."""
    return _sigmoid(srgb_of_linear(linear))


def contrast(linear: Light) -> Light:
    """The sigmoid on luma; the colours move by as much."""
    encoded = srgb_of_linear(linear)
    luma = encoded @ _JPEG_LUMA
    moved: Light = encoded + (_sigmoid(luma) - luma)[..., None]
    return moved


def filmic(linear: Light) -> Light:
    """Toe and shoulder of a film: a rational curve (J. Hable, "Filmic tonemapping for real-time rendering", 2010)."""

    def film(x: Light) -> Light:
        return (x * (0.22 * x + 0.03) + 0.002) / (x * (0.22 * x + 0.3) + 0.06) - 0.01 / 0.3

    encoded: Light = srgb_of_linear(np.clip(film(4 * linear) / film(np.float64(4)), 0, 1))  # type: ignore[arg-type]
    return encoded


def flat(linear: Light) -> Light:
    """Logarithmic from a raised black to a lowered white, as the flat profiles of video."""
    encoded: Light = 0.1 + 0.85 * np.log1p(60 * linear) / np.log(61)
    return encoded


CURVES: dict[str, tuple[Callable[[Light], Light], Callable[[Light], Light]]] = {
    "srgb": (srgb_of_linear, srgb_of_linear),
    "S-curve": (s_curve, s_curve),
    "contrast": (contrast, contrast),
    "filmic": (filmic, filmic),
    "flat": (flat, flat),
    "mixed": (filmic, s_curve),
}
"""The curves of HR and of LR."""

CURVES_OF_CHANNELS = ("S-curve", "filmic", "flat", "mixed")
"""Those that are not sRGB and change each channel by itself."""


@cache
def known_name(curve: Callable[[Light], Light]) -> str:
    """The name of the curve of 16 numbers that is closest to a curve of single channels, which is monotone."""
    linear = np.linspace(0, 1, 1 << 18)
    encoded = curve(linear)
    srgb = ToneCurve.of(np.zeros(_KNOWN_NUMBERS)).table
    values = np.linspace(0, 1, len(srgb))
    middle = (values[1:] + values[:-1]) / 2
    slope = np.interp(middle, (encoded[1:] + encoded[:-1]) / 2, np.diff(linear) / np.diff(encoded))
    weight = np.diff(srgb) / np.diff(values)  # errors count as errors of light
    knots = np.linspace(0, 1, _KNOWN_NUMBERS)
    splines = CubicSpline(knots, np.eye(_KNOWN_NUMBERS), bc_type="natural")(middle)
    numbers = np.linalg.lstsq(splines * weight[:, None], np.log(slope / weight) * weight, rcond=None)[0]
    return curve_name(numbers - numbers.mean())
