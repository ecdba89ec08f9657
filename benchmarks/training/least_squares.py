"""The best linear filter from LR to HR: exact least squares, without steps, seeds or settings.

Each HR pixel of a block that belongs to one LR pixel is a weighted sum of the 9×9 LR pixels around it, plus a constant.
All of these filters come from one system of normal equations, so that a set of pairs is fitted in seconds. A trained
network does better; this is what any of them has to exceed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from d2c.metrics import to_uint8, y_basicsr

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from d2crealsr.types import Image

__all__ = ["SIDE", "filtered", "fitted", "luma"]

SIDE = 9
"""Side of the window in LR px."""

_RIDGE = 1e-6
"""Added to the normal equations, relative to their mean diagonal, because neighbouring pixels are nearly equal."""


def luma(image: Image) -> NDArray[np.float32]:
    """BT.601 Y of an image, on [16, 235]."""
    return np.asarray(y_basicsr(to_uint8(image)), np.float32)


def fitted(
    pairs: Iterable[tuple[NDArray[np.floating], NDArray[np.floating]]], scale: int, *, turned: bool = False
) -> NDArray[np.float64]:
    """The filters of a set of pairs.

    Parameters
    ----------
    pairs : iterable of ((h, w) ndarray, (h*scale, w*scale) ndarray)
        Luma of LR and HR in one unit.
    scale : int
        HR px per LR px.
    turned : bool
        Whether each pair is used in its eight flips and turns, as most networks are trained.

    Returns
    -------
    (SIDE² + 1, scale²) ndarray
        A column for each HR pixel of a block, in rows; the last row holds the constants.
    """
    products = np.zeros((SIDE**2 + 1, SIDE**2 + 1))
    targets = np.zeros((SIDE**2 + 1, scale**2))
    reach = SIDE // 2
    for lr, hr in pairs:
        seen = _windows(lr)
        height, width = lr.shape
        blocks = hr.reshape(height, scale, width, scale).transpose(0, 2, 1, 3)
        wanted = blocks[reach : height - reach, reach : width - reach].reshape(-1, scale**2).astype(np.float64)
        products += seen.T @ seen
        targets += seen.T @ wanted
    if turned:
        products, targets = _of_all_turns(products, targets, scale)
    products[np.diag_indices(SIDE**2)] += _RIDGE * np.trace(products) / len(products)
    return np.asarray(np.linalg.solve(products, targets))


def _of_all_turns(
    products: NDArray[np.float64], targets: NDArray[np.float64], scale: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The normal equations of pairs and of their flips and turns: each permutes the pixels of windows and blocks."""
    all_products, all_targets = np.zeros_like(products), np.zeros_like(targets)
    for window, block in zip(_turns(SIDE), _turns(scale), strict=True):
        order = np.append(window, SIDE**2)
        all_products += products[np.ix_(order, order)]
        all_targets += targets[np.ix_(order, block)]
    return all_products, all_targets


def _turns(side: int) -> list[NDArray[np.intp]]:
    """The order of a square's pixels, in rows, for each of its eight flips and turns."""
    square = np.arange(side**2).reshape(side, side)
    return [np.rot90(each, k).ravel() for each in (square, square.T) for k in range(4)]


def filtered(lr: NDArray[np.floating], filters: NDArray[np.float64], scale: int) -> NDArray[np.float64]:
    """HR's luma by the filters, (h*scale, w*scale). LR's border is repeated outside."""
    height, width = lr.shape
    blocks = (_windows(np.pad(lr, SIDE // 2, mode="edge")) @ filters).reshape(height, width, scale, scale)
    return blocks.transpose(0, 2, 1, 3).reshape(height * scale, width * scale)


def _windows(lr: NDArray[np.floating]) -> NDArray[np.float64]:
    """A row for each window that is inside LR, in rows, with a one at its end."""
    windows = sliding_window_view(lr.astype(np.float64), (SIDE, SIDE)).reshape(-1, SIDE**2)
    return np.column_stack([windows, np.ones(len(windows))])
