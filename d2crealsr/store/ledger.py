"""The tables of a pairs folder during a run. They are loaded once and saved as results come, in an order from which a
killed run can be resumed."""

from __future__ import annotations

import collections
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import TableError
from d2crealsr.store.columns import MANIFEST, TABLES
from d2crealsr.store.files import read_text, write_text
from d2crealsr.store.pairs import read_manifest, write_pairs_table
from d2crealsr.store.tables import check_table, frame_of, read_table, records

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Ledger"]

_DETAILS = ("residuals.csv", "alignment.csv", "timings.csv")
"""Tables that are saved before the manifest, so that a scene with a manifest row also has its rows in them."""

_SECONDS_BETWEEN_SAVES = 2.0
_LARGEST_SHARE = 0.05
"""Largest share of the run's time for saving. Large tables are saved less often."""

_HELD = ".held.json"
"""Results by scene that would remove a published pair, kept until somebody consents or they are out of date."""

_HELD_PARTS = {"row", "judged", "stages", "residuals", "timing"}
_HELD_TEXTS = ("recipe", "reasons", "message", "hr_source_sha256", "lr_source_sha256")

_OWN = {column.name for column in MANIFEST} - {"split", "left_out_of"}
"""Columns of the manifest that `align` writes. The other two belong to `split`."""


class Ledger:
    """Rows of the four tables by scene.

    When the manifest row of a scene is replaced, it keeps ``split``, ``left_out_of`` and all columns that are not part
    of the format, because others wrote them.
    """

    def __init__(self, pairs: Path) -> None:
        self._pairs = pairs
        self._manifest: dict[str, dict[str, Any]] = {}
        self._details: dict[str, dict[str, Sequence[Mapping[str, Any]]]] = {name: {} for name in _DETAILS}
        self._known: set[str] = set()
        self.held: dict[str, dict[str, Any]] = {}
        self._next_save = 0.0

    @classmethod
    def load(cls, pairs: Path) -> Ledger:
        """The tables of an earlier run; empty if there was none. Raises TableError if a table is damaged."""
        ledger = cls(pairs)
        ledger.held = _read_held(pairs / _HELD)
        if not (pairs / "manifest.csv").exists():
            return ledger
        ledger._manifest = {row["scene"]: row for row in records(read_manifest(pairs))}
        if all((pairs / name).exists() for name in _DETAILS):
            ledger._known = set(ledger._manifest)
        for name in _DETAILS:
            if (pairs / name).exists():
                rows = collections.defaultdict(list)
                for row in records(read_table(pairs / name, TABLES[name])):
                    rows[row["scene"]].append(row)
                ledger._details[name] = dict(rows)
        return ledger

    @property
    def scenes(self) -> set[str]:
        """Scenes that have a row."""
        return set(self._manifest)

    @property
    def accepted(self) -> dict[str, Mapping[str, Any]]:
        """The present rows of the accepted scenes."""
        return {scene: dict(row) for scene, row in self._manifest.items() if row["status"] == "accepted"}

    def row(self, scene: str) -> Mapping[str, Any] | None:
        """The scene's manifest row; None if it has none."""
        return self._manifest.get(scene)

    def is_whole(self, scene: str) -> bool:
        """Whether the scene's rows in the other tables are complete."""
        return scene in self._known

    def scales(self, scenes: Sequence[str]) -> set[int]:
        """Scales with which the rows of these scenes were made."""
        return {int(self._manifest[scene]["scale"]) for scene in scenes}

    def update(self, row: Mapping[str, Any]) -> None:
        """Replace cells in the manifest row of a scene. Its rows in the other tables stay as they are."""
        own = {name: cell for name, cell in row.items() if name in _OWN}  # the split may be newer than a held row
        self._manifest[row["scene"]] = {**self._manifest[row["scene"]], **own}

    def replace(self, row: Mapping[str, Any], **details: Sequence[Mapping[str, Any]]) -> None:
        """Replace all of a scene's rows; ``residuals``, ``alignment`` and ``timings`` by keyword."""
        scene = row["scene"]
        old = self._manifest.get(scene, {})
        kept = {name: cell for name, cell in old.items() if name not in _OWN}
        self._manifest[scene] = {**row, **kept}
        self._known.add(scene)
        for name in _DETAILS:
            self._details[name][scene] = details.get(name.removesuffix(".csv"), [])

    def hold(self, scene: str, **parts: Any) -> None:
        """Hold back a result (``row``, ``stages``, … as plain values). The tables stay as they are."""
        self.held[scene] = parts

    def release(self, scenes: Iterable[str]) -> None:
        """Discard the results of these scenes that were held back."""
        for scene in scenes:
            self.held.pop(scene, None)

    def drop(self, scene: str) -> None:
        """Remove all rows of a scene."""
        self.release([scene])
        del self._manifest[scene]
        for rows in self._details.values():
            rows.pop(scene, None)

    def save_if_due(self) -> None:
        """Save, unless the last save was a moment ago."""
        if time.monotonic() >= self._next_save:
            self.save()

    def save(self) -> None:
        """Write all four tables, the manifest last. Raises MachineError if the disk cannot store them."""
        start = time.monotonic()
        for name in _DETAILS:
            rows = [row for scene in self._manifest for row in self._details[name].get(scene, [])]
            write_pairs_table(self._pairs, name, frame_of(rows, TABLES[name]))
        write_pairs_table(self._pairs, "manifest.csv", frame_of(self._manifest.values(), MANIFEST))
        self._save_held()
        took = time.monotonic() - start
        self._next_save = time.monotonic() + max(_SECONDS_BETWEEN_SAVES, took / _LARGEST_SHARE)

    def _save_held(self) -> None:
        path = self._pairs / _HELD
        if self.held:
            write_text(path, json.dumps(self.held, default=lambda number: number.item()) + "\n")
        else:
            with contextlib.suppress(OSError):  # harmless: held results are checked before use
                path.unlink(missing_ok=True)


def _read_held(path: Path) -> dict[str, dict[str, Any]]:
    """The results that an earlier run held back. None if the file is damaged; the scenes are then done again."""
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
            texts = all(isinstance(row[name], str) for name in _HELD_TEXTS)
            if not (own and texts and parts.keys() == _HELD_PARTS and row["status"] != "accepted"):
                return {}
            for name, entries in found.items():
                rows[name] += entries
        for name, entries in rows.items():
            check_table(frame_of(entries, TABLES[name]), TABLES[name], path)
        return dict(held)
    return {}
