"""The frame of a card in a clear sleeve, whose own edges are as far from the card's on all sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from d2crealsr.imaging.frames import Frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.imaging.card_view import Float32, Mask

    Index = NDArray[np.intp]

__all__ = ["within_sleeve"]

_NARROWEST_PX, _WIDEST = 3, 0.16
"""Width of a rim: the smallest in px, and the largest as a share of the card's shorter side."""

_EDGES, _EDGE = 0.4, 0.2
"""Smallest share of the sides on which the rim's other edge is seen, beyond chance: in the mean, and on all but one."""

_SEEN = 0.3
"""Share of a side at which its inner edge is believed, even if the outer one is seen better."""

_HAZE, _EVEN = 0.25, 0.08
"""Largest difference of the rim's median colour from that of the desk, and its largest median deviation from it."""

_MOST_SIDES = 3
"""Number of sides with a rim like a sleeve's from which on the other sides are believed too: a sleeve has four."""

_CORNER_PX = 2


class _Side(NamedTuple):
    """A side of an outline: its line, which way is inward, and from where to where it runs, from the middle."""

    line: tuple[float, float]
    inward: int
    first: float
    last: float


def within_sleeve(outline: Frame, ridges: Sequence[Mask], colours: Float32, desk: Float32) -> Frame | None:
    """The frame of the card if its outline is, on some sides at least, that of a sleeve; else None.

    On each side the outline may be the outer edge of the rim or its inner one, which is that of the card. The other one
    lies further in or further out by the width of the rim.

    Parameters
    ----------
    ridges : sequence of (h, w) ndarray of bool
        Edges along the rows, and those along the columns of the transposed view.
    colours : (h, w, 3) ndarray
        The view of the card.
    desk : (3,) ndarray
        The median colour of the desk.
    """
    across, down = (outline.left[0], outline.right[0]), (outline.top[0], outline.bottom[0])
    sides = [_Side(outline.top, 1, *across), _Side(outline.right, -1, *down)]
    sides += [_Side(outline.bottom, -1, *across), _Side(outline.left, 1, *down)]
    widths = np.arange(_NARROWEST_PX - 1, int(_WIDEST * outline.shorter_side) + 2)
    if len(widths) < 3:
        return None
    seen = [(colours, ridges[0]), (np.swapaxes(colours, 0, 1), ridges[1])] * 2
    further_in, further_out = (
        np.array([_seen_at(side, way * widths, ridge) for side, (_, ridge) in zip(sides, seen, strict=True)])
        for way in (1, -1)
    )
    shares = np.maximum(further_in, further_out)[:, 1:-1]
    best = int(shares.mean(axis=0).argmax())
    if shares[:, best].mean() < _EDGES or np.sort(shares[:, best])[1] < _EDGE:
        return None
    near_best = slice(best, best + 3)  # of `widths`: the best of the inner ones, and those next to it
    inner, outer = (each[:, near_best] for each in (further_in, further_out))
    is_outer = inner.max(axis=1) >= np.minimum(outer.max(axis=1), _SEEN)
    moves = np.where(is_outer, widths[near_best][inner.argmax(axis=1)], 0)
    rims = [_is_rim(side, move, image, desk) for side, move, (image, _) in zip(sides, moves, seen, strict=True)]
    moves = np.where(rims, moves, 0) if sum(rims) < _MOST_SIDES else moves
    lines = ((side.line[0] + float(side.inward * move), side.line[1]) for side, move in zip(sides, moves, strict=True))
    return Frame(*lines) if moves.any() else None


def _columns_and_rows(side: _Side, inward: float, shape: tuple[int, ...]) -> tuple[Index, Index]:
    """The pixels along a side, moved inward."""
    height, width = shape[:2]
    first, last = (int(at + (width - 1) / 2) for at in (side.first, side.last))
    column = np.arange(max(0, first + _CORNER_PX), min(width, last - _CORNER_PX))
    row = side.line[0] + inward * side.inward + side.line[1] * (column - (width - 1) / 2) + (height - 1) / 2
    return column, np.clip(np.rint(row).astype(int), 0, height - 1)


def _seen_at(side: _Side, inward: Index, ridge: Mask) -> list[float]:
    """Share of a side that shows an edge at some distances from its line, less what chance would show."""
    near = ridge | np.roll(ridge, 1, axis=0) | np.roll(ridge, -1, axis=0)
    shares = []
    for distance in inward:
        column, row = _columns_and_rows(side, distance, ridge.shape)
        shares.append(float(near[row, column].mean()) - float(near.mean()) if len(column) else 0.0)
    return shares


def _is_rim(side: _Side, width: float, image: Float32, desk: Float32) -> bool:
    """Whether the desk shines through what lies within a side, if that is the outer edge of a rim."""
    column, row = _columns_and_rows(side, width / 2, image.shape)
    seen = image[row, column]
    usual = np.median(seen, axis=0)
    return bool(np.abs(usual - desk).max() <= _HAZE and np.median(np.abs(seen - usual).max(axis=1)) <= _EVEN)
