"""What becomes of every frame: the scenes that are made, the shots that are left over, and frames that belong nowhere.

Scenes that an earlier run made keep their names and their files; only scenes that are new are added.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from d2crealsr.ingest.choice import Shot, ranked_hr, ranked_lr
from d2crealsr.ingest.takes import Take, takes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from d2crealsr.ingest.frames import Frame
    from d2crealsr.ingest.grouping import Card

__all__ = ["ROLES", "Entry", "Plan", "Scene", "Standing", "planned"]

ROLES = ("hr", "lr", "spare_hr", "spare_lr", "doubtful", "other_scale", "copy", "nothing", "unreadable")
"""What a frame can be: the HR or LR of scenes, a shot for either that is not used, one of several that fit equally
well, an LR shot whose scale no scene has, the same file once more, a frame that shows nothing that another one shows,
or a file that cannot be read."""

_APART = {
    "spare_hr": "shot apart from the others: if it is another card with the same picture, shoot its LR",
    "spare_lr": "shot apart from the others: if it is another card with the same picture, shoot its HR",
}
_DOUBT = (
    "shows the same picture as {}, and neither places nor times tell which of them belong together; move away the "
    "frames of the other card, or print marks on such cards"
)
_NAMED = 3
_ALONE = "no other frame shows the same; if it is a card, shoot its HR or LR again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """A new scene: numbers of the two frames, and its names. ``take`` is one shooting of the card, ``group``."""

    scene: str
    take: str
    group: str
    scale: int
    hr: int
    lr: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What becomes of a frame, with its figures; numbers that are not known are None."""

    frame: int
    role: str
    group: str = ""
    scale: int | None = None
    shot: Shot | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The new scenes, and an entry for every frame, in the order of shooting within each card."""

    scenes: list[Scene] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What an earlier run made.

    Attributes
    ----------
    takes : mapping
        The shooting to which a frame of a scene belongs, by its hash.
    groups : mapping
        The group of each shooting.
    scales : mapping
        The scales of which a shooting has a scene.
    taken : frozenset of str
        Names that no new group may have.
    good : frozenset of str
        Hashes of frames of scenes that stand. They go on being used.
    rejected : frozenset of str
        Hashes of frames that are in no pair but rejected ones. Others are taken if there are any.
    """

    takes: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, frozenset[int]] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    good: frozenset[str] = frozenset()
    rejected: frozenset[str] = frozenset()


def planned(
    frames: Sequence[Frame],
    cards: Iterable[Card],
    *,
    standing: Standing,
) -> Plan:
    """Decide what becomes of every frame.

    Parameters
    ----------
    frames : sequence of Frame
        All frames, each content once.
    cards : iterable of Card
    standing : Standing
        What an earlier run made.
    """
    plan = Plan()
    names = _free_names(standing.taken)
    found = sorted(cards, key=lambda card: min(frames[shot].order for shot in card.hr))
    settled_files = standing.good | standing.rejected
    of_cards = frozenset(number for card in found for number in card.numbers)
    for card in found:
        if not card.lr and not any(frames[shot].sha256 in standing.takes for shot in card.hr):
            plan.entries.extend(_misfits(card, ranked_hr(card, frames)))
            continue
        settled = {number for number in card.numbers if frames[number].sha256 in settled_files}
        takes = takes_of(card, frames, of_cards - card.numbers, settled)
        plan.entries.extend(entry for take in takes for entry in _doubts(take, frames))
        sure = [take for take in map(Take.without_doubts, takes) if take is not None]
        if not sure:
            continue
        known = _standing_takes(sure, frames, standing)
        group = next((standing.groups[name] for name in known if name), None) or next(names)
        for take, name in zip(sure, _names_of_takes(known, group, standing), strict=True):
            _plan_take(plan, take, frames, standing, (name, group))
    entries = _one_for_each(plan.entries)
    for number, frame in enumerate(frames):
        if number not in entries:
            role, note = ("unreadable", frame.problem) if frame.sketch is None else ("nothing", _ALONE)
            entries[number] = Entry(frame=number, role=role, note=note)
    plan.entries[:] = sorted(entries.values(), key=lambda e: (not e.group, e.group, frames[e.frame].order))
    return plan


def _free_names(taken: frozenset[str]) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        if (name := f"card_{number:03d}") not in taken:
            yield name


def _standing_takes(takes: Iterable[Take], frames: Sequence[Frame], standing: Standing) -> list[str | None]:
    """The names that an earlier run gave to these shootings: by their HR, else by their LR, and each once."""
    known: list[str | None] = []
    for take in takes:
        lr = [link.outer for links in take.card.lr.values() for link in links]
        names = (standing.takes.get(frames[shot].sha256) for shot in (*take.card.hr, *lr))
        known.append(next((name for name in names if name and name not in known), None))
    return known


def _names_of_takes(known: Sequence[str | None], group: str, standing: Standing) -> list[str]:
    """Names of the shootings of a card: those that stand keep theirs, the first is named as the group."""
    free = (name for number in itertools.count(1) if (name := _name(group, number)) not in {*known, *standing.groups})
    return [name or next(free) for name in known]


def _name(group: str, number: int) -> str:
    return group if number == 1 else f"{group}_s{number}"


def _plan_take(plan: Plan, shooting: Take, frames: Sequence[Frame], standing: Standing, names: tuple[str, str]) -> None:
    """Add the scenes and entries of one shooting of a card; ``names`` are its own and that of its group."""
    take, group = names
    card, joined, rejected = shooting.card, shooting.joined, standing.rejected
    best, *others = _used_first(ranked_hr(card, frames, rejected, joined), frames, standing)
    plan.entries.append(Entry(frame=best.frame, role="hr", group=group, shot=best))
    for shot in others:
        entry = Entry(frame=shot.frame, role="spare_hr", group=group, shot=shot)
        plan.entries.append(_spare(entry, best, apart=shot.frame in joined))
    for scale, links in card.lr.items():
        first, *others = _used_first(ranked_lr(links, best.frame, frames, rejected, joined), frames, standing)
        if scale not in standing.scales.get(take, ()):
            names_of_scene = {"scene": f"{take}_x{scale}", "take": take, "group": group}
            plan.scenes.append(Scene(**names_of_scene, scale=scale, hr=best.frame, lr=first.frame))
        plan.entries.append(Entry(frame=first.frame, role="lr", group=group, scale=scale, shot=first))
        for shot in others:
            entry = Entry(frame=shot.frame, role="spare_lr", group=group, scale=scale, shot=shot)
            plan.entries.append(_spare(entry, first, apart=shot.frame in joined))
    plan.entries.extend(replace(entry, group=group) for entry in _misfits(card, ()))


def _used_first(shots: list[Shot], frames: Sequence[Frame], standing: Standing) -> list[Shot]:
    """The shots with the one in front that an earlier run uses, so that scenes keep their files."""
    used = [shot for shot in shots if frames[shot.frame].sha256 in standing.takes.keys() & standing.good]
    return [*used[:1], *(shot for shot in shots if shot not in used[:1])]


def _spare(entry: Entry, best: Shot, *, apart: bool) -> Entry:
    """An entry that says how sharp its shot is in comparison, and whether it was shot ``apart`` from the others."""
    assert entry.shot is not None
    share = f"{100 * entry.shot.sharpness / max(best.sharpness, 1e-9):.0f} % of the sharpness of the shot that is used"
    return replace(entry, note=f"{share}; {_APART[entry.role]}" if apart else share)


def _doubts(take: Take, frames: Sequence[Frame]) -> Iterator[Entry]:
    """Entries of frames that fit several others equally well; each names an example of them."""
    for number in take.doubtful:
        others = sorted(frames[other].path.name for other in take.doubtful - {number})
        yield Entry(frame=number, role="doubtful", note=_DOUBT.format(", ".join(others[:_NAMED])))


def _misfits(card: Card, shots: Iterable[Shot]) -> Iterator[Entry]:
    """Entries of LR frames at a scale that no scene has, and of HR frames that have no others."""
    for link in card.misfits:
        note = f"HR is {link.scale:.1f} times finer, and scenes are made at x2, x3, x4 and x8; zoom differently"
        yield Entry(frame=link.outer, role="other_scale", note=note)
    for shot in shots:
        yield Entry(frame=shot.frame, role="nothing", shot=shot, note="no LR frame of a scale that scenes have")


def _one_for_each(entries: Iterable[Entry]) -> dict[int, Entry]:
    """One entry for each frame: what is used counts more than what is not."""
    chosen: dict[int, Entry] = {}
    for entry in entries:
        known = chosen.get(entry.frame)
        if known is None or ROLES.index(entry.role) < ROLES.index(known.role):
            chosen[entry.frame] = entry
    return chosen
