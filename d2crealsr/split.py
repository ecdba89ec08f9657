"""Which accepted scenes are for training and which for testing.

A printed picture (``group``) is never in both. Splits that were made stay: what a published model was trained on must
not become its test, so only scenes without a split are drawn, and a scene whose group has a split joins it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError, UsageError
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.pairs import read_manifest, write_pairs_table

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import pandas as pd

__all__ = ["SplitResult", "choose_splits", "split"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitResult:
    """Scenes by split, and how many were given theirs only now."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    new: int


def split(pairs: str | os.PathLike[str], *, test: int = 15, seed: int = 0, resplit: bool = False) -> SplitResult:
    """Give every accepted scene of a pairs folder its split, and write the manifest.

    Parameters
    ----------
    pairs : path
        The pairs folder.
    test : int
        Scenes that the test split has afterwards, those it had included; the rest become train.
    seed : int
        Which of the scenes are drawn.
    resplit : bool
        Forget splits made earlier.

    Raises
    ------
    UsageError
        When that number cannot be met; nothing is written then.
    """
    pairs = Path(pairs)
    if not (pairs / "manifest.csv").is_file():
        raise LayoutError(f"{pairs}: no manifest.csv; give a pairs folder, made by d2crealsr align")
    with lock_folder(pairs):
        manifest = read_manifest(pairs)
        before = manifest["split"].tolist()
        after = choose_splits(manifest, test=test, seed=seed, resplit=resplit)
        if after != before:
            write_pairs_table(pairs, "manifest.csv", manifest.assign(split=after))
    accepted = zip(manifest["scene"], manifest["status"], before, after, strict=True)
    rows = [(scene, old, new) for scene, status, old, new in accepted if status == "accepted"]
    return SplitResult(
        train=tuple(scene for scene, _, new in rows if new == "train"),
        test=tuple(scene for scene, _, new in rows if new == "test"),
        new=sum(old != new for _, old, new in rows),
    )


def choose_splits(manifest: pd.DataFrame, *, test: int, seed: int = 0, resplit: bool = False) -> list[str]:
    """The manifest's column ``split`` as it shall be; depends on its ``scene, status, split, group`` in any order.

    Groups are drawn in an order that seed and their names alone decide. One that would overshoot, or after which the
    number could not be met any more, is skipped.
    """
    columns = (manifest[name].tolist() for name in ("scene", "status", "split", "group"))
    rows = list(zip(*columns, strict=True))
    fixed = {} if resplit else _fixed_groups([(group, label) for _, _, label, group in rows if label])
    sizes: dict[str, int] = {}
    for _, status, _, group in rows:
        if status == "accepted":
            sizes[group] = sizes.get(group, 0) + 1
    drawn = _draw(sizes, fixed, test, seed)

    def label(status: str, old: str, group: str) -> str:
        if status != "accepted":
            return "" if resplit else old
        return fixed.get(group) or ("test" if group in drawn else "train")

    return [label(status, old, group) for _, status, old, group in rows]


def _fixed_groups(labels: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Split by group, from the scenes that have one, accepted or not."""
    fixed: dict[str, str] = {}
    for group, label in labels:
        if fixed.setdefault(group, label) != label:
            raise UsageError(f"group {group!r} is in both train and test; correct the manifest, or use --resplit")
    return fixed


def _draw(sizes: Mapping[str, int], fixed: Mapping[str, str], test: int, seed: int) -> set[str]:
    """Groups that join the test split, so that it has ``test`` scenes."""
    already = sum(size for group, size in sizes.items() if fixed.get(group) == "test")
    free = sorted((group for group in sizes if group not in fixed), key=lambda group: _rank(seed, group))
    reachable = _subset_sums([sizes[group] for group in free])
    total = sum(sizes.values())
    allowed = {already + more for more in reachable[0] if already + more < total}
    if test not in allowed:
        raise UsageError(_cannot(test, total, already, allowed))
    drawn, wanted = set(), test - already
    for place, group in enumerate(free):
        if wanted - sizes[group] in reachable[place + 1]:
            drawn.add(group)
            wanted -= sizes[group]
    return drawn


def _rank(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()


def _subset_sums(sizes: Sequence[int]) -> list[set[int]]:
    """For every place, the sums that some of the sizes from there on have."""
    sums = [{0}]
    for size in reversed(sizes):
        sums.append(sums[-1] | {size + other for other in sums[-1]})
    return sums[::-1]


def _cannot(test: int, total: int, already: int, allowed: set[int]) -> str:
    if not total:
        return "no scene is accepted, so there is nothing to split; look at the manifest's reasons"
    text = f"{test} test scenes cannot be drawn from {total} accepted ones (groups stay whole, one scene must train)"
    if already:
        text += f", {already} of them test already (--resplit starts over)"
    return f"{text}; possible with --test: {_ranges(sorted(allowed)) or 'none'}"


def _ranges(numbers: Sequence[int]) -> str:
    """``0-3, 5, 8-9``."""
    if not numbers:
        return ""
    breaks = [place for place, (a, b) in enumerate(pairwise(numbers), start=1) if b != a + 1]
    edges = [0, *breaks, len(numbers)]
    runs = [(numbers[start], numbers[stop - 1]) for start, stop in pairwise(edges)]
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)
