"""Where the printed picture ends: blank borders and the desk are cut off the sides of a crop.

A side is cut only if all of it looks like what surrounds the picture, up to an edge that runs straight along the
side. What surrounds the picture is either blank, as paper, on two sides at least, or the desk around the card as LR
shows it. Nothing else is cut: a crop that would have been published whole without borders is published whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import geometry
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array, Image

__all__ = ["within_picture"]

Float32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

_BLUR_PX = 0.7
_STRIP_PX = 2
_EVEN = 0.02
"""Largest deviation of a blank strip from a linear course of its colours, of full scale, for 90 % of its pixels."""

_DIFFERENT = 0.08
"""Smallest difference, of full scale in a colour, at which a pixel is no longer blank."""

_UNLIKE_DESK = 3.0
"""Distance from the mean colour of the desk, in standard deviations of its colours, at which a pixel is none of it."""

_AROUND = (1.6, 4.0)
"""Inner and outer size of the desk around HR's place in LR, as multiples of it."""
_FEWEST_DESK_PX, _MOST_DESK_PX = 2_000, 200_000

_LIKE_OUTSIDE = 0.97
"""Smallest share of the outermost strip that must look like the surroundings."""

_MIDDLE = 0.7
"""Share of a side, in its middle, that is looked at. At its ends the surroundings of the other sides begin."""

_STRAIGHT_PX, _ON_EDGE, _BEFORE_EDGE = 1.0, 0.6, 0.03
"""Largest distance from a straight edge, the share of the side for which that must hold, and the largest share of it
where the picture may begin before the edge, by more than twice that distance. Elsewhere the picture looks like the
border for a while, as a pale sky."""

_STEEPEST = 0.09
"""Largest slope of an edge: 5 degrees."""

_MOST = 0.45
"""Largest share of the crop's height or width that is cut off one side."""

_MARGIN_PX = 1.5
"""Distance of the crop from the edge, so that neither blur nor interpolation brings the border back."""

_FEWEST_BLANK_SIDES = 2
"""Sides on which a blank border must be seen. A pale sky above a straight horizon is on one side only."""

_SMALLEST_PX = 16
"""Smallest side of a crop that is looked at."""

_ROUNDS = 3
"""Surroundings that may follow one another, as the desk and the white border of the card."""


def within_picture(lr: Image, crop: Crop, mapping: CaptureMapping) -> Crop:
    """The part of a crop that lies within the printed picture; the crop itself if nothing shows where that ends.

    Parameters
    ----------
    lr : (H, W, 3) ndarray
        The LR capture.
    crop : Crop
        Rectangle of LR that would be published.
    mapping : CaptureMapping
        Where HR lies in LR.
    """
    desk = _Desk.around(lr, mapping)
    cut, blank_sides = _cut(lr, crop, desk, blank=True)
    return cut if len(blank_sides) >= _FEWEST_BLANK_SIDES else _cut(lr, crop, desk, blank=False)[0]


def _cut(lr: Image, crop: Crop, desk: _Desk | None, *, blank: bool) -> tuple[Crop, set[int]]:
    """A crop without the desk and, with ``blank``, without blank borders, and the sides that had one."""
    blank_sides: set[int] = set()
    for _ in range(_ROUNDS):
        if min(crop.width, crop.height) < _SMALLEST_PX:
            break
        depths = []
        for number in range(4):  # top, right, bottom, left
            side = np.rot90(_encoded(lr, crop), number)
            paper = _straight_edge(_unlike_blank(side)) if blank else 0
            bare = 0 if desk is None else _straight_edge(desk.unlike(side))
            blank_sides |= {number} if paper > bare else set()
            depths.append(max(paper, bare))
        if not any(depths):
            break
        top, right, bottom, left = depths
        width, height = crop.width - left - right, crop.height - top - bottom
        crop = Crop(crop.x + left, crop.y + top, max(0, width), max(0, height))
    return crop, blank_sides


class _Desk:
    """Mean and inverse covariance of the colours of what lies around the card in LR."""

    def __init__(self, colours: Float32) -> None:
        self.mean = colours.mean(axis=0)
        self.precision = np.linalg.inv(np.cov(colours, rowvar=False) + 1e-5 * np.eye(3))

    @classmethod
    def around(cls, lr: Image, mapping: CaptureMapping) -> _Desk | None:
        """The desk around the place of HR; None if LR shows too little of it."""
        outline = mapping.hr_to_lr(geometry.corners(mapping.hr_size))
        size = np.ptp(outline, axis=0)
        centre = (outline.min(axis=0) + outline.max(axis=0)) / 2
        inner, outer = (_rectangle(centre, share * size, Size.of(lr)) for share in _AROUND)
        step = max(1, int(np.sqrt(outer.width * outer.height / _MOST_DESK_PX)))
        part = lr[outer.y : outer.y + outer.height : step, outer.x : outer.x + outer.width : step]
        outside = part.astype(np.float32) / np.float32(np.iinfo(lr.dtype).max)
        y, x = np.ogrid[outer.y : outer.y + outer.height : step, outer.x : outer.x + outer.width : step]
        is_card = (x >= inner.x) & (x < inner.x + inner.width) & (y >= inner.y) & (y < inner.y + inner.height)
        is_desk = ~is_card
        colours = outside[is_desk]
        return cls(colours) if len(colours) >= _FEWEST_DESK_PX else None

    def unlike(self, colours: Float32) -> Mask:
        """Which pixels of an image do not have the colours of the desk."""
        apart = colours - self.mean
        distance: Mask = np.einsum("...i,ij,...j->...", apart, self.precision, apart) > _UNLIKE_DESK**2
        return distance


def _rectangle(centre: Array, size: Array, within: Size) -> Crop:
    """The part of an image around a point."""
    low = np.clip(np.floor(centre - size / 2).astype(int), 0, np.array(within))
    high = np.clip(np.ceil(centre + size / 2).astype(int), low, np.array(within))
    return Crop(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))


def _encoded(lr: Image, crop: Crop) -> Float32:
    """A part of LR as stored, on [0, 1], a little blurred against noise."""
    part = lr[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
    return opencv.blur(part.astype(np.float32) / np.float32(np.iinfo(part.dtype).max), _BLUR_PX)


def _unlike_blank(shown: Float32) -> Mask:
    """Which pixels differ from the blank strip along the top; all if there is none."""
    strip = shown[:_STRIP_PX].mean(axis=0)
    along = np.linspace(-1, 1, len(strip))
    terms = np.stack([np.ones_like(along), along], axis=1)
    course = terms @ np.linalg.lstsq(terms, strip, rcond=None)[0]
    if np.quantile(np.abs(strip - course).max(axis=1), 0.9) > _EVEN:
        return np.ones(shown.shape[:2], dtype=bool)
    unlike: Mask = np.abs(shown - course).max(axis=2) > _DIFFERENT
    return unlike


def _straight_edge(unlike: Mask) -> int:
    """Rows above a straight edge that runs along the whole top, with its margin; 0 if there is no such edge."""
    height, width = unlike.shape
    ends = round(width * (1 - _MIDDLE) / 2)
    middle = unlike[:, ends : width - ends]
    if middle[:_STRIP_PX].mean() > 1 - _LIKE_OUTSIDE:
        return 0
    lasting = middle & np.roll(middle, -1, axis=0)
    lasting[-1] = False
    found = lasting.any(axis=0)
    if found.mean() < _ON_EDGE:
        return 0
    x, y = np.flatnonzero(found) - (middle.shape[1] - 1) / 2, lasting.argmax(axis=0)[found]
    slope, offset = _edge_through(x, y)
    beyond = y - slope * x - offset
    on_edge, before = np.count_nonzero(np.abs(beyond) <= _STRAIGHT_PX), np.count_nonzero(beyond < -2 * _STRAIGHT_PX)
    deepest = offset + abs(slope) * width / 2 + _MARGIN_PX
    is_edge = on_edge >= _ON_EDGE * middle.shape[1] and before <= _BEFORE_EDGE * middle.shape[1]
    return int(np.ceil(deepest)) if is_edge and abs(slope) <= _STEEPEST and deepest <= _MOST * height else 0


def _edge_through(x: Array, y: Array) -> tuple[float, float]:
    """Slope and offset of the line along which most of the picture begins."""
    third = np.quantile(x, [1 / 3, 2 / 3])
    left, right = (np.quantile(y[part], 0.25) for part in (x < third[0], x > third[1]))
    slope = 1.5 * (right - left) / max(float(np.ptp(x)), 1.0)
    offset = float(np.quantile(y - slope * x, 0.25))
    for _ in range(2):
        near = np.abs(y - slope * x - offset) <= 2 * _STRAIGHT_PX
        if near.sum() > 2:
            slope, offset = np.polyfit(x[near], y[near], 1)
    return float(slope), float(offset)
