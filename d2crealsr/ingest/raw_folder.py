"""The folder that ``ingest`` writes: ``hr/``, ``lr/``, ``manifest.csv`` for ``align``, and ``frames.csv``, its record.

The tables are written before the files that they name. A run that was killed in between is completed by the next one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import LayoutError, TableError
from d2crealsr.ingest.plan import Standing
from d2crealsr.store.files import cannot_write, write_text
from d2crealsr.store.ownership import holdings, refuse_foreign, refuse_links
from d2crealsr.store.tables import csv_rows, read_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from d2crealsr.ingest.measured import Pair

__all__ = ["FRAMES_FILE", "RawFolder", "printed_cards"]

FRAMES_FILE, MANIFEST_FILE = "frames.csv", "manifest.csv"
_CARDS_FILE, _OF_CARDS = "cards.csv", ("scene", "source", "source_licence")
"""The table that ``cards`` writes, and what is taken of it."""
_RECORDED = ("frame", "sha256", "role", "group", "scale", "file")
_OF_SCENES = ("scene", "hr", "lr", "group", "scale")
"""Columns of the record and of the manifest that a later run goes by."""


def printed_cards(frames: Path) -> dict[str, dict[str, str]]:
    """Rows of the ``cards.csv`` in the folder of frames, by the number on the card; none if there is no such table."""
    table = frames / _CARDS_FILE
    return {row["scene"]: row for row in _rows(table, _OF_CARDS)} if table.is_file() else {}


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
        scenes = _rows(manifest, _OF_SCENES) if manifest.is_file() and manifest.read_bytes().strip() else []
        return cls(path, scenes, _rows(path / FRAMES_FILE, _RECORDED))

    def standing(self, accepted: Collection[Pair] = (), rejected: Collection[Pair] = ()) -> Standing:
        """What the scenes of the folder are, for the plan of the frames that are added.

        A scene does not stand if one of its files was removed, or if it was ``rejected`` (hashes of HR and LR). Its
        frames keep its name also when both files were removed.
        """
        scenes = self.scenes()
        recorded = {file: sha256 for sha256, file in self._recorded.items()}
        takes: dict[str, str] = {}
        groups: dict[str, str] = {}
        scales: dict[str, frozenset[int]] = {}
        good = {sha256 for pair in accepted for sha256 in pair}
        for row in self.manifest:
            take, pair = Path(row["hr"]).stem, scenes[row["scene"]]
            groups[take] = row["group"]
            takes |= {recorded[row[side]]: take for side in ("hr", "lr") if row[side] in recorded}
            if all(pair) and pair not in rejected:
                good.update(pair)
                if row["scale"].isdigit():
                    scales[take] = scales.get(take, frozenset()) | {int(row["scale"])}
        return Standing(
            takes=takes,
            groups=groups,
            scales=scales,
            taken=frozenset(groups.values()) | {path.stem.partition("_x")[0] for path in self._in_folders()},
            good=frozenset(good),
            rejected=frozenset(sha256 for pair in rejected for sha256 in pair) - good,
        )

    def scenes(self) -> dict[str, Pair]:
        """Hashes of HR and LR of every scene; empty where the file is not there any more."""
        by_file = {file: sha256 for sha256, file in self.files.items()}
        return {row["scene"]: (by_file.get(row["hr"], ""), by_file.get(row["lr"], "")) for row in self.manifest}

    @property
    def scales(self) -> tuple[int, ...]:
        """The scales of the scenes, the largest first; cells that a person changed into something else do not count."""
        cells = {row["scale"].strip() for row in self.manifest}
        return tuple(sorted((int(cell) for cell in cells if cell.isdecimal()), reverse=True))

    def _in_folders(self) -> Iterable[Path]:
        return (path for side in ("hr", "lr") for path in (self.path / side).glob("*"))

    @property
    def files(self) -> dict[str, str]:
        """Files of the folder that are there, by the hash of the frame that they were made from."""
        return {sha256: file for sha256, file in self._recorded.items() if os.path.lexists(self.path / file)}

    @property
    def _recorded(self) -> dict[str, str]:
        """Files that the record names, whether they are there or not, by the hash of the frame."""
        return {row["sha256"]: row["file"] for row in self.frames if row["file"]}

    def write_tables(self, scenes: Iterable[Mapping[str, Any]], frames: Iterable[Mapping[str, Any]]) -> None:
        """Add new scenes to the manifest or replace them, and replace the rows of frames that were seen again."""
        added, frames = list(map(_as_text, scenes)), list(frames)
        new = {row["scene"] for row in added}
        self._release({row[side] for row in self.manifest for side in ("hr", "lr")}, frames)
        seen, named = ({row[key] for row in frames} for key in ("sha256", "frame"))
        stay = [row for row in self.frames if row["sha256"] not in seen]
        mended = [row for row in stay if row["role"] == "unreadable" and row["frame"] in named]  # copied again
        self.frames = [*(row for row in stay if row not in mended), *map(_as_text, frames)]
        stand = [row for row in self.manifest if row["scene"] not in new]
        self.manifest = sorted([*stand, *added], key=lambda row: row["scene"])
        for name, rows, least in ((FRAMES_FILE, self.frames, _RECORDED), (MANIFEST_FILE, self.manifest, _OF_SCENES)):
            header = list(dict.fromkeys(key for row in rows for key in row)) or least
            write_text(self.path / name, csv_rows([header, *([row.get(key, "") for key in header] for row in rows)]))

    def _release(self, files: Iterable[str], frames: Iterable[Mapping[str, Any]]) -> None:
        """Remove files of scenes whose place another shot takes. The frames themselves stay where they were shot."""
        there = {file: sha256 for sha256, file in self.files.items()}
        now = {row["file"]: row["sha256"] for row in frames if row["file"]}
        for file in files:
            if file in there and now.get(file, there[file]) != there[file]:
                try:
                    (self.path / file).unlink(missing_ok=True)
                except OSError as error:
                    raise cannot_write(self.path / file, error) from error


def _rows(path: Path, needed: Iterable[str]) -> list[dict[str, str]]:
    header, rows = read_rows(path)
    missing = [name for name in needed if name not in header]
    if missing:
        raise TableError(f"{path}: columns missing: {', '.join(missing)}; restore the file")
    return [dict(zip(header, row, strict=True)) for row in rows]


def _as_text(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in row.items()}
