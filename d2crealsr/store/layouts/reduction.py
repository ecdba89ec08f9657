"""Pairs whose LR image was enlarged to HR's size, as RealSR is published, as pairs of a scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

__all__ = ["box_reduced", "reduced_size", "whole_part"]


def reduced_size(size: tuple[int, int], factor: int) -> tuple[int, int]:
    """Width and height of an image after :func:`box_reduced`."""
    return size[0] // factor, size[1] // factor


def box_reduced(image: NDArray[Any], factor: int) -> NDArray[Any]:
    """The mean of each block of ``factor`` × ``factor`` pixels, of stored values, rounded to the image's own depth.

    Rows and columns at the end that do not fill a block are left out.

    Examples
    --------
    >>> image = np.arange(30, dtype=np.uint8).reshape(2, 5, 3)
    >>> box_reduced(image, 2).shape, int(box_reduced(image, 2)[0, 1, 0])
    ((1, 2, 3), 15)
    """
    part = whole_part(image, factor)
    height, width = (side // factor for side in part.shape[:2])
    blocks = part.reshape(height, factor, width, factor, *part.shape[2:])
    return np.asarray(np.rint(blocks.mean(axis=(1, 3))), dtype=image.dtype)


def whole_part(image: NDArray[Any], factor: int) -> NDArray[Any]:
    """The image without the rows and columns at the end that do not fill a block."""
    height, width = (side // factor * factor for side in image.shape[:2])
    return image[:height, :width]
