"""Which training scenes are kept for validation: decided by the hash of their group, never by chance or order."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from d2c.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d2c.layouts import Pair

__all__ = ["hold_out"]


def hold_out(
    pairs: Sequence[Pair], share: float, fit: Callable[[Pair], bool] = lambda pair: True
) -> tuple[list[Pair], list[Pair]]:
    """Split training pairs into those to train on and those to validate on (``share`` of them, at least one).

    Groups are taken whole, in the order of the SHA-256 of their names, and at least one is left to train on. ``fit``
    says whether a pair can serve for validation; groups with one that cannot are trained on.

    Raises
    ------
    DataError
        When all pairs are of one group, so that none could be kept without showing it in training, or none is fit.
    """
    if share == 0:
        return list(pairs), []
    groups = sorted({pair.group for pair in pairs}, key=lambda group: hashlib.sha256(group.encode()).digest())
    if len(groups) < 2:
        raise DataError(
            f"all {len(pairs)} training pairs are of group {groups[0]!r}, so none can be kept for validation; "
            "add scenes, or train without by --validation 0"
        )
    unfit = {pair.group for pair in pairs if not fit(pair)}
    able = [group for group in groups if group not in unfit]
    if not able:
        raise DataError(
            f"none of the {len(pairs)} training pairs is large enough to validate on; "
            "add larger scenes, or train without by --validation 0"
        )
    wanted, kept = max(1, round(share * len(pairs))), 0
    held: set[str] = set()
    for group in able if unfit else able[:-1]:
        if kept >= wanted:
            break
        held.add(group)
        kept += sum(pair.group == group for pair in pairs)
    return [p for p in pairs if p.group not in held], [p for p in pairs if p.group in held]
