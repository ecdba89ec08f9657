"""What is where on a card, in mm from its centre: the photograph, and four marks with the number of the scene.

Convention: x points right and y down. All cards lie on their longer side, with a side of ``width`` along x.

The HR frame is to show the card's width divided by :data:`CARD_PER_FRAME`. The default crop is the middle of it. The
marks lie left and right of the crop but inside the frame, with room for a frame that is 3 % off the centre and turned
by 1.5 degrees. They go by the longer side alone, so this holds for frames of 3:2, 4:3 and 16:9 alike.
"""

from __future__ import annotations

from typing import NamedTuple

from d2crealsr.imaging.marks import MODULES

__all__ = ["CARD_PER_FRAME", "Rectangle", "label_of", "mark_places", "sticker_of"]

CARD_PER_FRAME = 1.1
"""Longer side of the card divided by what the HR frame shows of it, as in the shooting guide."""

_MODULE = 0.00945
"""Side of a module, and :data:`_CENTRE` of a mark to either side: shares of the card's width."""
_CENTRE = (0.37, 0.17)

_LABEL = 0.021
"""Height of the white strip under a mark in which the scene's number stands, as a share of the card's width."""


class Rectangle(NamedTuple):
    """A rectangle on the card, in mm from its centre: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float


def mark_places(width: float) -> list[Rectangle]:
    """The places of the four marks, with their black border but without the white around, on a card of this width."""
    side = MODULES * _MODULE * width
    x, y = (share * width for share in _CENTRE)
    return [Rectangle(cx - side / 2, cy - side / 2, side, side) for cy in (-y, y) for cx in (-x, x)]


def sticker_of(mark: Rectangle, width: float) -> Rectangle:
    """The white rectangle under a mark: one module on each side, and below it the strip for the number."""
    rim = _MODULE * width
    return Rectangle(mark.x - rim, mark.y - rim, mark.width + 2 * rim, mark.height + 2 * rim + _LABEL * width)


def label_of(mark: Rectangle, width: float) -> Rectangle:
    """Where the number of the scene stands below a mark."""
    return Rectangle(mark.x, mark.y + mark.height + _MODULE * width * 0.6, mark.width, _LABEL * width)
