"""Straight lines across a picture that could be the sides of a card, and how much speaks for each along its course.

All functions look for lines that run nearly along the rows, and are given the transposed picture for the others. A line
is its offset from the middle row at the middle column, and its slope.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv

if TYPE_CHECKING:
    from d2crealsr.imaging.card_view import Float32, Mask
    from d2crealsr.types import Array

__all__ = ["Courses", "courses", "ridges", "straight_lines"]

_BLUR_PX = 1.0
_STEEPEST = 0.18
"""Largest slope of a line: 10 degrees."""

_STEP_PX = 0.7
"""Distance at the ends of the middle part between lines of successive slopes."""

_FEWEST = 0.25
"""Smallest share of the middle columns in which a line has a ridge."""

_MIDDLE = 0.05
"""Share of the height about the middle row where no side of a card is sought."""

_ON_LINE = 0.7
"""Share of a side's columns that are expected to have a ridge on it."""

_RATES = (0.05, 0.6)
"""Bounds of the share of columns in which chance puts a ridge on a line."""

_BESIDE_PX = 3
"""Distance from a line at which inside and outside are compared."""

_STEP_COUNTS = 3.0
"""Weight of a column in which all is like the surroundings outside of a line and nothing inside, as a logarithm."""

_KEPT = 16
"""Lines that are kept on each side of the middle."""


def ridges(pixels: Float32, least: float) -> Mask:
    """Where the colours, (h, w, n), change along the columns more than above and below, and than along the rows.

    ``least`` is the smallest change that counts, per px.
    """
    smooth = np.atleast_3d(opencv.blur(pixels, _BLUR_PX))
    down, across = np.zeros(smooth.shape[:2], np.float32), np.zeros(smooth.shape[:2], np.float32)
    down[1:-1] = np.linalg.norm(smooth[2:] - smooth[:-2], axis=2) / 2
    across[:, 1:-1] = np.linalg.norm(smooth[:, 2:] - smooth[:, :-2], axis=2) / 2
    is_top = (down >= np.roll(down, 1, axis=0)) & (down > np.roll(down, -1, axis=0))
    return np.asarray((down > least) & is_top & (down > across))


def straight_lines(ridge: Mask, reach: float, most: int) -> Array:
    """Offsets and slopes, (2, K), of the ``most`` lines with most ridges within ``reach`` columns of the middle."""
    height, width = ridge.shape
    y, x = np.nonzero(ridge)
    near = np.abs(x - (width - 1) / 2) <= reach
    x, y = x[near] - (width - 1) / 2, y[near] - (height - 1) / 2
    slopes = np.linspace(-_STEEPEST, _STEEPEST, 1 + 2 * int(np.ceil(_STEEPEST * reach / _STEP_PX)))
    rows = np.clip(np.rint(y - slopes[:, None] * x).astype(int) + height // 2, 0, height - 1)
    votes = np.stack([np.bincount(row, minlength=height) for row in rows])
    votes[:, 1:-1] = votes[:, 1:-1] + votes[:, 2:] + votes[:, :-2]
    votes[:, np.abs(np.arange(height) - height // 2) < _MIDDLE * height] = 0
    found: list[tuple[float, float]] = []
    while len(found) < most:
        slope, row = np.unravel_index(votes.argmax(), votes.shape)
        if votes[slope, row] <= _FEWEST * 2 * reach:
            break
        found.append(_fitted(x, y, float(row - height // 2), float(slopes[slope]), reach))
        votes[:, max(0, row - 1) : row + 2] = 0
    return np.array(found).reshape(-1, 2).T


def _fitted(x: Array, y: Array, offset: float, slope: float, reach: float) -> tuple[float, float]:
    """A line through the ridges next to it."""
    for apart in (2.5, 1.5):
        near = np.abs(y - slope * x - offset) <= apart
        if near.sum() > 5 and np.ptp(x[near]) > reach:
            slope, offset = np.polyfit(x[near], y[near], 1)
    return offset, slope


@dataclass(frozen=True)
class Courses:
    """What speaks for each of K lines. Its sums up to each column have the shape (K, w + 1).

    Attributes
    ----------
    offset, slope : (K,) ndarray
        The lines.
    evidence : ndarray
        That it is the side of a card: ``edge``, and the surroundings outside of it, with something else inside.
    edge : ndarray
        Logarithm of how much likelier the ridges on the line are if it is an edge than by chance.
    step : ndarray
        Share of pixels unlike the surroundings inside of it, less that outside.
    """

    offset: Array
    slope: Array
    evidence: Array
    edge: Array
    step: Array

    def between(self, sums: Array, line: NDArray[np.intp], first: Array, last: Array) -> Array:
        """Sums over a part of some lines, from one column to another, counted from the middle."""
        middle = (sums.shape[1] - 2) / 2
        low, high = (np.clip(np.rint(at + middle + 0.5).astype(int), 0, sums.shape[1] - 1) for at in (first, last))
        return np.asarray(sums[line, high] - sums[line, low])


def courses(lines: Array, ridge: Mask, unlike: Mask, reach: float) -> Courses:
    """The most likely sides of a card among some lines, (2, K), above and below the middle.

    ``unlike`` says which pixels do not look like the surroundings.
    """
    height, width = ridge.shape
    offset, slope = lines
    x = np.arange(width) - (width - 1) / 2
    rows = np.rint(offset[:, None] + slope[:, None] * x + (height - 1) / 2).astype(int)
    within = (rows >= 0) & (rows < height)
    near = ridge | np.roll(ridge, 1, axis=0) | np.roll(ridge, -1, axis=0)
    chance = float(np.clip(near.mean(), *_RATES))
    on_ridge = near[np.clip(rows, 0, height - 1), np.arange(width)] & within
    edge = np.where(on_ridge, np.log(_ON_LINE / chance), np.log((1 - _ON_LINE) / (1 - chance)))
    share = unlike.astype(np.float32)
    share = (np.roll(share, 1, axis=0) + share + np.roll(share, -1, axis=0)) / np.float32(3)
    inward = np.where(offset < 0, _BESIDE_PX, -_BESIDE_PX)[:, None]
    inside, outside = (share[np.clip(rows + way, 0, height - 1), np.arange(width)] for way in (inward, -inward))
    step = inside - outside
    likely = (edge + _STEP_COUNTS * step)[:, np.abs(x) <= reach].sum(axis=1)
    halves = [np.flatnonzero(half) for half in (offset < 0, offset >= 0)]
    kept = np.concatenate([half[np.argsort(-likely[half], kind="stable")][:_KEPT] for half in halves])
    sums = (
        np.pad(np.cumsum(each[kept], axis=1), ((0, 0), (1, 0))) for each in (edge + _STEP_COUNTS * step, edge, step)
    )
    return Courses(offset[kept], slope[kept], *sums)
