"""What reaches over the side of a card from beside it, such as a finger that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from d2crealsr import opencv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d2crealsr.imaging.card_view import Float32, Mask
    from d2crealsr.imaging.frames import Frame
    from d2crealsr.types import Array

__all__ = ["reaching_in"]

_BESIDE = 0.3
"""Width of the surroundings in which things are sought, as a share of the frame's shorter side."""

_SMALLEST = 0.07
"""Smallest side of such a thing, as a share of the frame's shorter side."""

_FEWEST_PX = 12
"""Smallest number of pixels whose colours are learnt."""

_AT_SIDE_PX = (1.5, 4.5)
"""Distances from the side of the card at which its width is compared outside and inside."""

_GOES_ON = (0.5, 2.0)
"""Width just inside, divided by that just outside. A thing that ends at the card's side has none inside."""

_FARTHEST, _NOISE = 3.5, 0.01
"""Largest distance of a colour from those of a thing, in their standard deviations, and the smallest such deviation."""

_SIDES_PX = 2
"""Width of a thing's sides, which lie in shadow and are blurred into the picture."""

_COMPARED_PX, _CROSSING_PX = 3.5, 8.0
"""Distance from a card's side at which colours inside and outside are compared, and up to which a thing is learnt."""
_SAME, _EDGE = 0.08, 0.05
"""Largest difference of a colour on both sides, and the smallest at the ends, between pixels that are 4 px apart."""
_END_PX = 4
_WIDEST = 0.35
"""Largest width of a thing of the desk's colours, as a share of the frame's shorter side."""

_MOST = 0.4
"""Largest share of the card that it may cover. A larger place is of the picture, and has its colours by chance."""


def reaching_in(colours: Float32, frame: Frame, unlike_desk: Mask) -> Mask:
    """Which pixels on a card show something that reaches over its side.

    Parameters
    ----------
    colours : (h, w, 3) ndarray
        The view of the card, a little blurred.
    frame : Frame
        The card in it.
    unlike_desk : (h, w) ndarray of bool
        Where the desk is not seen.
    """
    height, width = unlike_desk.shape
    x, y = np.arange(width)[None, :] - (width - 1) / 2, np.arange(height)[:, None] - (height - 1) / 2
    beyond = frame.beyond(x, y)
    covered = np.zeros(unlike_desk.shape, dtype=bool)
    for part in (*_lying_beside(unlike_desk, beyond, frame.shorter_side), *_crossing(colours, frame, beyond)):
        if np.count_nonzero(part) < _FEWEST_PX:
            continue
        reached = _going_on(part, colours, beyond)
        covered |= reached if reached.sum() <= _MOST * np.count_nonzero(beyond < 0) else False
    return covered


def _lying_beside(unlike_desk: Mask, beyond: Array, shorter_side: float) -> Iterator[Mask]:
    """Things next to the card that have not the colours of the desk."""
    number = opencv.labelled(unlike_desk & (beyond > _AT_SIDE_PX[0]) & (beyond < _BESIDE * shorter_side))
    smallest = _SMALLEST * shorter_side
    for each in range(1, number.max() + 1):
        part = number == each
        if part.sum() >= smallest**2 and np.ptp(beyond[part]) >= smallest and beyond[part].min() <= _AT_SIDE_PX[1]:
            yield part


def _crossing(colours: Float32, frame: Frame, beyond: Array) -> Iterator[Mask]:
    """Stretches along the card's sides, with what lies outside of them, where no edge parts the card from the rest.

    Both of their ends show an edge, on the card and beside it, so that a thing of the desk's colours is found too.
    """
    turned = np.ascontiguousarray(np.swapaxes(colours, 0, 1))
    near = (beyond > _AT_SIDE_PX[0]) & (beyond < _CROSSING_PX)
    spans = (frame.left[0], frame.right[0]), (frame.top[0], frame.bottom[0])
    for line, span, image, place in (
        (frame.top, spans[0], colours, near),
        (frame.bottom, spans[0], colours, near),
        (frame.left, spans[1], turned, near.T),
        (frame.right, spans[1], turned, near.T),
    ):
        height, width = place.shape
        first, last = (int(np.clip(at + (width - 1) / 2, 0, width)) for at in span)
        column = np.arange(first, last)
        row = line[0] + line[1] * (column - (width - 1) / 2) + (height - 1) / 2
        inward = 1 if line[0] < 0 else -1
        rows = (np.rint(row + way * inward * _COMPARED_PX).astype(int) for way in (1, -1))
        inside, outside = (image[np.clip(at, 0, height - 1), column] for at in rows)
        outer = (np.arange(height)[:, None] - (height - 1) / 2) * inward < 0
        for start, end in _runs(inside, outside, frame.shorter_side):
            part = np.zeros_like(place)
            part[:, first + start : first + end] = (place & outer)[:, first + start : first + end]
            yield part if image is colours else part.T


def _runs(inside: Float32, outside: Float32, shorter_side: float) -> Iterator[tuple[int, int]]:
    """Where colours (N, 3) along both sides of a line are the same, between two edges that both show."""
    same = opencv.close((np.abs(inside - outside).max(axis=1) < _SAME)[None, :])[0]
    change = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(int)))
    steps = [np.abs(np.roll(line, -2, axis=0) - np.roll(line, 2, axis=0)).max(axis=1) for line in (inside, outside)]
    narrowest, widest = (share * shorter_side for share in (_SMALLEST, _WIDEST))
    for start, end in change.reshape(-1, 2).tolist():
        ends = (slice(max(2, start - _END_PX), start + _END_PX), slice(max(2, end - _END_PX), end + _END_PX))
        shows = all(step[at].max(initial=0) >= _EDGE for step in steps for at in ends)
        if narrowest <= end - start <= widest and shows:
            yield start, end


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
