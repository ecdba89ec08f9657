"""Statistics of a residual field: percentiles, the worst neighbourhood and side, and the share that was measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array, ResidualField

__all__ = ["measured_share", "percentile", "typical_zncc", "under", "worst_neighbourhood", "worst_side"]

_NEIGHBOURHOOD = 1 / 3
_LEAST_NEIGHBOURS = 3
"""Side of a neighbourhood: this share of the sides of the crop, but at least so many blocks."""
_KNOWN_WEIGHT = 1.0
"""Smallest weight of a neighbourhood or side whose mean shift is accurate enough to be the worst one."""
_KNOWN_SHARE = 0.25
"""Smallest mean weight of the blocks of such a side."""
_ALONE = 1 - 1e-6
"""Sum of squared shares of the weights (one over the effective number of blocks) that means a single block."""


def under(field: ResidualField, mapping: CaptureMapping, other: CaptureMapping, scale: int) -> ResidualField:
    """The residual field of another mapping, given that of ``mapping``: the content is in the same places of HR."""
    p_hr = mapping.lr_to_hr(field.points_lr + field.shifts_hr_px / scale)
    return replace(field, shifts_hr_px=scale * (other.hr_to_lr(p_hr) - field.points_lr))


def percentile(field: ResidualField, q: float) -> float:
    """The q-th percentile (0 … 100) of the residual's length in HR px, weighted by block; nan without any weight."""
    return _weighted_percentile(np.linalg.norm(field.shifts_hr_px, axis=1), field.weights, q)


def worst_neighbourhood(field: ResidualField) -> float:
    """Largest length of the weighted mean shift over a ninth of the crop in HR px; nan without any weight.

    A ninth is at least 3×3 blocks. Their mean preserves a local error and averages out most of the noise.
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
    """Largest length of the weighted mean shift along a side of the crop in HR px; nan without any weight.

    A side is the outermost line of blocks with enough weight (sky has little). A card that curls up at its edge departs
    there from the mapping fitted to the rest. The scatter of the blocks increases the length of their mean; this part
    is subtracted. If no line has enough weight, the line with the most is used.
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
    """Length of the weighted mean of (N, 2) shifts, less the part due to their scatter unless there is only one."""
    share = weights / weights.sum()
    mean, of_one = share @ shifts, float(share @ share)
    scatter = float(np.sum(share @ (shifts - mean) ** 2))
    added = scatter * of_one / (1 - of_one) if of_one < _ALONE else 0.0
    return float(np.sqrt(max(float(mean @ mean) - added, 0.0)))


def typical_zncc(field: ResidualField) -> float:
    """Weighted median of the blocks' correlation; blocks without texture, whose noise does not correlate, weigh 0."""
    return _weighted_percentile(np.nan_to_num(field.zncc), field.weights, 50)


def _weighted_percentile(values: Array, weights: Array, q: float) -> float:
    if not weights.any():
        return float("nan")
    order = np.argsort(values)
    share = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
    return float(np.interp(q / 100, share, values[order]))


def measured_share(field: ResidualField) -> float:
    """Share of the unclipped blocks that have enough texture to measure a shift, 0 … 1."""
    shown = np.isfinite(field.zncc)
    return float(np.mean(field.weights[shown] > 0)) if shown.any() else 0.0
