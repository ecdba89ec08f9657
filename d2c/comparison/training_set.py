"""The pairs that cells are trained on: what tells them from others, and what has changed in them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d2c.comparison.test_sets import pairs_digest
from d2c.data.records import read_records
from d2crealsr.store import files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from d2c.data.layouts import Pair

__all__ = ["TrainingSet", "read_training_set"]

_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """The files of the training pairs.

    Attributes
    ----------
    digest : str
        SHA-256 of the pairs' names and contents.
    contents : mapping
        SHA-256 of LR and HR of each pair, by its name.
    """

    digest: str
    contents: Mapping[str, tuple[str, str]]

    def changes_since(self, record: Path) -> str:
        """What differs from the pairs in the record of a run, in words.

        It is empty if nothing but names does, or if there is no record.
        """
        before = {pair.name: (pair.lr_sha256, pair.hr_sha256) for pair in read_records(record)}
        if not before or sorted(before.values()) == sorted(self.contents.values()):
            return ""
        kinds = {
            "added": [name for name in self.contents if name not in before],
            "removed": [name for name in before if name not in self.contents],
            "changed": [name for name, found in self.contents.items() if before.get(name, found) != found],
        }
        return ", ".join(
            f"{len(names)} {'pair' if len(names) == 1 else 'pairs'} {kind} "
            f"({', '.join(names[:_NAMED])}{', …' if len(names) > _NAMED else ''})"
            for kind, names in kinds.items()
            if names
        )


def read_training_set(pairs: Sequence[Pair]) -> TrainingSet:
    """Hash the files of the training pairs."""
    digest = functools.cache(files.sha256_of)
    contents = {pair.name: (digest(pair.lr), digest(pair.hr)) for pair in pairs}
    return TrainingSet(digest=pairs_digest(pairs, digest), contents=contents)
