"""What becomes of every frame: the scenes that are made, the shots that are left over, and frames that belong nowhere.

Scenes that an earlier run made keep their names and their files; only scenes that are new are added.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from d2crealsr.ingest.choice import Shot, ranked_hr, ranked_lr

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from d2crealsr.ingest.frames import Frame
    from d2crealsr.ingest.grouping import Card

__all__ = ["ROLES", "Entry", "Plan", "Scene", "Standing", "planned"]

ROLES = ("hr", "lr", "spare_hr", "spare_lr", "other_scale", "copy", "nothing", "unreadable")
"""What a frame can be: the HR or LR of scenes, a less sharp shot for either, an LR shot whose scale no scene has, the
same file once more, a frame that shows nothing that another one shows, or a file that cannot be read."""


_ALONE = "no other frame shows the same; if it is a card, shoot its HR or LR again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """A new scene: numbers of the two frames, and its names."""

    scene: str
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
    groups : mapping
        Its groups by the hash of their HR frame.
    scales : mapping
        The scales of which a group has a scene.
    used : frozenset of str
        Hashes of all frames in use.
    taken : frozenset of str
        Names that no new group may have.
    """

    groups: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, frozenset[int]] = field(default_factory=dict)
    used: frozenset[str] = frozenset()
    taken: frozenset[str] = frozenset()


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
    for card in sorted(cards, key=lambda card: min(frames[shot].order for shot in card.hr)):
        _plan_card(plan, card, frames, standing, names)
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


def _plan_card(
    plan: Plan,
    card: Card,
    frames: Sequence[Frame],
    standing: Standing,
    names: Iterator[str],
) -> None:
    """Add the scenes and entries of one card."""
    shots = ranked_hr(card, frames)
    kept = next((shot for shot in shots if frames[shot.frame].sha256 in standing.groups), None)
    if not card.lr and kept is None:
        plan.entries.extend(_misfits(card, shots))
        return
    best = kept or shots[0]
    group = next(names) if kept is None else standing.groups[frames[kept.frame].sha256]
    there = standing.scales.get(group, frozenset())
    plan.entries.append(Entry(frame=best.frame, role="hr", group=group, shot=best))
    for shot in shots:
        if shot.frame != best.frame:
            plan.entries.append(_spare(Entry(frame=shot.frame, role="spare_hr", group=group, shot=shot), best))
    for scale, links in card.lr.items():
        first, *others = ranked_lr(links, best.frame, frames)
        if scale in there:
            used = next((shot for shot in (first, *others) if frames[shot.frame].sha256 in standing.used), first)
            first, others = used, [shot for shot in (first, *others) if shot is not used]
        else:
            scene = f"{group}_x{scale}"
            plan.scenes.append(Scene(scene=scene, group=group, scale=scale, hr=best.frame, lr=first.frame))
        plan.entries.append(Entry(frame=first.frame, role="lr", group=group, scale=scale, shot=first))
        for shot in others:
            entry = Entry(frame=shot.frame, role="spare_lr", group=group, scale=scale, shot=shot)
            plan.entries.append(_spare(entry, first))
    plan.entries.extend(replace(entry, group=group) for entry in _misfits(card, ()))


def _spare(entry: Entry, best: Shot) -> Entry:
    """An entry that says how sharp its shot is in comparison."""
    assert entry.shot is not None
    share = entry.shot.sharpness / max(best.sharpness, 1e-9)
    return replace(entry, note=f"{100 * share:.0f} % of the sharpness of the shot that is used")


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
