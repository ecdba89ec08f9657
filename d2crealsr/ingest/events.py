"""What ``ingest --watch`` has to say, as it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d2crealsr.ingest.frames import Frame
    from d2crealsr.ingest.plan import Entry

__all__ = [
    "BLURRED",
    "REMIND_SECONDS",
    "Begun",
    "Event",
    "Judged",
    "Left",
    "Lonely",
    "Noted",
    "Seen",
    "Waiting",
    "is_blurred",
]

BLURRED = 0.44
"""Fineness below which a frame counts as blurred. Of ten simulated scenes (seed 5, for tuning), sharp frames have .48
to 1.1, and frames blurred by 3.5 px .35 to .45."""

REMIND_SECONDS = 20.0
"""Time without a new frame after which it is said once more that the last one lacks its other half."""


class Seen(NamedTuple):
    """A new frame: what it is, how much of it is saturated, and the largest connected saturated place."""

    frame: Frame
    entry: Entry
    likely: str
    clipped: float
    glare: float


class Begun(NamedTuple):
    """What is known when the watch begins: frames that an earlier run measured, and scenes that stand."""

    frames: int
    scenes: int


def is_blurred(frame: Frame) -> bool:
    """Whether a frame looks blurred by itself."""
    return frame.sketch is not None and frame.sketch.fineness < BLURRED


class Lonely(NamedTuple):
    """A frame whose HR or LR has not come although the next card is being shot."""

    frame: Frame
    likely: str


class Waiting(NamedTuple):
    """The last frame, if its HR or LR has not come for :data:`REMIND_SECONDS`."""

    frame: Frame
    likely: str


class Noted(NamedTuple):
    """Something to say about files that are left out."""

    text: str


class Judged(NamedTuple):
    """A complete scene and the verdict on it (:func:`d2crealsr.ingest.verdicts.verdict_on`)."""

    scene: str
    hr: Frame
    lr: Frame
    verdict: Mapping[str, Any]


class Left(NamedTuple):
    """What is missing at the end: scenes that were rejected, frames without their other half, files not read.

    ``doubtful`` are frames that fit several others, with what there is to say about each.
    ``scales`` are those of all scenes of the folder.
    """

    rejected: list[Judged]
    lonely: list[Lonely]
    unreadable: list[Frame]
    scenes: int
    doubtful: tuple[tuple[Frame, str], ...] = ()
    scales: tuple[int, ...] = ()


Event = Begun | Noted | Seen | Waiting | Lonely | Judged | Left
