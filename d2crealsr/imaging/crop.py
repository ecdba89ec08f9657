"""Choose the rectangle of the LR capture that is published."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

import numpy as np

from d2crealsr import opencv
from d2crealsr.imaging import geometry
from d2crealsr.imaging.placement import Placement
from d2crealsr.settings import MIN_SIDE, crop_request
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.settings import AlignSettings, CropRequest
    from d2crealsr.types import Array, Image

__all__ = ["DEFAULT_SHARE", "MIN_SIDE", "choose_crop", "cut", "default_size", "place", "requested_size"]

_PER_MILLE = 288
"""Half the published share of the HR frame's sides, in ‰: 3456×2304 of 6000×4000, as in the paper. It is a whole number
because .288·6000/8 in floating point is slightly below 216."""

DEFAULT_SHARE = 2 * _PER_MILLE / 1000
"""Share of the HR frame's sides that the default crop covers."""

_HR_MARGIN = 4.0
"""Distance in HR px of published pixels from the border of the capture, so that interpolation stays inside."""


def default_size(hr_size: Size, scale: int) -> Size:
    """LR size of the default crop of an HR frame that LR sees upright: 432×288 for 6000×4000 at ×8.

    Examples
    --------
    >>> default_size(Size(6000, 4000), 8)
    Size(width=432, height=288)
    """
    width, height = (2 * (_PER_MILLE * side // (1000 * scale)) for side in hr_size)
    return Size(width, height)


def requested_size(request: CropRequest, mapping: CaptureMapping, scale: int) -> Size:
    """LR size that ``--crop`` requests. At scale 1 ``default`` means ``max``, so same-size pairs are kept whole."""
    explicit = crop_request(request)
    if explicit is not None:
        return explicit
    if request == "max" or scale == 1:
        return mapping.lr_size
    return default_size(_frame_seen_in_lr(mapping), scale)


def _frame_seen_in_lr(mapping: CaptureMapping) -> Size:
    """Size of the HR frame as LR sees it: width and height are exchanged if it lies on its side there.

    A turn nearer to 90° or 270° than to 0° or 180° counts as lying on its side.
    """
    turn = np.radians(geometry.rotation_deg(mapping.H_hr_to_lr, geometry.frame_centre(mapping.hr_size)))
    width, height = mapping.hr_size
    return Size(height, width) if abs(np.sin(turn)) > abs(np.cos(turn)) else mapping.hr_size


def place(mapping: CaptureMapping, settings: AlignSettings) -> Placement:
    """The placement of a mapping: with the LR rectangle that is published under the settings."""
    return Placement(mapping, choose_crop(mapping, settings.scale, settings.crop), settings.scale)


def choose_crop(mapping: CaptureMapping, scale: int, request: CropRequest) -> Crop:
    """The LR rectangle to publish: of the requested size, around the position of the HR frame's centre in LR.

    If this does not fit into both captures, it is the largest rectangle with that centre that does, which may be empty.
    Its origin is a whole LR pixel.
    """
    wanted = _within(mapping.lr_size, requested_size(request, mapping, scale))
    centre = mapping.hr_centre_in_lr

    def around_centre(width: int, height: int) -> Crop:
        x, y = np.floor(centre - (np.array([width, height]) - 1) / 2 + 0.5).astype(int)
        return Crop(int(x), int(y), width, height)

    def tallest(width: int) -> Crop:
        heights = range(wanted.height, 0, -2)
        first = bisect.bisect_left(
            heights, True, key=lambda height: _fits(Placement(mapping, around_centre(width, height), scale))
        )
        return around_centre(width, heights[first]) if first < len(heights) else around_centre(0, 0)

    if not np.isfinite(centre).all():
        return Crop(0, 0, 0, 0)
    best = around_centre(0, 0)
    for width in range(wanted.width, 0, -2):
        if width * wanted.height <= best.width * best.height:
            break
        best = max(best, tallest(width), key=lambda crop: crop.width * crop.height)
    return best


def _within(lr_size: Size, wanted: Size) -> Size:
    """A size with sides that LR has, each as even or odd as before, since larger ones need not be tried."""
    width, height = (side - 2 * max(0, (side - most + 1) // 2) for side, most in zip(wanted, lr_size, strict=True))
    return Size(width, height)


def cut(image: Image, crop: Crop) -> Image:
    """Copy a rectangle of an image."""
    return opencv.as_image(np.ascontiguousarray(image[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]))


def _fits(placement: Placement) -> bool:
    """Whether a crop lies inside both captures."""
    mapping, crop = placement.mapping, placement.crop
    if crop.x < 0 or crop.y < 0 or crop.x + crop.width > mapping.lr_size.width:
        return False
    if crop.y + crop.height > mapping.lr_size.height:
        return False
    p_hr = mapping.lr_to_hr(_border(crop, placement.scale))
    inside = (p_hr >= _HR_MARGIN) & (p_hr <= np.array(mapping.hr_size) - 1 - _HR_MARGIN)
    return bool(inside.all())


def _border(crop: Crop, scale: int) -> Array:
    """Positions in the LR capture of the outermost published HR pixel centres: points on the four sides, (68, 2)."""
    low = 0.5 / scale - 0.5
    x = crop.x + np.linspace(low, crop.width - 1 - low, 17)
    y = crop.y + np.linspace(low, crop.height - 1 - low, 17)
    sides = [(x, np.full(17, y[0])), (x, np.full(17, y[-1])), (np.full(17, x[0]), y), (np.full(17, x[-1]), y)]
    return np.concatenate([np.stack(side, axis=1) for side in sides])
