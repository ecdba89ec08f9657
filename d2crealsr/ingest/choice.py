"""From cards to scenes: for every card the sharpest HR frame, and for every scale the sharpest LR frame.

Sharpness is the contrast of fine detail where the card lies, so it is compared only among shots that show one card at
about one size.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from d2crealsr.imaging import geometry

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from numpy.typing import NDArray

    from d2crealsr.ingest.frames import Frame
    from d2crealsr.ingest.grouping import Card
    from d2crealsr.ingest.links import Link
    from d2crealsr.ingest.sketches import Sketch
    from d2crealsr.types import Array

__all__ = ["Shot", "ranked_hr", "ranked_lr", "supported"]

_AS_SHARP = 0.9
"""Share of the best sharpness from which on two frames are equally sharp; the one nearer in time is then taken."""

_HINT_SECONDS = 600.0
_HINT_FOCAL = 1.25
"""Largest distance in time, and largest ratio of the focal lengths' ratio to the measured scale, of a hint."""


class Shot(NamedTuple):
    """A frame that may be used, with its figures where the card lies: sharpness, and the share of clipped pixels."""

    frame: int
    sharpness: float
    clipped: float
    link: Link | None = None


def supported(links: Iterable[Link], frames: Sequence[Frame]) -> list[Link]:
    """The links that are sure, and those that time and focal lengths confirm."""
    return [link for link in links if link.sure or _is_likely(frames[link.inner], frames[link.outer], link.scale)]


def _is_likely(inner: Frame, outer: Frame, scale: float) -> bool:
    """Whether two frames were taken by one camera shortly after one another with focal lengths that explain the scale.

    The ratio of the focal lengths is the scale if the sensor and the picture's size are the same.
    """
    one, other = inner.exif, outer.exif
    apart = seconds_between(inner, outer)
    if not one.focal_mm or not other.focal_mm or one.camera != other.camera or apart is None:
        return False
    ratio = one.focal_mm / other.focal_mm / scale
    return apart <= _HINT_SECONDS and 1 / _HINT_FOCAL <= ratio <= _HINT_FOCAL


def seconds_between(one: Frame, other: Frame) -> float | None:
    """Time between two frames; None if one has no time."""
    if not one.exif.time or not other.exif.time:
        return None
    times = (datetime.fromisoformat(frame.exif.time[:19]) for frame in (one, other))
    return abs((next(times) - next(times)).total_seconds())


def ranked_hr(
    card: Card, frames: Sequence[Frame], rejected: Container[str] = (), joined: Container[int] = ()
) -> list[Shot]:
    """The HR frames of a card, the sharpest first.

    Frames that ``joined`` from other shootings come after all others, and those whose pairs were ``rejected``, by hash,
    come last.
    """
    shots = []
    for frame in card.hr:
        sketch = _sketch(frames[frame])
        shots.append(Shot(frame, _mean_detail(sketch.detail), float(sketch.clipped.mean())))

    def rank(shot: Shot) -> tuple[object, ...]:
        frame = frames[shot.frame]
        return frame.sha256 in rejected, shot.frame in joined, -shot.sharpness, frame.order

    return sorted(shots, key=rank)


def ranked_lr(
    links: Sequence[Link],
    hr: int,
    frames: Sequence[Frame],
    rejected: Container[str] = (),
    joined: Container[int] = (),
) -> list[Shot]:
    """The LR frames of a card at one scale, the best first, each with the link from the HR frame if there is one."""
    best: dict[int, Link] = {}
    for link in links:
        known = best.get(link.outer)
        if known is None or (link.inner == hr, link.inliers) > (known.inner == hr, known.inliers):
            best[link.outer] = link
    shots = [_lr_shot(link, frames) for link in best.values()]
    own = [shot for shot in shots if shot.frame not in joined] or shots
    sharpest = max(shot.sharpness for shot in own)

    def rank(shot: Shot) -> tuple[object, ...]:
        equal = shot.sharpness >= _AS_SHARP * sharpest
        apart = seconds_between(frames[shot.frame], frames[hr])
        return (
            frames[shot.frame].sha256 in rejected,
            shot.frame in joined,
            not equal,
            (np.inf if apart is None else apart) if equal else 0.0,
            -shot.sharpness,
            frames[shot.frame].order,
        )

    return sorted(shots, key=rank)


def _lr_shot(link: Link, frames: Sequence[Frame]) -> Shot:
    """The figures of an LR frame over the blocks that the HR frame covers."""
    inner, outer = _sketch(frames[link.inner]), _sketch(frames[link.outer])
    outline = geometry.project(link.H_inner_to_outer, geometry.corners(inner.size))
    part = _blocks(outline, outer)
    return Shot(link.outer, _mean_detail(outer.detail[part]), float(outer.clipped[part].mean()), link)


def _blocks(outline: Array, sketch: Sketch) -> tuple[slice, slice]:
    """Rows and columns of the maps that a quadrilateral covers, at least one of each."""
    rows, columns = sketch.detail.shape
    per_px = np.array([columns / sketch.size.width, rows / sketch.size.height])
    first = np.clip(np.round(outline.min(axis=0) * per_px).astype(int), 0, [columns - 1, rows - 1])
    last = np.clip(np.round(outline.max(axis=0) * per_px).astype(int), first + 1, [columns, rows])
    return slice(int(first[1]), int(last[1])), slice(int(first[0]), int(last[0]))


def _mean_detail(detail: NDArray[np.float32]) -> float:
    """Root mean square over blocks, so that blocks with detail count most."""
    return float(np.sqrt(np.mean(detail.astype(np.float64) ** 2)))


def _sketch(frame: Frame) -> Sketch:
    if frame.sketch is None:
        raise ValueError(f"{frame.path} has no sketch")
    return frame.sketch
