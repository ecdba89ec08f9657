"""Intervals of 95 % of what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import beta
from scipy.stats import t as student

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Mean", "half_width", "mean_of", "of_share", "resolved"]


class Mean(NamedTuple):
    """A mean with its interval."""

    mean: float
    low: float
    high: float


def mean_of(values: ArrayLike) -> Mean:
    """The mean of independent values and its interval by Student's t, which is unknown (nan) for a single value.

    Examples
    --------
    >>> mean_of([1.0, 2.0, 3.0])
    Mean(mean=2.0, low=-0.484..., high=4.484...)
    """
    middle, half = float(np.asarray(values, float).mean()), half_width(values)
    return Mean(middle, middle - half, middle + half)


def half_width(values: ArrayLike) -> float:
    """Half the width of the interval of the mean of independent values, which is unknown (nan) for a single value."""
    numbers = np.asarray(values, float)
    if numbers.size < 2:
        return float("nan")
    spread = float(numbers.std(ddof=1)) / float(np.sqrt(numbers.size))
    return float(student.ppf(0.975, numbers.size - 1)) * spread


def resolved(values: ArrayLike) -> str:
    """Whether the interval of the mean excludes 0: yes or no; empty for a single value, which has no interval."""
    half = half_width(values)
    if half != half:
        return ""
    return "yes" if abs(float(np.asarray(values, float).mean())) > half else "no"


def of_share(successes: int, count: int) -> tuple[float, float]:
    """Exact binomial interval of a share (Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404).

    Examples
    --------
    >>> of_share(5, 10)
    (0.187..., 0.81...)
    """
    low = float(beta.ppf(0.025, successes, count - successes + 1)) if successes else 0.0
    high = float(beta.ppf(0.975, successes + 1, count - successes)) if successes < count else 1.0
    return low, high
