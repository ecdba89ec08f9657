"""The blocks of a residual field as a partition of the crop: which block each pixel belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from d2crealsr.types import Array, Crop, ResidualField

__all__ = ["Cells"]

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Cells:
    """Blocks in rows and columns, separated half way between their centres. The outermost extend to the crop's sides.

    Attributes
    ----------
    index : (height, width) ndarray
        Number of each pixel's block, which is its index in the residual field.
    turned : pair of ndarray
        ``image[turned]`` is the image with every block rotated by 180 degrees.
    count : int
    """

    index: Indices
    turned: tuple[Indices, Indices]
    count: int

    @classmethod
    def of(cls, field: ResidualField, crop: Crop) -> Cells:
        """The partition that belongs to a residual field of a crop, whose blocks follow row by row."""
        column, turned_x, columns = _along(field.points_lr[:, 0] - crop.x, crop.width)
        row, turned_y, rows = _along(field.points_lr[:, 1] - crop.y, crop.height)
        return cls(row[:, None] * columns + column, (turned_y[:, None], turned_x[None, :]), rows * columns)

    def mean(self, image: NDArray[np.floating], valid: NDArray[np.bool_]) -> Array:
        """Mean of an image over each block's valid pixels, (count,); 0 where there are none."""
        index = self.index[valid]
        total = np.bincount(index, weights=image[valid], minlength=self.count)
        return np.asarray(total / np.maximum(np.bincount(index, minlength=self.count), 1), np.float64)


def _along(centres: Array, length: int) -> tuple[Indices, Indices, int]:
    """For each pixel along one side: its block and its position after a half turn. Also the number of blocks."""
    middle = np.unique(centres)
    inner = np.ceil((middle[1:] + middle[:-1]) / 2).astype(np.intp)
    begin, end = np.concatenate([[0], inner]), np.concatenate([inner, [length]])
    index = np.repeat(np.arange(len(middle)), end - begin)
    return index, (begin + end - 1)[index] - np.arange(length), len(middle)
