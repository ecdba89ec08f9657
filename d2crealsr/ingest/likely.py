"""Whether a frame that stands alone is HR or LR, as far as marks and focal lengths tell. This only words messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d2crealsr.ingest.frames import Frame
    from d2crealsr.ingest.plan import Entry

__all__ = ["likely_side"]

_ALIKE_FOCAL = 1.25
"""Largest ratio of two focal lengths that are those of one kind of shot."""

_APART_FOCAL = 1.8
"""Smallest ratio of the focal lengths of HR and LR: .9 of the smallest scale."""

_SPAN_OF_HR = 0.6
"""Share of the frame over which the marks of a card extend in HR. In LR it is half of that at most."""


def likely_side(frame: Frame, entries: Iterable[Entry], frames: Sequence[Frame]) -> str:
    """``hr`` or ``lr``, or empty where nothing tells.

    The card's marks count first, then the focal lengths of other frames whose side is known, those of the same camera
    before others, then those that this camera used.
    """
    if frame.sketch is not None and len(frame.sketch.marks.corners) > 1:
        span = np.ptp(frame.sketch.marks.corners.mean(axis=1), axis=0) / frame.sketch.size
        return "hr" if span.max() > _SPAN_OF_HR else "lr"
    focal = frame.exif.focal_mm
    if not focal:
        return ""
    known = [(entry.role, frames[entry.frame].exif) for entry in entries if entry.role in ("hr", "lr")]
    for of_camera in (True, False):
        apart = {
            role: abs(float(np.log(exif.focal_mm / focal)))
            for role, exif in known
            if exif.focal_mm and (exif.camera == frame.exif.camera) == of_camera
        }
        side = min(apart, key=lambda role: apart[role], default="")
        if side and apart[side] < np.log(_ALIKE_FOCAL):
            return side
    used = [other.exif.focal_mm for other in frames if other.exif.camera == frame.exif.camera and other.exif.focal_mm]
    longest, shortest = max(used, default=focal), min(used, default=focal)
    if focal <= longest / _APART_FOCAL:
        return "lr"
    return "hr" if focal >= longest / _ALIKE_FOCAL and shortest <= longest / _APART_FOCAL else ""
