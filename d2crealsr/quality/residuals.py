"""What is said of a residual field as a whole: percentiles, the worst neighbourhood and side, how much was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from d2crealsr.types import Array, ResidualField

__all__ = ["measured_share", "percentile", "typical_zncc", "worst_neighbourhood", "worst_side"]

_NEIGHBOURHOOD = 1 / 3
_LEAST_NEIGHBOURS = 3
"""A neighbourhood is this share of the crop's sides, and at least so many blocks a side."""
_KNOWN_WEIGHT = 1.0
"""Weight of a neighbourhood or side whose mean shift is known well enough to be called the worst."""
_KNOWN_SHARE = 0.25
"""Likewise a side's weight over that of as many blocks that are known exactly."""
_ALONE = 1 - 1e-6
"""Sum of squared shares, one over the number of blocks that count, from which on there is but one."""


def percentile(field: ResidualField, q: float) -> float:
    """The q-th percentile (0 … 100) of the residual's length in HR px, blocks counted by weight; nan without any."""
    return _weighted_percentile(np.linalg.norm(field.shifts_hr_px, axis=1), field.weights, q)


def worst_neighbourhood(field: ResidualField) -> float:
    """Largest length of the mean shift over a ninth of the crop in HR px, blocks counted by weight; nan without any.

    A ninth is at least 3×3 blocks. Their mean lets through what is wrong in one place and hardly any noise.
    Neighbourhoods with little weight do not count, unless all have little.
    """
    columns, column = np.unique(field.points_lr[:, 0], return_inverse=True)
    rows, row = np.unique(field.points_lr[:, 1], return_inverse=True)
    known = np.zeros((len(rows), len(columns), 3))
    known[row, column] = np.column_stack([field.weights, field.weights[:, None] * field.shifts_hr_px])
    size = [max(_LEAST_NEIGHBOURS, round(_NEIGHBOURHOOD * count)) for count in (len(rows), len(columns))]
    around = ndimage.uniform_filter(known, (*size, 0), mode="constant") * np.prod(size)
    weight = around[..., 0]
    enough = weight >= min(_KNOWN_WEIGHT, weight.max(initial=0.0))
    if not (enough & (weight > 0)).any():
        return float("nan")
    return float(np.max(np.hypot(around[enough, 1], around[enough, 2]) / weight[enough]))


def worst_side(field: ResidualField) -> float:
    """Largest length of the mean shift along a side of the crop in HR px, blocks counted by weight; nan without any.

    A side is the outermost line of blocks with enough weight (sky has little): where a card that curls up departs from
    what has been fitted to the rest. What the scatter of its blocks adds to the length of their mean is taken off.
    Where no line has enough, the one with most stands for all.
    """
    if not field.weights.any():
        return float("nan")
    lines = [[along == place for place in np.unique(along)] for along in field.points_lr.T]
    inwards = [*lines, *(list(reversed(each)) for each in lines)]
    outermost = [next((line for line in each if _says_enough(field.weights[line])), None) for each in inwards]
    sides = [line for line in outermost if line is not None]
    if not sides:
        sides = [max((line for each in lines for line in each), key=lambda line: float(field.weights[line].sum()))]
    return max(_length_of_mean(field.shifts_hr_px[side], field.weights[side]) for side in sides)


def _says_enough(weights: Array) -> bool:
    return float(weights.sum()) >= max(_KNOWN_WEIGHT, _KNOWN_SHARE * len(weights))


def _length_of_mean(shifts: Array, weights: Array) -> float:
    """Length of the weighted mean of (N, 2) shifts without what their scatter adds; all of it where it is one shift."""
    share = weights / weights.sum()
    mean, of_one = share @ shifts, float(share @ share)
    scatter = float(np.sum(share @ (shifts - mean) ** 2))
    added = scatter * of_one / (1 - of_one) if of_one < _ALONE else 0.0
    return float(np.sqrt(max(float(mean @ mean) - added, 0.0)))


def typical_zncc(field: ResidualField) -> float:
    """Median correlation of the blocks, counted by weight: where there is no texture, noise does not correlate."""
    return _weighted_percentile(np.nan_to_num(field.zncc), field.weights, 50)


def _weighted_percentile(values: Array, weights: Array, q: float) -> float:
    if not weights.any():
        return float("nan")
    order = np.argsort(values)
    share = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
    return float(np.interp(q / 100, share, values[order]))


def measured_share(field: ResidualField) -> float:
    """Of the blocks that are not clipped, the share with enough texture to measure a shift, 0 … 1."""
    shown = np.isfinite(field.zncc)
    return float(np.mean(field.weights[shown] > 0)) if shown.any() else 0.0
