"""Tone curves of a camera as a few numbers: sRGB with another slope at each brightness.

A curve converts encoded values v to linear light D(v). Both are on [0, 1], and D(0) = 0, D(1) = 1. The slope of the
curve is that of sRGB times a positive factor,

    D'(v) ∝ S'(v) · exp(u(v)),

where S is the sRGB curve and u the natural cubic spline through the numbers of the curve at equal distances from v = 0
to v = 1. The curve is therefore monotone for any numbers, and it is sRGB if all of them are equal. Its name contains
them: ``curve=-0.31:0.05:0.12:0.08:0.06``. Adding a constant to all numbers changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from d2crealsr.settings import CURVE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2crealsr.types import Array

__all__ = ["KNOTS", "ToneCurve", "curve_name", "is_curve", "named_curve"]

KNOTS = 5
"""Number of knots of the curves that are fitted."""

_STEPS = 1 << 14
"""Number of equal steps of v in which a curve is tabulated. Between them it is linear, with errors below 10⁻⁸."""


def is_curve(tone: str) -> bool:
    """Whether a tone curve is one of this family."""
    return tone.startswith("curve=")


def curve_name(numbers: Array) -> str:
    """The name of the curve with these numbers, rounded to four decimals; ``"srgb"`` if they are then equal.

    Examples
    --------
    >>> curve_name(np.array([-0.25, 0, 0.5])), curve_name(np.zeros(3))
    ('curve=-0.25:0:0.5', 'srgb')
    """
    rounded = np.round(np.asarray(numbers, np.float64), 4) + 0.0
    return "curve=" + ":".join(f"{number:.10g}" for number in rounded) if np.ptp(rounded) else "srgb"


@dataclass(frozen=True)
class ToneCurve:
    """A tabulated tone curve.

    Attributes
    ----------
    numbers : (K,) ndarray
        Natural logarithms of the slope over that of sRGB at K equally spaced values from 0 to 1.
    table : (_STEPS + 1,) ndarray
        Linear light of equally spaced encoded values from 0 to 1.
    """

    numbers: Array
    table: Array

    @classmethod
    def of(cls, numbers: Array) -> ToneCurve:
        """The curve with these numbers."""
        integral = _integrals(numbers)[0]
        return cls(np.asarray(numbers, np.float64), integral / integral[-1])

    def decoded(self, encoded: NDArray[np.floating]) -> Array:
        """Linear light of encoded values on [0, 1]."""
        decoded: Array = np.interp(encoded, _values(), self.table)
        return decoded

    def encoded(self, linear: NDArray[np.floating]) -> Array:
        """Encoded values of linear light on [0, 1]."""
        encoded: Array = np.interp(linear, self.table, _values())
        return encoded

    def slope(self) -> Array:
        """Derivative of the encoded value by linear light at the tabulated values, (_STEPS + 1,)."""
        slope: Array = 1 / np.gradient(self.table, 1 / _STEPS)
        return slope

    def by_number(self) -> Array:
        """Derivatives of :attr:`table` by each of the numbers, (K, _STEPS + 1)."""
        integral, *derivatives = _integrals(self.numbers, derivatives=True)
        return np.stack([(each - self.table * each[-1]) / integral[-1] for each in derivatives])


def named_curve(tone: str) -> ToneCurve:
    """The curve with this name; raises ValueError if it is not the name of one."""
    match = CURVE.fullmatch(tone)
    if match is None:
        raise ValueError(f"tone: got {tone[:80]!r}, expected curve=A:B:C… with 3 to 16 numbers between -99 and 99")
    return _tabulated(tuple(float(number) for number in match[1].split(":")))


@cache
def _tabulated(numbers: tuple[float, ...]) -> ToneCurve:
    return ToneCurve.of(np.array(numbers))


@cache
def _values() -> Array:
    return np.linspace(0, 1, _STEPS + 1)


class _Basis(NamedTuple):
    """The slope of sRGB (N,) and the cardinal splines (K, N) in the middle of each of N steps."""

    slope: Array
    splines: Array


@cache
def _basis(knots: int) -> _Basis:
    middle = (np.arange(_STEPS) + 0.5) / _STEPS
    slope = np.where(middle <= 0.04045, 1 / 12.92, 2.4 / 1.055 * ((middle + 0.055) / 1.055) ** 1.4)
    splines = CubicSpline(np.linspace(0, 1, knots), np.eye(knots), bc_type="natural")(middle)
    return _Basis(slope, np.ascontiguousarray(splines.T))


def _integrals(numbers: Array, *, derivatives: bool = False) -> list[Array]:
    """∫ S' exp(u) from 0 to each tabulated value, and if requested its derivatives by the numbers."""
    basis = _basis(len(numbers))
    slope = basis.slope * np.exp(np.asarray(numbers) @ basis.splines)
    integrands = [slope, *(slope * basis.splines if derivatives else ())]
    return [np.concatenate([[0.0], np.cumsum(each)]) / _STEPS for each in integrands]
