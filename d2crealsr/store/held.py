"""``.held.json``: results that would remove a published pair, kept until somebody consents or they are out of date."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, TypeAlias

from d2crealsr.errors import TableError
from d2crealsr.store.columns import TABLES
from d2crealsr.store.files import read_text, write_text
from d2crealsr.store.tables import check_table, frame_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Held", "read_held", "write_held"]

Held: TypeAlias = "dict[str, dict[str, Any]]"
"""The parts of each result by scene: its rows of all tables as plain values."""

_HELD_FILE = ".held.json"
_PARTS = {"row", "judged", "stages", "residuals", "timing"}
_TEXTS = ("recipe", "reasons", "message", "hr_source_sha256", "lr_source_sha256")


def write_held(pairs: Path, held: Held) -> None:
    """Write the results that are held back, or remove the file if there are none. Raises MachineError."""
    path = pairs / _HELD_FILE
    if held:
        write_text(path, json.dumps(held, default=lambda number: number.item()) + "\n")
    else:
        with contextlib.suppress(OSError):  # harmless: held results are checked before use
            path.unlink(missing_ok=True)


def read_held(pairs: Path) -> Held:
    """The results that an earlier run held back. None if the file is damaged; the scenes are then done again."""
    path = pairs / _HELD_FILE
    damage = (OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError, TableError)
    with contextlib.suppress(*damage):
        held = json.loads(read_text(path)) if path.is_file() else {}
        if not held:
            return {}
        rows: dict[str, list[Mapping[str, Any]]] = {name: [] for name in TABLES}
        for scene, parts in held.items():
            row, timing = parts["row"], parts["timing"]
            found = {
                "manifest.csv": [row],
                "alignment.csv": parts["stages"],
                "residuals.csv": parts["residuals"],
                "timings.csv": [timing] if timing else [],
            }
            own = all(entry["scene"] == scene for entries in found.values() for entry in entries)
            texts = all(isinstance(row[name], str) for name in _TEXTS)
            if not (own and texts and parts.keys() == _PARTS and row["status"] != "accepted"):
                return {}
            for name, entries in found.items():
                rows[name] += entries
        for name, entries in rows.items():
            check_table(frame_of(entries, TABLES[name]), TABLES[name], path)
        return dict(held)
    return {}
