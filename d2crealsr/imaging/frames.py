"""Four straight lines that close to the frame of a card or of the picture on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.imaging.straight_lines import Courses
    from d2crealsr.types import Array

__all__ = ["Frame", "edges_along", "evidence_around", "likely_frames"]

_SKEW = 0.04
"""Largest difference between the slopes of opposite sides, and between those of neighbours after a quarter turn: 2.3
degrees. Perspective makes such differences."""

_BEYOND = 0.25
"""Length beyond the corners, as a share of the side, in which a line should not go on."""
_BEYOND_COUNTS = 0.5
"""Weight of a line's edge beyond the corners, against that between them."""

_CORNER_PX, _CORNER_GAP_PX = 1.0, 4.0
"""Distance from the corners, between them and beyond them, that is left out."""

_ENDS, _ENDS_COUNT = 0.2, 2.0
"""Share of a side at each of its ends, where nothing that speaks for the line counts as more against it."""

_FEWEST_STEPS = (0.05, 0.1)
"""Smallest mean step of the weakest side and of the second weakest."""

_TRIED = 3
"""Frames that are returned at most."""

_OUTWARD = (-1, 1, 1, -1)
"""Whether larger offsets of top, right, bottom and left are further out."""
_FURTHER_PX = 5.0
"""Distance from which a side lies around that of another frame."""


@dataclass(frozen=True)
class Frame:
    """Four lines: offsets and slopes of top, right, bottom and left, from the middle of a view."""

    top: tuple[float, float]
    right: tuple[float, float]
    bottom: tuple[float, float]
    left: tuple[float, float]

    def beyond(self, x: Array, y: Array) -> Array:
        """How far positions lie outside of the frame, in px; less than 0 inside."""
        across = np.maximum(self.left[0] + self.left[1] * y - x, x - self.right[0] - self.right[1] * y)
        down = np.maximum(self.top[0] + self.top[1] * x - y, y - self.bottom[0] - self.bottom[1] * x)
        return np.asarray(np.maximum(across, down))

    @property
    def shorter_side(self) -> float:
        """Distance of the nearer pair of opposite sides, at the middle."""
        return min(self.right[0] - self.left[0], self.bottom[0] - self.top[0])


def likely_frames(
    level: Courses,
    upright: Courses,
    outer: Frame | None,
    apart: float,
    steps: tuple[float, float] = _FEWEST_STEPS,
) -> list[Frame]:
    """The most likely frames, the likeliest first.

    Parameters
    ----------
    level, upright : Courses
        Lines along the rows and along the columns.
    outer : Frame, optional
        A frame in which the corners must lie.
    apart : float
        Smallest distance of the corners from its sides.
    steps : tuple of float
        Smallest mean step of the weakest side and of the second weakest.
    """
    sides, corners = _all_frames(level, upright)
    fits = np.ones(len(sides[0]), dtype=bool)
    if outer is not None:
        fits = np.all([outer.beyond(*corner) <= -apart for corner in corners], axis=0)
    sides, corners = [side[fits] for side in sides], [(x[fits], y[fits]) for x, y in corners]
    if not len(sides[0]):
        return []
    evidence, mean, step = _judged_frames(level, upright, sides, corners)
    good = (evidence > 0) & (np.sort(mean, axis=0)[1] > 0)
    good &= (np.sort(step, axis=0)[:2] > np.array(steps)[:, None]).all(axis=0)
    order = np.flatnonzero(good)[np.argsort(-evidence[good], kind="stable")][:_TRIED]
    chosen = list(zip((level, upright, level, upright), sides, strict=True))
    return [Frame(*((float(of.offset[at[k]]), float(of.slope[at[k]])) for of, at in chosen)) for k in order]


def evidence_around(level: Courses, upright: Courses, frame: Frame) -> float:
    """The most evidence for a frame that lies around another one on three sides or four, divided by that for it.

    Parameters
    ----------
    frame : Frame
        One of the :func:`likely_frames` of the same lines.
    """
    sides, corners = _all_frames(level, upright)
    evidence = _judged_frames(level, upright, sides, corners)[0]
    offsets = np.array([of.offset[at] for of, at in zip((level, upright, level, upright), sides, strict=True)])
    own = np.array([frame.top[0], frame.right[0], frame.bottom[0], frame.left[0]])
    further_out = (offsets - own[:, None]) * np.array(_OUTWARD)[:, None]
    around = (np.sort(further_out, axis=0)[1] > _FURTHER_PX) & (further_out > -_FURTHER_PX / 2).all(axis=0)
    of_frame = evidence[np.abs(further_out).max(axis=0) == 0].max()
    return float(evidence[around].max(initial=0) / of_frame)


def edges_along(level: Courses, upright: Courses, frame: Frame) -> float:
    """How much likelier the ridges on a frame are if its sides are edges than by chance: a logarithm, mean per px.

    Parameters
    ----------
    frame : Frame
        One of the :func:`likely_frames` of the same lines.
    """
    lines = ((level, frame.top), (upright, frame.right), (level, frame.bottom), (upright, frame.left))
    top, right, bottom, left = (
        np.flatnonzero((of.offset == line[0]) & (of.slope == line[1]))[:1] for of, line in lines
    )
    corners = [_crossing(level, upright, h, v) for h in (top, bottom) for v in (left, right)]
    spans = [(level, top, 0, 1, 0), (upright, right, 1, 3, 1), (level, bottom, 2, 3, 0), (upright, left, 0, 2, 1)]
    edge, length = 0.0, 0.0
    for of, line, start, end, axis in spans:
        first, last = corners[start][axis], corners[end][axis]
        edge += float(of.between(of.edge, line, first + _CORNER_PX, last - _CORNER_PX)[0])
        length += float((last - first)[0])
    return edge / max(length, 1.0)


def _all_frames(level: Courses, upright: Courses) -> tuple[list[NDArray[np.intp]], list[tuple[Array, Array]]]:
    """Lines of all frames (top, right, bottom, left) and their corners (left top, right top, left and right bottom)."""
    sides = _combined(level, upright)
    return sides, [_crossing(level, upright, h, v) for h in (sides[0], sides[2]) for v in (sides[3], sides[1])]


def _judged_frames(
    level: Courses, upright: Courses, sides: Sequence[NDArray[np.intp]], corners: Sequence[tuple[Array, Array]]
) -> tuple[Array, Array, Array]:
    """The evidence for frames, (N,), that for each side per px, and the sides' mean steps, (4, N)."""
    left_top, right_top, left_bottom, right_bottom = corners
    spans = [
        (level, sides[0], left_top[0], right_top[0]),
        (upright, sides[1], right_top[1], right_bottom[1]),
        (level, sides[2], left_bottom[0], right_bottom[0]),
        (upright, sides[3], left_top[1], left_bottom[1]),
    ]
    judged = [_judged(*span) for span in spans]
    evidence, mean, step = (np.array([side[i] for side in judged]) for i in range(3))
    return evidence.sum(axis=0), mean, step


def _combined(level: Courses, upright: Courses) -> list[NDArray[np.intp]]:
    """Indices of all lines that could be top, right, bottom and left of one frame, each (N,)."""
    above, left = level.offset < 0, upright.offset < 0
    halves = (np.flatnonzero(each) for each in (above, ~left, ~above, left))
    sides = [each.ravel() for each in np.meshgrid(*halves, indexing="ij")]
    turns = [of.slope[side] for of, side in zip((level, upright, level, upright), sides, strict=True)]
    fits = (np.abs(turns[0] - turns[2]) < _SKEW) & (np.abs(turns[1] - turns[3]) < _SKEW)
    fits &= np.abs(np.sum(turns, axis=0)) < 2 * _SKEW
    return [side[fits] for side in sides]


def _crossing(level: Courses, upright: Courses, h: NDArray[np.intp], v: NDArray[np.intp]) -> tuple[Array, Array]:
    """Where lines along the rows cross lines along the columns."""
    x = (upright.offset[v] + upright.slope[v] * level.offset[h]) / (1 - level.slope[h] * upright.slope[v])
    return x, level.offset[h] + level.slope[h] * x


def _judged(of: Courses, line: NDArray[np.intp], first: Array, last: Array) -> tuple[Array, Array, Array]:
    """For a side from one corner to the other: its evidence, that between the corners per px, and the mean step."""
    long = np.maximum(last - first, 1)
    low, high = first + _CORNER_PX, last - _CORNER_PX

    between = of.between(of.evidence, line, low, high)
    before, after = first - _CORNER_GAP_PX, last + _CORNER_GAP_PX
    going_on = of.between(of.edge, line, before - _BEYOND * long, before)
    going_on = going_on + of.between(of.edge, line, after, after + _BEYOND * long)
    ends = np.minimum(of.between(of.evidence, line, low, low + _ENDS * long), 0)
    ends = ends + np.minimum(of.between(of.evidence, line, high - _ENDS * long, high), 0)
    evidence = between - _BEYOND_COUNTS * np.maximum(going_on, 0) + _ENDS_COUNT * ends
    return evidence, between / long, of.between(of.step, line, low, high) / long
