"""Several shootings of one card: each gives scenes of its own, all in one group.

HR of one day and LR of another differ in light and in how the card lies, and they may even show two cards with the same
picture, which nothing in the frames tells apart. So frames of different shootings are paired only if there is nothing
better, and not at all if several fit equally well.

A shooting is what one camera took of a card without a long pause and without a frame of another card in between. It
stands by itself if it has both an HR and an LR; all other frames are joined to the nearest one that does.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from d2crealsr.ingest.grouping import Card
from d2crealsr.ingest.places import joined, side_by_side
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from d2crealsr.ingest.frames import Frame

__all__ = ["Take", "takes_of"]

_PAUSE_SECONDS = 1800.0
"""Time without a frame of the card after which its next frame belongs to another shooting."""


class Take(NamedTuple):
    """One shooting of a card.

    Attributes
    ----------
    card : Card
    joined : frozenset of int
        Frames of other shootings that have no HR or no LR of their own. They may show another card with this picture.
    doubtful : frozenset of int
        Frames of which it is not known which of them belong together, so that no scene is made of them.
    """

    card: Card
    joined: frozenset[int] = frozenset()
    doubtful: frozenset[int] = frozenset()

    def without_doubts(self) -> Take | None:
        """What can be used of it; None if there is no HR or no LR."""
        kept = {
            scale: tuple(link for link in links if not {link.inner, link.outer} & self.doubtful)
            for scale, links in self.card.lr.items()
        }
        lr = {scale: links for scale, links in kept.items() if links}
        hr = tuple(number for number in self.card.hr if number not in self.doubtful)
        return self._replace(card=self.card._replace(hr=hr, lr=lr)) if hr and (lr or not self.doubtful) else None


def takes_of(
    card: Card, frames: Sequence[Frame], strangers: Iterable[int] = (), settled: Collection[int] = ()
) -> list[Take]:
    """The shootings of a card, in the order of their first frames; often just one.

    Parameters
    ----------
    card : Card
    frames : sequence of Frame
    strangers : iterable of int
        Frames of other cards.
    settled : collection of int
        Frames about which there is no doubt any more: those of scenes that stand, and those that were rejected.
    """
    links = [link for of_scale in card.lr.values() for link in of_scale]
    units = _units(card.numbers, set(strangers), frames)
    complete = [unit for unit in units if any({link.inner, link.outer} <= unit for link in links)]
    sizes = [Size(0, 0) if frame.sketch is None else frame.sketch.size for frame in frames]
    together = side_by_side(links, card.alike, sizes)
    if not complete:
        return [Take(card, doubtful=_doubtful(card, [*together, *_pairs(units)], settled))]
    own = [frozenset(unit) for unit in complete]
    for unit in units:
        if not any(unit is other for other in complete):
            min(complete, key=lambda other: _distance(unit, other, frames)).update(unit)
    takes = [_take(card, unit, its, together) for unit, its in zip(complete, own, strict=True)]
    takes.sort(key=lambda take: min(frames[number].order for number in take.card.numbers))
    return [takes[0]._replace(card=takes[0].card._replace(misfits=card.misfits)), *takes[1:]]


def _take(card: Card, unit: set[int], own: frozenset[int], together: Iterable[tuple[int, int]]) -> Take:
    """The part of a card that a shooting has; ``own`` are its frames without those that were joined."""
    lr = {
        scale: tuple(link for link in links if link.outer in unit and link.inner in unit)
        for scale, links in card.lr.items()
    }
    hr = tuple(number for number in card.hr if number in unit)
    same = {number for pair in together if own & set(pair) for number in pair}
    return Take(Card(hr, {scale: links for scale, links in lr.items() if links}, ()), frozenset(unit - own - same))


def _doubtful(card: Card, together: Iterable[tuple[int, int]], settled: Collection[int]) -> frozenset[int]:
    """The frames of which several fit equally well: HR or LR shots that were not taken from one place in one go."""
    pairs = list(together)

    def several(numbers: Iterable[int]) -> bool:
        side = set(numbers)
        return not side & set(settled) and len(joined(side, [pair for pair in pairs if side.issuperset(pair)])) > 1

    sides = [{link.outer for link in links} for links in card.lr.values()]
    doubtful = [side for side in sides if several(side)]
    if sides and (several(card.hr) or len(doubtful) == len(sides)):
        return card.numbers
    return frozenset(number for side in doubtful for number in side)


def _units(numbers: Collection[int], strangers: set[int], frames: Sequence[Frame]) -> list[set[int]]:
    """Frames by camera, parted where there is a long pause or a frame of another card. Each without a time is alone."""
    cameras: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number in sorted({*numbers, *strangers}, key=lambda number: frames[number].order):
        exif = frames[number].exif
        cameras[exif.camera_make, exif.camera, exif.camera_serial].append(number)
    others = strangers.difference(numbers)
    units: list[set[int]] = []
    for members in cameras.values():
        taken = {_time(frames[number]) for number in members if number in others}  # a clock that stands tells nothing
        last: datetime | None = None
        for number in members:
            if number in others:
                last = None
                continue
            time = _time(frames[number])
            time = None if time in taken else time
            goes_on = last is not None and time is not None and (time - last).total_seconds() <= _PAUSE_SECONDS
            if not goes_on:
                units.append(set())
            units[-1].add(number)
            last = time
    return units


def _pairs(units: Iterable[set[int]]) -> list[tuple[int, int]]:
    return [pair for unit in units for pair in itertools.combinations(sorted(unit), 2)]


def _distance(unit: set[int], other: set[int], frames: Sequence[Frame]) -> tuple[bool, float]:
    """How far two shootings are apart: first whether the cameras differ, then the time between their frames."""
    cameras = [{frames[number].exif.camera for number in numbers} for numbers in (unit, other)]
    times = [[time for number in numbers if (time := _time(frames[number]))] for numbers in (unit, other)]
    apart = [abs((one - two).total_seconds()) for one in times[0] for two in times[1]]
    return not cameras[0] & cameras[1], min(apart, default=float("inf"))


def _time(frame: Frame) -> datetime | None:
    return datetime.fromisoformat(frame.exif.time[:19]) if frame.exif.time else None
