"""The results of a run. They are appended to the journal as they come, and merged into the tables when the run ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from d2crealsr.store.columns import MANIFEST, TABLES
from d2crealsr.store.held import read_held
from d2crealsr.store.journal import JournalWriter
from d2crealsr.store.merge import merge_journal
from d2crealsr.store.pairs import load_table
from d2crealsr.store.tables import cell_text, records, rows_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from d2crealsr.store.held import Held

__all__ = ["Ledger"]

_OWN = {column.name: column for column in MANIFEST if column.name not in ("split", "left_out_of")}
"""Columns of the manifest that `align` writes. The other two belong to `split`."""


class Ledger:
    """Manifest rows by scene in memory, and everything that is new in the journal. The caller holds the folder's lock.

    When the manifest row of a scene is replaced, it keeps ``split``, ``left_out_of`` and all columns that are not part
    of the format, because others wrote them.
    """

    def __init__(self, pairs: Path) -> None:
        self._pairs = pairs
        self._manifest: dict[str, dict[str, Any]] = {}
        self._whole: set[str] = set()
        self._journal: JournalWriter | None = None
        self.held: Held = {}

    @classmethod
    def load(cls, pairs: Path) -> Ledger:
        """The state that earlier runs left; empty if there was none. Raises TableError if the manifest is damaged."""
        ledger = cls(pairs)
        ledger.held = read_held(pairs)
        if (pairs / "manifest.csv").exists():
            ledger._manifest = {row["scene"]: row for row in records(load_table(pairs, "manifest.csv"))}
            if all((pairs / name).exists() for name in TABLES):
                ledger._whole = set(ledger._manifest)
        return ledger

    @property
    def scenes(self) -> set[str]:
        """Scenes that have a row."""
        return set(self._manifest)

    @property
    def accepted(self) -> dict[str, Mapping[str, Any]]:
        """The present rows of the accepted scenes."""
        return {scene: row for scene, row in self._manifest.items() if row["status"] == "accepted"}

    def row(self, scene: str) -> Mapping[str, Any] | None:
        """The scene's manifest row; None if it has none."""
        return self._manifest.get(scene)

    def is_whole(self, scene: str) -> bool:
        """Whether the scene's rows in the other tables are complete."""
        return scene in self._whole

    def scales(self, scenes: Sequence[str]) -> set[int]:
        """Scales with which the rows of these scenes were made."""
        return {int(self._manifest[scene]["scale"]) for scene in scenes}

    def update(self, row: Mapping[str, Any]) -> None:
        """Change cells in the manifest row of a scene. Its rows in the other tables stay as they are."""
        scene = row["scene"]
        old = self._manifest[scene]
        texts = {
            name: (cell_text(old.get(name), column, self._pairs), cell_text(row[name], column, self._pairs))
            for name, column in _OWN.items()
            # The split may be newer than a held row. Equal values have equal texts.
            if name in row and row[name] != old.get(name)
        }
        if changed := {name: new for name, (before, new) in texts.items() if new != before}:
            self._manifest[scene] = {**old, **{name: row[name] for name in changed}}
            self._append({"cells": {scene: changed}})

    def replace(self, row: Mapping[str, Any], **details: Sequence[Mapping[str, Any]]) -> None:
        """Replace all of a scene's rows; ``residuals``, ``alignment`` and ``timings`` by keyword.

        Raises
        ------
        TableError
            When a value is not permitted in its column.
        MachineError
            When the disk cannot store the rows.
        """
        scene = row["scene"]
        kept = {name: cell for name, cell in self._manifest.get(scene, {}).items() if name not in _OWN}
        new = {**row, **kept}
        rows = {name: [new] if name == "manifest.csv" else details.get(name[:-4], []) for name in TABLES}
        texts = {name: rows_text(rows[name], columns, self._pairs / name) for name, columns in TABLES.items()}
        self._append({"scene": scene, "tables": texts})
        self._manifest[scene] = new
        self._whole.add(scene)

    def fill_split(self, scene: str, split: str) -> None:
        """Enter the split of a scene that has none, unless a reviewer left the scene out."""
        row = self._manifest[scene]
        if split and not row["split"] and not row.get("left_out_of"):
            self._manifest[scene] = {**row, "split": split}
            self._append({"cells": {scene: {"split": split}}})

    def hold(self, scene: str, **parts: Any) -> None:
        """Hold back a result (``row``, ``stages``, … as plain values). The tables stay as they are."""
        self.held[scene] = parts
        self._append({"held": {scene: parts}})

    def release(self, scenes: Iterable[str]) -> None:
        """Discard the results of these scenes that were held back."""
        if known := [scene for scene in scenes if scene in self.held]:
            self._append({"released": known})
            for scene in known:
                del self.held[scene]

    def drop(self, scene: str) -> None:
        """Remove all rows of a scene."""
        self.release([scene])
        self._append({"removed": [scene]})
        del self._manifest[scene]

    def merge(self, entries: Mapping[str, Any] | None = None) -> None:
        """Merge the journal into the tables, and ``entries`` into ``dataset.json``. Errors as `merge_journal`."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        merge_journal(self._pairs, entries=entries, upgrade=True)

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._journal is None:
            self._journal = JournalWriter(self._pairs)
        self._journal.append(line)
        if not (self._pairs / "manifest.csv").exists():  # the first result of a new folder makes its tables
            self.merge()
