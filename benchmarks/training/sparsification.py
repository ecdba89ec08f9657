"""How well a map of confidence orders the errors of one image: AUSE, rank correlation, and partial rank correlation.

References
----------
Ilg et al., "Uncertainty Estimates and Multi-Hypotheses Networks for Optical Flow", ECCV 2018,
doi:10.1007/978-3-030-01234-2_40.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.floating]

__all__ = ["ause", "block_rms", "partial_rank_correlation", "rank_correlation", "smoothed"]

_FRACTIONS = np.arange(0, 20) / 20
"""Shares of the blocks that are taken away."""


def block_rms(image: Plane, side: int) -> Plane:
    """Root mean square of an image over blocks of side×side px. Its sides are multiples of ``side``."""
    rows, columns = (length // side for length in image.shape)
    return np.asarray(np.sqrt((image.reshape(rows, side, columns, side) ** 2).mean(axis=(1, 3))))


def smoothed(blocks: Plane, sigma: float) -> Plane:
    """A map of blocks under a Gaussian of so many blocks."""
    return np.asarray(ndimage.gaussian_filter(blocks, sigma) if sigma else blocks)


def ause(uncertainty: Plane, error: Plane) -> float:
    """Area between the sparsification curve of an uncertainty and that of the error itself.

    The curve is the root mean square error of the blocks that are left when the most uncertain ones are taken away,
    relative to that of all blocks. The area is the mean over 0, 5, …, 95 % taken away. It is 0 for a perfect order.

    Examples
    --------
    >>> error = np.array([1.0, 2, 3, 4])
    >>> ause(error**2, error), ause(-error, error) > 0.5
    (0.0, True)
    """
    curves = []
    for order in (np.argsort(-uncertainty.ravel(), kind="stable"), np.argsort(-error.ravel(), kind="stable")):
        squares = error.ravel()[order] ** 2
        left = np.cumsum(squares[::-1])[::-1] / np.arange(len(squares), 0, -1)
        curves.append(np.sqrt(left[(_FRACTIONS * len(squares)).astype(int)] / squares.mean()))
    return float(np.mean(curves[0] - curves[1]))


def rank_correlation(first: Plane, second: Plane) -> float:
    """Spearman's rank correlation of two maps."""
    return float(stats.spearmanr(first.ravel(), second.ravel()).statistic)


def partial_rank_correlation(first: Plane, second: Plane, given: Plane) -> float:
    """Rank correlation of two maps that is left when the part explained by the ranks of a third one is taken out."""
    between, one, other = (rank_correlation(*pair) for pair in ((first, second), (first, given), (second, given)))
    return float((between - one * other) / np.sqrt((1 - one**2) * (1 - other**2)))
