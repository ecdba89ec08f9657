"""The place of a pair that its blink shows: where LR has most detail, or where LR and HR show different things."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter1d

from d2crealsr.types import Crop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.imaging.photometry import Float32

__all__ = ["blink_place"]

_WIDEST, _HIGHEST = 640, 480
"""Largest place, in HR px. It is not reduced, so that small displacements are seen."""


def blink_place(lr_luma: Float32, crop: Crop, scale: int, differs: Sequence[float] | None = None) -> Crop:
    """The part of the crop that fits a picture of moderate size.

    Parameters
    ----------
    lr_luma : (h, w) ndarray
        Encoded luma of LR in the crop.
    crop : Crop
        The crop in the LR capture.
    scale : int
        HR pixels per LR pixel.
    differs : sequence of float, optional
        x, y, width and height, in the LR capture, of what LR and HR show differently. It is then in the middle.

    Returns
    -------
    Crop
        The place in the LR capture, inside the crop.

    Examples
    --------
    The detail lies in columns 200 to 258 of the crop, 210 to 268 of the capture:

    >>> luma = np.zeros((60, 300), np.float32)
    >>> luma[:, 200:260:2] = 1
    >>> place = blink_place(luma, Crop(10, 20, 300, 60), 8)
    >>> place.width, place.height, place.x <= 210 and place.x + place.width > 268
    (80, 60, True)
    """
    width, height = min(crop.width, max(1, _WIDEST // scale)), min(crop.height, max(1, _HIGHEST // scale))
    free_x, free_y = crop.width - width, crop.height - height
    if differs is None:
        detail = np.abs(np.diff(lr_luma, axis=1, append=lr_luma[:, -1:]))
        detail += np.abs(np.diff(lr_luma, axis=0, append=lr_luma[-1:]))
        busy = uniform_filter1d(uniform_filter1d(detail, width, axis=1), height, axis=0)
        inside = busy[height // 2 : height // 2 + free_y + 1, width // 2 : width // 2 + free_x + 1]
        y, x = (int(at) for at in np.unravel_index(int(inside.argmax()), inside.shape))
    else:
        x = round(differs[0] + differs[2] / 2 - width / 2) - crop.x
        y = round(differs[1] + differs[3] / 2 - height / 2) - crop.y
    return Crop(crop.x + min(max(x, 0), free_x), crop.y + min(max(y, 0), free_y), width, height)
