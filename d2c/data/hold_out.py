"""Choose the training scenes that are kept for validation, by the hash of their group, not by chance or order."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import warnings
from collections import Counter
from typing import TYPE_CHECKING

from d2c.errors import ConfigError, DataError
from d2crealsr.store.naming import picture_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d2c.data.layouts import Pair

__all__ = ["grouped", "hold_out", "picture_of"]


def grouped(pairs: Sequence[Pair], group_by: str | None) -> list[Pair]:
    """The pairs, with groups taken from their names by a regular expression: its first group, or the whole match.

    A name that does not match is a group of its own. Without an expression the pairs keep their groups.

    Raises
    ------
    ConfigError
        When the regular expression is invalid.
    """
    if group_by is None:
        return list(pairs)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a pattern that Python warns of means something else than was meant
            pattern = re.compile(group_by)
        group_by.encode()  # it is kept in config.toml
    except (re.error, RecursionError, OverflowError, FutureWarning, UnicodeEncodeError) as error:
        raise ConfigError(f"group_by: {group_by!r} is not a regular expression ({error}); change --group-by") from error
    if not any(pattern.search(pair.name) for pair in pairs):
        first = f"such as {pairs[0].name!r}"
        raise ConfigError(f"group_by: {group_by!r} is found in none of {len(pairs)} names, {first}; change --group-by")
    return [
        dataclasses.replace(pair, group=(match[1] or "") if pattern.groups else match[0])
        if (match := pattern.search(pair.name))
        else dataclasses.replace(pair, group=pair.name)
        for pair in pairs
    ]


def hold_out(
    pairs: Sequence[Pair], share: float, fit: Callable[[Pair], bool] = lambda pair: True
) -> tuple[list[Pair], list[Pair]]:
    """Split training pairs into those to train on and those to validate on (``share`` of them, at least one).

    Whole groups are taken, in the order of the SHA-256 of their names, and at least one group is left to train on.
    ``fit`` tells whether a pair is suitable for validation. Groups with an unsuitable pair are used for training.
    Pairs of several datasets are split together, and groups of the same name are one group, so that a motif that is in
    two datasets is never on both sides.

    Raises
    ------
    DataError
        When no pair is suitable, or when all pairs are of one group, which would then also be in training.
    """
    if share == 0:
        return list(pairs), []
    groups = sorted({pair.group for pair in pairs}, key=lambda group: hashlib.sha256(group.encode()).digest())
    if len(groups) < 2:
        raise DataError(
            f"all {len(pairs)} training pairs are of group {groups[0]!r}, so none can be kept for validation; "
            "add scenes, say by --group-by what a picture is called, or train without by --validation 0"
        )
    unfit = {pair.group for pair in pairs if not fit(pair)}
    able = [group for group in groups if group not in unfit]
    if not able:
        raise DataError(
            f"none of the {len(pairs)} training pairs is large enough to validate on; "
            "add larger scenes, or train without by --validation 0"
        )
    wanted, kept = max(1, round(share * len(pairs))), 0
    sizes = Counter(pair.group for pair in pairs)
    held: set[str] = set()
    for group in able if unfit else able[:-1]:
        if kept >= wanted:
            break
        held.add(group)
        kept += sizes[group]
    return [p for p in pairs if p.group not in held], [p for p in pairs if p.group in held]
