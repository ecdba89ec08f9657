"""Find the largest connected place where LR shows something other than HR: a coin, a date imprint, a fingertip.

A small object hardly changes the share of the crop that differs. But what noise, sharpening, compression and small
displacements leave is never connected over many pixels, however large the crop is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import photometry
from d2crealsr.imaging.channels import largest_of
from d2crealsr.quality.tone_left import left_by_tone
from d2crealsr.types import Crop

if TYPE_CHECKING:
    from d2crealsr.imaging.comparison import LrCrop, Shown

__all__ = ["NONE", "Place", "largest_place", "place_in_words"]

Float32 = NDArray[np.float32]

_BLUR_HR_PX = 8.0
_LEAST_BLUR_LR_PX = 1.0
"""σ of the blur under which both are compared. A place of 36 HR px keeps most of its contrast; noise and the
differences of sharpness at edges lose most of theirs."""
_DIFFERS = 0.05
"""Difference of a channel, encoded on [0, 1], from which on a pixel differs. At scale 8 it is what a place of 36 HR px
that differs by .15 still shows at its rim, blurred by LR and by this comparison."""
_PER_CONTRAST = 0.15
_CONTRAST_LR_PX = 1.5
"""Share of the local contrast that is added to it. Where cameras sharpen edges differently, nothing is foreign. The
contrast is that of the calmer image, as the rim of an object in the other would excuse itself."""
_PER_NOISE = 5.0
"""Where noise is stronger, it is this many robust standard deviations of the differences instead."""
_NEAR_CLIPPED = 0.1
"""Difference up to which pixels next to clipped ones count as equal, because demosaicing and JPEG change them."""
_GAP_LR_PX = 1
"""Places this close are one: the strokes of a digit, the digits of a date."""


class Place(NamedTuple):
    """A connected place where LR shows something other than HR.

    Attributes
    ----------
    hr_px : float
        How far across it is: the longer side of its box, or the diameter of a disc of its area if that is larger. A
        strong difference looks larger than it is, because LR is blurred.
    box : Crop
        The rectangle around it, in LR px.
    """

    hr_px: float
    box: Crop


NONE = Place(0.0, Crop(0, 0, 0, 0))
"""No pixel differs."""


def largest_place(lr: LrCrop, shown: Shown, margin: int = 0) -> Place:
    """The place that is furthest across; :data:`NONE` where no pixel differs.

    Parameters
    ----------
    lr : LrCrop
        The published part of LR.
    shown : Shown
        What it should show according to HR.
    margin : int
        Pixels along the border that are left out, in LR px, where HR ends at the border: LR also received light from
        beyond it.

    Examples
    --------
    A grey crop at scale 8, and in it a disc of 5 LR px that is brighter by .3:

    >>> import numpy as np
    >>> from d2crealsr.imaging.comparison import LrCrop, Shown
    >>> grey = np.full((60, 80, 3), 100, np.uint8)
    >>> lr = LrCrop.of(grey, Crop(0, 0, 80, 60), "srgb", scale=8)
    >>> y, x = np.indices((60, 80))
    >>> with_disc = np.where((np.hypot(x - 30, y - 20) < 2.6)[..., None], 180, grey).astype(np.float32) / 255
    >>> place = largest_place(lr, Shown(with_disc, np.zeros((60, 80), np.bool_)))
    >>> place.box.x <= 28, place.box.x + place.box.width >= 33, place.hr_px >= 36
    (True, True, True)
    """
    observed = photometry.encode_clipped(lr.rgb, lr.tone)
    apart = observed - shown.rgb
    apart -= left_by_tone(apart, shown.rgb, lr.valid)
    # What a clipped HR pixel would have shown is brighter than it is.
    apart[shown.hr_clipped[..., None] & (apart > 0)] = 0
    apart[~lr.valid[..., None] & (np.abs(apart) < _NEAR_CLIPPED)] = 0
    blurred = opencv.blur(apart, max(_BLUR_HR_PX / lr.scale, _LEAST_BLUR_LR_PX))
    noise = 1.4826 * float(np.median(np.abs(blurred), axis=(0, 1)).max())
    contrast = np.minimum(*(_contrast(image) for image in (observed, shown.rgb)))
    differs = largest_of(np.abs(blurred)) > max(_DIFFERS, _PER_NOISE * noise) + _PER_CONTRAST * contrast
    differs &= _inside(differs.shape, margin)
    boxes, areas = opencv.connected(opencv.close(differs, _GAP_LR_PX))
    if not len(areas):
        return NONE
    across = np.maximum(boxes[:, 2:].max(axis=1), 2 * np.sqrt(areas / np.pi)) * lr.scale
    widest = int(np.argmax(across))
    x, y, width, height = (int(v) for v in boxes[widest])
    return Place(float(across[widest]), Crop(lr.crop.x + x, lr.crop.y + y, width, height))


def _inside(shape: tuple[int, ...], margin: int) -> NDArray[np.bool_]:
    """Which pixels are at least a margin away from the border."""
    inside = np.zeros(shape, np.bool_)
    inside[margin : shape[0] - margin, margin : shape[1] - margin] = True
    return inside


def place_in_words(x: int, y: int, width: int, height: int) -> str:
    """Where the place is, for a person; the rectangle is in px of the LR capture."""
    return f"LR shows something else than HR at column {x}, row {y} of LR ({width}x{height} LR px)"


def _contrast(rgb: Float32) -> Float32:
    """Standard deviation of the luma around each pixel."""
    luma = rgb @ photometry.JPEG_LUMA
    mean, square = opencv.blur(luma, _CONTRAST_LR_PX), opencv.blur(luma**2, _CONTRAST_LR_PX)
    return np.asarray(np.sqrt(np.maximum(square - mean**2, 0)), np.float32)
