"""The map of ``d2c upscale --confidence`` beside the real error, for an image of which HR is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from d2c.inference import confidence
from d2c.inference.figures import CIVIDIS, cut, heat
from d2c.metrics import to_uint8, y_basicsr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2c.inference.figures import Box
    from d2c.report.panels import Panel, PanelWriter

    Plane = NDArray[np.floating]

__all__ = ["LikelyErrors", "likely_errors", "rank_correlation"]

_LIGHTEST = 0.99
"""Quantile of an image's values that has the lightest colour."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LikelyErrors:
    """Input, output, map and error of one crop side by side.

    The lightest colour stands for the grey value ``lightest`` in the map, and for ``worst`` 8-bit levels of Y in the
    error. ``rank`` is the rank correlation of the two over the LR pixels of the whole image, nan if one of them is the
    same everywhere.
    """

    panels: list[Panel]
    lightest: float
    worst: float
    rank: float


def likely_errors(
    sr: NDArray[Any], hr: NDArray[Any], scale: int, box: Box, writer: PanelWriter, beside: list[Panel]
) -> LikelyErrors:
    """Draw the map of an output ``(H, W, 3)`` and its error after the panels of input and output."""
    values = confidence.likely_error(to_uint8(sr), scale)
    error = np.abs(y_basicsr(sr) - y_basicsr(hr))
    height, width = values.shape
    planes = {"likely error": confidence.enlarged(values, scale, 0, scale * height), "error": error}
    tops = [max(float(np.quantile(plane, _LIGHTEST)), 1.0) for plane in planes.values()]
    drawn = [
        writer.write(label, heat(cut(plane, box, scale) / top, CIVIDIS), words)
        for (label, plane), top, words in zip(
            planes.items(), tops, ("How quickly the output changes,", "Error"), strict=True
        )
    ]
    squares = (error**2).reshape(height, scale, width, scale).mean(axis=(1, 3))
    rank = rank_correlation(values, squares)
    return LikelyErrors(panels=[*beside, *drawn], lightest=tops[0], worst=tops[1], rank=rank)


def rank_correlation(one: Plane, other: Plane) -> float:
    """Spearman's rank correlation of two planes, nan if one of them is the same everywhere."""
    first, second = (rankdata(plane.ravel()) - (plane.size + 1) / 2 for plane in (one, other))
    size = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / size if size else math.nan
