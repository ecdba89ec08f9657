"""The largest upright rectangle among the cells of a grid that are allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from d2crealsr.imaging.card_view import Mask
    from d2crealsr.types import Array

__all__ = ["largest_rectangle"]


def largest_rectangle(allowed: Mask) -> tuple[int, int, int, int]:
    """First column, first row, width and height of the largest rectangle of allowed cells; zeros if there is none.

    Each row is the foot of a rectangle below a skyline: how many allowed cells stand on each of its cells.

    Examples
    --------
    >>> largest_rectangle(np.array([[True, False, False], [True, True, True]]))
    (0, 1, 3, 1)
    """
    best, found = 0, (0, 0, 0, 0)
    heights = np.zeros(allowed.shape[1], dtype=int)
    for row, cells in enumerate(allowed):
        heights = np.where(cells, heights + 1, 0)
        first, width, height = _below(heights)
        if width * height > best:
            best, found = width * height, (first, row - height + 1, width, height)
    return found


def _below(heights: Array) -> tuple[int, int, int]:
    """First column, width and height of the largest rectangle below a skyline."""
    best, found = 0, (0, 0, 0)
    open_: list[tuple[int, int]] = []  # where rectangles that can still grow begin, and their heights
    for column, height in enumerate([*heights.tolist(), 0]):
        first = column
        while open_ and open_[-1][1] >= height:
            first, tall = open_.pop()
            if tall * (column - first) > best:
                best, found = tall * (column - first), (first, column - first, tall)
        open_.append((first, height))
    return found
