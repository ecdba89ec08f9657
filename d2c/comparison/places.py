"""Where methods differ most in an image, to show crops of these places and not of hand-picked ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import uniform_filter

from d2c.inference.figures import Box, cut
from d2c.metrics import y_basicsr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["RULE", "largest_spread", "spread_at"]

RULE = (
    "the square of LR px in which the mean squared errors of Y of the trained methods differ most (largest standard "
    "deviation over the methods), inside a border of one LR px"
)
"""The rule in words, for captions."""


def largest_spread(
    images: Mapping[str, NDArray[Any]], hr: NDArray[Any], scale: int, *, side: int, count: int = 1
) -> list[Box]:
    """The squares of an image in which the errors of some methods differ most, the first one most.

    Parameters
    ----------
    images : mapping
        The result ``(s·h, s·w, 3)`` of each method. Bicubic is better left out: it differs from all others everywhere.
    hr : (s·h, s·w, 3) ndarray
        The true image.
    scale : int
        HR pixels per LR pixel.
    side : int
        Side of a square in LR px; smaller in an image that is smaller.
    count : int
        Number of squares. There are fewer if no more fit in.
    """
    height, width = (length // scale for length in hr.shape[:2])
    side = max(1, min(side, height - 2, width - 2))
    truth = y_basicsr(hr)
    means = np.stack([_window_means((y_basicsr(image) - truth) ** 2, scale, side) for image in images.values()])
    spread = means.std(axis=0)[1 : height - side, 1 : width - side]
    boxes: list[Box] = []
    while len(boxes) < count and spread.size and np.isfinite(spread).any() and spread.max() >= 0:
        y, x = (int(at) for at in np.unravel_index(int(spread.argmax()), spread.shape))
        boxes.append(Box(x + 1, y + 1, side, side))
        spread[max(0, y - side + 1) : y + side, max(0, x - side + 1) : x + side] = -1  # overlapping squares
    return boxes


def spread_at(images: Mapping[str, NDArray[Any]], hr: NDArray[Any], scale: int, box: Box) -> float:
    """Standard deviation over the methods of their mean squared errors of Y in a place."""
    truth = y_basicsr(cut(hr, box, scale))
    errors = [float(np.mean((y_basicsr(cut(image, box, scale)) - truth) ** 2)) for image in images.values()]
    return float(np.std(errors))


def _window_means(error: NDArray[np.float64], scale: int, side: int) -> NDArray[np.float64]:
    """Mean of every square of LR px, by its first pixel ``(h − side + 1, w − side + 1)``."""
    height, width = (length // scale for length in error.shape)
    blocks = error[: scale * height, : scale * width].reshape(height, scale, width, scale).mean(axis=(1, 3))
    first = side // 2
    means = uniform_filter(blocks, side, mode="nearest")
    return means[first : first + height - side + 1, first : first + width - side + 1]
