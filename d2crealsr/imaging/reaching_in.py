"""What reaches over the side of a card from beside it, such as a finger that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from d2crealsr import opencv

if TYPE_CHECKING:
    from d2crealsr.imaging.card_view import Float32, Mask
    from d2crealsr.types import Array

__all__ = ["reaching_in"]

_BESIDE = 0.3
"""Width of the surroundings in which things are sought, as a share of the frame's shorter side."""

_SMALLEST = 0.07
"""Smallest side of such a thing, as a share of the frame's shorter side."""

_AT_SIDE_PX = (1.5, 4.5)
"""Distances from the side of the card at which its width is compared outside and inside."""

_GOES_ON = (0.5, 2.0)
"""Width just inside, divided by that just outside. A thing that ends at the card's side has none inside."""

_FARTHEST, _NOISE = 3.5, 0.01
"""Largest distance of a colour from those of a thing, in their standard deviations, and the smallest such deviation."""

_SIDES_PX = 2
"""Width of a thing's sides, which lie in shadow and are blurred into the picture."""

_MOST = 0.4
"""Largest share of the card that it may cover. A larger place is of the picture, and has its colours by chance."""


def reaching_in(colours: Float32, beyond: Array, unlike_desk: Mask, shorter_side: float) -> Mask:
    """Which pixels on a card show something that reaches over its side.

    Parameters
    ----------
    colours : (h, w, 3) ndarray
        A little blurred.
    beyond : (h, w) ndarray
        Distance from the card, in px; less than 0 on it.
    unlike_desk : (h, w) ndarray of bool
        Where the desk is not seen.
    """
    beside = unlike_desk & (beyond > _AT_SIDE_PX[0]) & (beyond < _BESIDE * shorter_side)
    number = opencv.labelled(beside)
    on_card = beyond < 0
    covered = np.zeros(beside.shape, dtype=bool)
    for each in range(1, number.max() + 1):
        part = number == each
        is_large = part.sum() >= (_SMALLEST * shorter_side) ** 2 and np.ptp(beyond[part]) >= _SMALLEST * shorter_side
        if is_large and beyond[part].min() <= _AT_SIDE_PX[1]:
            reached = _going_on(part, colours, beyond)
            covered |= reached if reached.sum() <= _MOST * on_card.sum() else False
    return covered


def _going_on(part: Mask, colours: Float32, beyond: Array) -> Mask:
    """The place on the card that has the colours of a thing beside it and touches it."""
    values = colours[part]
    apart = colours - values.mean(axis=0)
    precision = np.linalg.inv(np.cov(values, rowvar=False) + _NOISE**2 * np.eye(3))
    alike = part | (
        (np.einsum("...i,ij,...j->...", apart, precision, apart) < _FARTHEST**2) & (beyond <= _AT_SIDE_PX[0])
    )
    core = ~opencv.dilate(~alike)  # thin bridges to other places of these colours are none
    numbers = opencv.labelled(core)
    own = np.unique(numbers[part & core])
    reached = opencv.dilate(np.isin(numbers, own[own > 0])) & alike & (beyond < 0)
    reached = opencv.close(reached, _SIDES_PX)
    low, high = _AT_SIDE_PX
    inside = np.count_nonzero(reached & (beyond < -low) & (beyond > -high))
    outside = np.count_nonzero(part & (beyond > low) & (beyond < high))
    fewest, most = _GOES_ON
    goes_on = fewest * outside <= inside <= most * outside
    return opencv.dilate(reached, _SIDES_PX) if goes_on else np.zeros_like(part)
