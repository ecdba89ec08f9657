"""Choose which accepted scenes are for training and which for testing.

All scenes of a printed picture (``group``), and all scenes that have a capture with the same bytes, are in the same
split. Existing splits remain, because scenes on which a published model was trained must not become its test. Therefore
only scenes without a split are drawn, and a scene whose group has a split joins it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError, UsageError
from d2crealsr.store.changes import refuse_if_changed
from d2crealsr.store.decisions import first_names, read_decisions
from d2crealsr.store.files import remove_leftovers
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.merge import record_cells, recover
from d2crealsr.store.pairs import has_table, read_manifest

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from d2crealsr.store.decisions import Decision

__all__ = ["SplitResult", "choose_splits", "joined_groups", "split", "with_decisions"]

MOST_TEST = 15
"""Number of test scenes of the default, unless their share would be larger."""
_TEST_PERCENT = 15
"""Their largest share, in percent of the accepted scenes."""

_UNSPLIT = "unsplit"
"""Value of ``left_out_of`` for a scene that had no split when it was left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitResult:
    """Accepted scenes by split.

    Attributes
    ----------
    new : int
        Number of scenes that were given their split by this call.
    left_out : tuple of str
        Scenes that a reviewer rejected, now or earlier. They have no split.
    notes : tuple of str
        One line about the default number of test scenes if it was used, and for each decision of the reviewer that
        could not be applied.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    new: int
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def split(
    pairs: str | os.PathLike[str],
    *,
    test: int | None = None,
    seed: int = 0,
    resplit: bool = False,
    decisions: str | os.PathLike[str] | None = None,
) -> SplitResult:
    """Give every accepted scene of a pairs folder a split, and write the manifest.

    Parameters
    ----------
    pairs : path
        The pairs folder.
    test : int, optional
        Number of scenes in the test split afterwards, including those that it has already. The rest become train. By
        default the smaller of 15 and 15 % of the scenes, at least 1, or as near as whole groups allow; in a folder that
        is split already, the test split stays as it is.
    seed : int
        Determines which scenes are drawn.
    resplit : bool
        Ignore earlier splits. Scenes that a reviewer left out remain so.
    decisions : path, optional
        A reviewer's decisions (:func:`d2crealsr.store.decisions.read_decisions`): scenes with ``reject`` are left out,
        those with ``accept`` are taken back. They are recorded in the manifest and hold until another decision.

    Raises
    ------
    UsageError
        When the number of test scenes is impossible, or decisions are damaged. Nothing is written then.
    """
    pairs = Path(pairs)
    decided = read_decisions(Path(decisions)) if decisions is not None else {}
    if not has_table(pairs):
        raise LayoutError(f"{pairs}: no manifest.csv; give a pairs folder, made by d2crealsr align")
    with lock_folder(pairs):
        refuse_if_changed(pairs)
        recover(pairs, upgrade=False)
        remove_leftovers(pairs)
        manifest = read_manifest(pairs)
        after = with_decisions(manifest, decided)
        kept = after["group"]
        after = after.assign(group=joined_groups(after))
        labels = choose_splits(after, test=test, seed=seed, resplit=resplit)
        drawn = _default_note(after, labels, resplit=resplit) if test is None else ()
        after = after.assign(split=labels)
        if resplit:
            after["left_out_of"] = [_UNSPLIT if left_out else "" for left_out in after["left_out_of"]]
        after = after.assign(group=kept)
        if changed := _changed_cells(manifest, after):
            record_cells(pairs, changed)
    accepted = after[after["status"] == "accepted"]
    return SplitResult(
        train=tuple(accepted.loc[accepted["split"] == "train", "scene"]),
        test=tuple(accepted.loc[accepted["split"] == "test", "scene"]),
        new=int(((after["split"] != manifest["split"]) & (after["split"] != "")).sum()),
        left_out=tuple(accepted.loc[accepted["left_out_of"] != "", "scene"]),
        notes=(*drawn, *_notes(after, decided)),
    )


def _changed_cells(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, dict[str, str]]:
    """The new values of ``split`` and ``left_out_of`` by scene, for the scenes in which one of them changed."""
    columns = ("scene", "split", "left_out_of")
    old, new = (zip(*(table[name].tolist() for name in columns), strict=True) for table in (before, after))
    changed = (now for was, now in zip(old, new, strict=True) if now != was)
    return {scene: {"split": label, "left_out_of": left_out} for scene, label, left_out in changed}


def with_decisions(manifest: pd.DataFrame, decisions: Mapping[str, Decision]) -> pd.DataFrame:
    """The manifest after a reviewer's decisions by scene have changed ``split`` and ``left_out_of``.

    A scene that the reviewer rejects has no split afterwards, whatever its status. This also holds if QA rejects it
    now, because it might be accepted when thresholds change. A scene that is taken back returns to its former split.
    """

    def decided(scene: str, label: str, left_out_of: str) -> tuple[str, str]:
        match decisions.get(scene):
            case "reject" if not left_out_of:
                return "", label or _UNSPLIT
            case "accept" if left_out_of:
                return left_out_of if left_out_of != _UNSPLIT else "", ""
            case _:
                return label, left_out_of

    columns = (manifest[name].tolist() for name in ("scene", "split", "left_out_of"))
    cells = [decided(*row) for row in zip(*columns, strict=True)]
    return manifest.assign(split=[label for label, _ in cells], left_out_of=[left_out for _, left_out in cells])


def joined_groups(manifest: pd.DataFrame) -> list[str]:
    """The groups of the manifest. Groups that share a capture with the same bytes are joined into one."""
    parent: dict[str, str] = {}

    def root(group: str) -> str:
        while (above := parent.setdefault(group, group)) != group:
            parent[group] = group = parent[above]
        return group

    first: dict[str, str] = {}
    for name in ("hr_source_sha256", "lr_source_sha256"):
        for group, digest in zip(manifest["group"], manifest[name], strict=True):
            if digest:
                one, other = sorted((root(group), root(first.setdefault(digest, group))))
                parent[other] = one
    return [root(group) for group in manifest["group"]]


def _notes(manifest: pd.DataFrame, decisions: Mapping[str, Decision]) -> tuple[str, ...]:
    """Decisions of the reviewer that could not be applied, and why."""
    status = dict(zip(manifest["scene"], manifest["status"], strict=True))
    unknown = sorted(decisions.keys() - status.keys())
    refused = sorted(
        scene for scene, said in decisions.items() if said == "accept" and status.get(scene, "accepted") != "accepted"
    )
    notes = []
    if unknown:
        notes.append(f"decisions for scenes that the manifest does not have: {first_names(unknown)}; check the names")
    if refused:
        notes.append(
            f"decisions to accept scenes that are not accepted: {first_names(refused)}; align --accept takes them in"
        )
    return tuple(notes)


def _default_note(before: pd.DataFrame, labels: Sequence[str], *, resplit: bool) -> tuple[str]:
    """What the default number of test scenes was, and why; ``before`` is the manifest, ``labels`` its new splits."""
    taken = [status == "accepted" and bool(label) for status, label in zip(before["status"], labels, strict=True)]
    test = sum(use and label == "test" for use, label in zip(taken, labels, strict=True))
    if not resplit and _is_split(before):
        why = "the test split stays as it is, and new scenes are for training; --test N draws more"
    else:
        why = f"the smaller of {MOST_TEST} and {_TEST_PERCENT} %, as near as whole groups allow"
    return (f"without --test, {test} of {sum(taken)} scenes are for testing: {why}",)


def _is_split(manifest: pd.DataFrame) -> bool:
    """Whether any scene has a split, or had one before a reviewer left it out."""
    return any(manifest["split"] != "") or any(left_out not in ("", _UNSPLIT) for left_out in manifest["left_out_of"])


def choose_splits(
    manifest: pd.DataFrame, *, test: int | None = None, seed: int = 0, resplit: bool = False
) -> list[str]:
    """The new column ``split`` for a manifest with ``status, split, group, left_out_of``, whose rows are in any order.

    Groups are drawn in an order that depends only on the seed and their names. A group is skipped if it would exceed
    the number of test scenes or make the exact number impossible. Scenes that a reviewer left out have no split. By
    default ``test`` is the number that :func:`split` describes.
    """
    columns = (manifest[name].tolist() for name in ("status", "split", "group", "left_out_of"))
    rows = list(zip(*columns, strict=True))
    earlier = [(group, old or left_out) for _, old, group, left_out in rows if old or left_out not in ("", _UNSPLIT)]
    fixed = {} if resplit else _fixed_groups(earlier)
    sizes: dict[str, int] = {}
    for status, _, group, left_out in rows:
        if status == "accepted" and not left_out:
            sizes[group] = sizes.get(group, 0) + 1
    drawn = _draw(sizes, fixed, test, seed, keeps=not resplit and _is_split(manifest))

    def label(status: str, old: str, group: str, left_out: str) -> str:
        if left_out:
            return ""
        if status != "accepted":
            return "" if resplit else old
        return fixed.get(group) or ("test" if group in drawn else "train")

    return [label(*row) for row in rows]


def _fixed_groups(labels: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The split of each group, from those of its scenes that have one, accepted or not."""
    fixed: dict[str, str] = {}
    for group, label in labels:
        if fixed.setdefault(group, label) != label:
            raise UsageError(f"group {group!r} is in both train and test; correct the manifest, or use --resplit")
    return fixed


def _draw(sizes: Mapping[str, int], fixed: Mapping[str, str], test: int | None, seed: int, *, keeps: bool) -> set[str]:
    """The groups that are added to the test split so that it has ``test`` scenes.

    By default none are added if it ``keeps`` what it has.
    """
    already = sum(size for group, size in sizes.items() if fixed.get(group) == "test")
    free = sorted((group for group in sizes if group not in fixed), key=lambda group: _rank(seed, group))
    last = _last_place([sizes[group] for group in free])
    total = sum(sizes.values())
    allowed = {already + more for more in last if already + more < total}
    if test is None:
        test = already if keeps else _default(total, allowed)
    if test not in allowed:
        raise UsageError(_cannot(test, total, already, allowed))
    drawn, wanted = set(), test - already
    for place, group in enumerate(free):
        if last.get(wanted - sizes[group], -1) > place:
            drawn.add(group)
            wanted -= sizes[group]
    return drawn


def _default(total: int, allowed: set[int]) -> int:
    """The default number of test scenes: the largest possible one up to 15 and 15 %, or else the smallest."""
    wanted = max(1, min(MOST_TEST, total * _TEST_PERCENT // 100))
    some = sorted(allowed - {0})
    return max((number for number in some if number <= wanted), default=min(some, default=wanted))


def _rank(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()


def _last_place(sizes: Sequence[int]) -> dict[int, int]:
    """For each possible sum of some of the sizes, the last index from which the remaining sizes can still reach it.

    The sums are stored as bits of one number, so the memory grows with their total and not with its square.
    """
    last, reached = {0: len(sizes)}, 1
    for place in range(len(sizes) - 1, -1, -1):
        new = (reached << sizes[place]) & ~reached
        reached |= new
        while new:
            lowest = new & -new
            last[lowest.bit_length() - 1] = place
            new ^= lowest
    return last


def _cannot(test: int, total: int, already: int, allowed: set[int]) -> str:
    if not total:
        return "no scene is accepted and not left out, so there is nothing to split; look at the manifest's reasons"
    text = (
        f"{test} test scenes cannot be drawn from {total} accepted ones (groups and captures of equal "
        "bytes stay whole, one scene must train)"
    )
    if already:
        text += f", {already} of them are test scenes already (--resplit starts over)"
    return f"{text}; possible with --test: {_ranges(sorted(allowed)) or 'none'}"


def _ranges(numbers: Sequence[int]) -> str:
    """``0-3, 5, 8-9``."""
    if not numbers:
        return ""
    breaks = [place for place, (a, b) in enumerate(pairwise(numbers), start=1) if b != a + 1]
    edges = [0, *breaks, len(numbers)]
    runs = [(numbers[start], numbers[stop - 1]) for start, stop in pairwise(edges)]
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)
