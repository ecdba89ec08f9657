"""Several shootings of one card: each gives scenes of its own, all in one group.

HR of one day and LR of another differ in light and in how the card lies, so they are paired only if there is nothing
better. A shooting is what one camera took of a card without a long pause. It stands by itself if it has both an HR and
an LR; all other frames are joined to the nearest one that does.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from d2crealsr.ingest.grouping import Card

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d2crealsr.ingest.frames import Frame

__all__ = ["takes_of"]

_PAUSE_SECONDS = 1800.0
"""Time without a frame of the card after which its next frame belongs to another shooting."""


def takes_of(card: Card, frames: Sequence[Frame]) -> list[Card]:
    """The shootings of a card as cards of their own, in the order of their first frames; often just one."""
    units = _units({*card.hr, *(link.outer for links in card.lr.values() for link in links)}, frames)
    complete = [unit for unit in units if any(_within(card, unit))]
    if len(complete) < 2:
        return [card]
    for unit in units:
        if not any(unit is other for other in complete):
            min(complete, key=lambda other: _distance(unit, other, frames)).update(unit)
    takes = []
    for unit in sorted(complete, key=lambda unit: min(frames[number].order for number in unit)):
        lr = {
            scale: tuple(link for link in links if link.outer in unit and link.inner in unit)
            for scale, links in card.lr.items()
        }
        hr = tuple(number for number in card.hr if number in unit)
        takes.append(Card(hr, {scale: links for scale, links in lr.items() if links}, ()))
    return [takes[0]._replace(misfits=card.misfits), *takes[1:]]


def _within(card: Card, unit: set[int]) -> Iterable[bool]:
    """For every LR link of the card whether HR and LR belong to the unit."""
    return (link.inner in unit and link.outer in unit for links in card.lr.values() for link in links)


def _units(numbers: Iterable[int], frames: Sequence[Frame]) -> list[set[int]]:
    """Frames by camera, parted where there is a long pause. Frames without a time are a unit of their own."""
    cameras: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number in sorted(numbers, key=lambda number: frames[number].order):
        exif = frames[number].exif
        cameras[exif.camera_make, exif.camera, exif.camera_serial, "timed" if exif.time else ""].append(number)
    units: list[set[int]] = []
    for members in cameras.values():
        last: datetime | None = None
        for number in members:
            time = _time(frames[number])
            paused = last is not None and time is not None and (time - last).total_seconds() > _PAUSE_SECONDS
            if number == members[0] or paused:
                units.append(set())
            units[-1].add(number)
            last = time
    return units


def _distance(unit: set[int], other: set[int], frames: Sequence[Frame]) -> tuple[bool, float]:
    """How far two shootings are apart: first whether the cameras differ, then the time between their frames."""
    cameras = [{frames[number].exif.camera for number in numbers} for numbers in (unit, other)]
    times = [[time for number in numbers if (time := _time(frames[number]))] for numbers in (unit, other)]
    apart = [abs((one - two).total_seconds()) for one in times[0] for two in times[1]]
    return not cameras[0] & cameras[1], min(apart, default=float("inf"))


def _time(frame: Frame) -> datetime | None:
    return datetime.fromisoformat(frame.exif.time[:19]) if frame.exif.time else None
