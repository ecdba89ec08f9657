"""The folder that ``ingest`` writes: ``hr/``, ``lr/``, ``manifest.csv`` for ``align``, and ``frames.csv``, its record.

The tables are written before the files that they name. A run that was killed in between is completed by the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import LayoutError, TableError
from d2crealsr.ingest.plan import Standing
from d2crealsr.store.files import write_text
from d2crealsr.store.ownership import holdings, refuse_foreign, refuse_links
from d2crealsr.store.tables import csv_rows, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["FRAMES_FILE", "RawFolder"]

FRAMES_FILE, MANIFEST_FILE = "frames.csv", "manifest.csv"
_RECORDED = ("frame", "sha256", "role", "group", "scale", "file")
"""Columns of the record that a later run goes by."""


@dataclass
class RawFolder:
    """The folder as an earlier run left it: rows of both tables by column name, as text."""

    path: Path
    manifest: list[dict[str, str]] = field(default_factory=list)
    frames: list[dict[str, str]] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> RawFolder:
        """Read what is there.

        Raises
        ------
        LayoutError
            When the folder holds anything of value that ``ingest`` did not write.
        TableError
            When its tables are damaged.
        """
        refuse_links(path, "hr", "lr", FRAMES_FILE, MANIFEST_FILE)
        refuse_foreign(path, own="captures")
        if not (path / FRAMES_FILE).is_file():
            if (example := holdings(path).get("captures")) is not None:
                raise LayoutError(
                    f"{path}: holds captures ({example.name}) that ingest did not write; give another folder with --out"
                )
            return cls(path)
        manifest = path / MANIFEST_FILE  # written after the record, so a killed run may lack it
        scenes = _rows(manifest, ("scene", "hr", "lr", "group", "scale")) if manifest.is_file() else []
        return cls(path, scenes, _rows(path / FRAMES_FILE, _RECORDED))

    def standing(self) -> Standing:
        """What the scenes of the folder are, for the plan of the frames that are added."""
        by_file = {row["file"]: row["sha256"] for row in self.frames if row["file"]}
        scales: dict[str, frozenset[int]] = {}
        for row in self.manifest:
            if row["scale"].isdigit():
                scales[row["group"]] = scales.get(row["group"], frozenset()) | {int(row["scale"])}
        return Standing(
            groups={by_file[row["hr"]]: row["group"] for row in self.manifest if row["hr"] in by_file},
            scales=scales,
            used=frozenset(by_file.values()),
            taken=frozenset(scales) | {path.stem.partition("_x")[0] for path in self._files()},
        )

    def _files(self) -> Iterable[Path]:
        return (path for side in ("hr", "lr") for path in (self.path / side).glob("*"))

    def files_in_use(self) -> dict[str, Path]:
        """Files of the folder by the hash of the frame that they were made from."""
        return {row["sha256"]: self.path / row["file"] for row in self.frames if row["file"]}

    def write_tables(self, scenes: Iterable[Mapping[str, Any]], frames: Iterable[Mapping[str, Any]]) -> None:
        """Add new scenes to the manifest, and replace the rows of frames that were seen again."""
        frames = list(frames)
        seen = {row["sha256"] for row in frames}
        self.frames = [*(row for row in self.frames if row["sha256"] not in seen), *map(_as_text, frames)]
        self.manifest = sorted([*self.manifest, *map(_as_text, scenes)], key=lambda row: row["scene"])
        for name, rows in ((FRAMES_FILE, self.frames), (MANIFEST_FILE, self.manifest)):
            header = list(dict.fromkeys(key for row in rows for key in row))
            write_text(self.path / name, csv_rows([header, *([row.get(key, "") for key in header] for row in rows)]))


def _rows(path: Path, needed: Iterable[str]) -> list[dict[str, str]]:
    header, rows = read_rows(path)
    missing = [name for name in needed if name not in header]
    if missing:
        raise TableError(f"{path}: columns missing: {', '.join(missing)}; restore the file")
    return [dict(zip(header, row, strict=True)) for row in rows]


def _as_text(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in row.items()}
