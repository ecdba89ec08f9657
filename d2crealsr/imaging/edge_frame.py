"""A frame of straight edges alone, for a card on a cloth whose colours are those of the card as well.

LR has the edges of the card and all that surrounds it. HR shows them finer, so that a straight edge differs more from
edges that meet a line by chance. Only a frame that lies within HR, on all sides, is found in this way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from d2crealsr.imaging.frames import evidence_around, likely_frames
from d2crealsr.imaging.straight_lines import ridges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.imaging.card_view import CardView, Float32, Mask
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.frames import Frame
    from d2crealsr.imaging.straight_lines import Courses
    from d2crealsr.types import Array

__all__ = ["frame_in_both"]

_FINER = 2
"""Px of HR's view on a px of LR's."""
_BLUR, _EDGE = 0.7, 0.012
"""Blur of HR in px of its view, and the smallest change of colour of an edge, of full scale, per px."""

_ANY_STEPS = (-1.0, -1.0)
"""Smallest steps of the colours at a frame's sides: all are allowed."""

_SEEN = 0.55
"""Smallest share of each side on which HR shows an edge, beyond chance."""

_MOVED_PX = 16
"""Distance up to which parallel frames are sought, in px of HR's view."""
_SAME_PX = 2
"""Distance in px of HR's view up to which an edge is that of LR's line, and twice that from which it is another one."""
_SLOPES = (-0.02, -0.01, 0.0, 0.01, 0.02)
"""Differences of slope that are tried."""
_CORNER_PX = 3

_AROUND = 0.4
"""Evidence for a frame around another one, divided by that for it, from which the inner one may be of the picture."""


def frame_in_both(level: Courses, upright: Courses, view: CardView, hr: LinearReduced) -> Frame | None:
    """The likeliest frame whose edges both captures show; None if there is none, or more than one.

    A frame is doubtful, and not returned, if there is evidence for another one around it, as the card's own lies around
    a frame that its picture shows, or if HR shows a second one parallel to it, as those are that are drawn with a broad
    line.

    Parameters
    ----------
    level, upright : Courses
        Lines along the rows and along the columns of the view of LR.
    """
    frames = likely_frames(level, upright, None, 0.0, steps=_ANY_STEPS)
    if not frames:
        return None
    edges = _hr_edges(view, hr)
    for frame in frames:
        seen = _seen_beside(frame, edges)
        if seen is not None and _holds_at(seen, 0):
            others = [at for at in range(-_MOVED_PX, _MOVED_PX + 1) if abs(at) >= 2 * _SAME_PX]
            is_only = not any(_holds_at(seen, at) for at in others)
            return frame if is_only and evidence_around(level, upright, frame) < _AROUND else None
    return None


def _hr_edges(view: CardView, hr: LinearReduced) -> list[Mask]:
    """Edges along the rows of HR, and those along the columns of the transposed HR, on a finer grid than the view's."""
    pitch = view.pitch / _FINER
    width, height = (int(side / pitch) for side in view.mapping.hr_size)
    x, y = ((np.arange(side) - (side - 1) / 2) / _FINER for side in (width, height))
    at = view.in_hr(np.stack(np.meshgrid(x, y), axis=-1))
    channels = (np.ascontiguousarray(hr.rgb[..., channel]) for channel in range(3))
    light = np.stack([hr.at(hr.blurred(channel, _BLUR * pitch), at) for channel in channels], axis=-1)
    encoded = np.sqrt(np.maximum(light, 0)).astype(np.float32)
    inside = hr.holds(at, margin_hr_px=pitch)
    turned: Float32 = np.ascontiguousarray(np.swapaxes(encoded, 0, 1))
    return [_widened(ridges(encoded, _EDGE) & inside), _widened(ridges(turned, _EDGE) & inside.T)]


def _widened(ridge: Mask) -> Mask:
    return np.asarray(ridge | np.roll(ridge, 1, axis=0) | np.roll(ridge, -1, axis=0))


def _seen_beside(frame: Frame, edges: Sequence[Mask]) -> Array | None:
    """Share of each side on which HR shows an edge, beyond chance, (4, N), for N distances further out.

    None if a side lies outside of HR.
    """
    across, down = (frame.left[0], frame.right[0]), (frame.top[0], frame.bottom[0])
    sides = [(frame.top, across, edges[0], -1), (frame.right, down, edges[1], 1)]
    sides += [(frame.bottom, across, edges[0], 1), (frame.left, down, edges[1], -1)]
    seen = [_shares(*side) for side in sides]
    return None if any(each is None for each in seen) else np.array(seen)


def _shares(line: tuple[float, float], span: tuple[float, float], edge: Mask, outward: int) -> Array | None:
    height, width = edge.shape
    x = np.arange(width) - (width - 1) / 2
    column = np.flatnonzero((x > _FINER * span[0] + _CORNER_PX) & (x < _FINER * span[1] - _CORNER_PX))
    away = outward * np.arange(-_MOVED_PX - _SAME_PX, _MOVED_PX + _SAME_PX + 1)
    slope = line[1] + np.array(_SLOPES)
    row = _FINER * line[0] + away[:, None, None] + slope[:, None] * x[column] + (height - 1) / 2
    own = row[_MOVED_PX + _SAME_PX]
    if len(column) < _FINER * (span[1] - span[0]) / 2 or own.min() < 1 or own.max() > height - 2:
        return None
    at = np.clip(np.rint(row).astype(int), 0, height - 1)
    chance = float(edge.mean())
    return np.asarray((edge[at, column].mean(axis=2).max(axis=1) - chance) / (1 - chance))


def _holds_at(seen: Array, distance: int) -> bool:
    """Whether HR shows an edge on all sides, about a distance."""
    middle = seen.shape[1] // 2 + distance
    near = seen[:, middle - _SAME_PX : middle + _SAME_PX + 1]
    return bool((near.max(axis=1) >= _SEEN).all())
