"""The pairs folder: names, and readers of its tables and of its description.

Readers see the tables and the journal together, and warn once if files were changed since they were written.
"""

from __future__ import annotations

import csv
import heapq
import io
import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import LayoutError, TableError
from d2crealsr.store.changes import warn_if_changed
from d2crealsr.store.columns import TABLES
from d2crealsr.store.csv_files import FIRST_ROW, in_parts, rows_in_parts
from d2crealsr.store.description import (
    DATASET_FILE,
    FORMAT_NAME,
    FORMAT_VERSION,
    SHA256,
    WITH_CHECKSUM,
    load_description,
    write_description,
)
from d2crealsr.store.files import sha256_of
from d2crealsr.store.journal import JOURNAL_FILE, open_journal
from d2crealsr.store.tables import joined, typed_parts, write_table
from d2crealsr.ui.text import UNPRINTABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from d2crealsr.store.journal import Journal

__all__ = [
    "DATASET_FILE",
    "FORMAT_NAME",
    "FORMAT_VERSION",
    "cell_problem",
    "formula_problem",
    "has_table",
    "is_plain",
    "load_parts",
    "load_table",
    "published_paths",
    "read_alignment",
    "read_dataset",
    "read_manifest",
    "read_residuals",
    "read_timings",
    "scene_problem",
    "sources_of",
    "write_dataset",
    "write_pairs_table",
]

_LONGEST_SCENE = 200
_FORMULA = ("=", "+", "-", "@")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")


def scene_problem(scene: str) -> str | None:
    """The reason why ``scene`` cannot name the files of a pair; None for a good name."""
    if not scene:
        return "is empty"
    if scene.startswith("."):
        return "begins with a dot"
    if "/" in scene:
        return "contains '/'"
    if not is_plain(scene):
        return "contains control characters or is not UTF-8"
    if len(scene.encode()) > _LONGEST_SCENE:
        return f"is {len(scene.encode())} bytes long, at most {_LONGEST_SCENE} are allowed"
    if scene.startswith(_FORMULA):
        return f"begins with {scene[0]!r}, which spreadsheets take for a formula"
    return None


def formula_problem(text: str) -> str | None:
    """The reason why a spreadsheet would evaluate this cell as a formula; None for plain text.

    Names of this kind are refused. Quoting them would make the name in the table differ from that of the file.
    """
    if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text):
        return f"begins with {text[0]!r}, which spreadsheets take for a formula"
    return None


def is_plain(text: str) -> bool:
    """Whether a text is valid UTF-8 without line ends, control characters or changes of the text direction."""
    return not UNPRINTABLE.search(text)


def cell_problem(text: str) -> str | None:
    """The reason why a name cannot be written into a table unchanged; None for plain text."""
    return formula_problem(text) if is_plain(text) else "contains control characters or is not UTF-8"


def published_paths(scene: str) -> tuple[str, str]:
    """Paths of a scene's published HR and LR image, relative to the pairs folder."""
    return f"hr/{scene}.png", f"lr/{scene}.png"


def sources_of(pairs: Path, row: Mapping[str, Any], description: Mapping[str, Any]) -> Path:
    """The folder to which ``hr_source`` and ``lr_source`` of a row are relative: of its captures, or of its import."""
    entry = "imported_from" if row["accepted_by"] == "import" else "raw_root"
    return pairs / str(description.get(entry, ""))


def write_pairs_table(pairs: Path, name: str, frame: pd.DataFrame) -> None:
    """Write one of the tables (``manifest.csv``, …) sorted by scene, complete or not at all.

    Its checksum is recorded where ``dataset.json`` has checksums. Commands do not use this function: they write through
    the journal, which can be interrupted between the two files.

    Raises
    ------
    TableError
        When the table violates the format.
    MachineError
        When the disk cannot store it.
    """
    frame = frame.sort_values("scene", kind="stable", ignore_index=True)
    _check_names(frame, pairs / name)
    write_table(pairs / name, frame, TABLES[name])
    if (pairs / DATASET_FILE).exists() and name in WITH_CHECKSUM:
        described = load_description(pairs)
        sha256 = {**described.get(SHA256, {}), name: sha256_of(pairs / name)}
        write_description(pairs, described, sha256, described["version"])


def read_manifest(pairs: str | os.PathLike[str], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read ``manifest.csv`` of a pairs folder.

    Parameters
    ----------
    pairs : path
        The pairs folder.
    columns : sequence of str, optional
        Read, check and return only these columns. By default all are read, and all fixed columns must exist.

    Returns
    -------
    DataFrame
        One row per scene. Text is ``str`` and never missing (an empty cell is ``""``), whole numbers are ``Int64``,
        and other numbers ``float64``. Columns that are not part of the format are text.

    Raises
    ------
    LayoutError
        When there is no manifest, or ``pairs`` is a file.
    TableError
        When it violates the format: missing columns, values out of range, repeated scenes, paths out of the folder.
    """
    return _read(pairs, "manifest.csv", columns)


def read_alignment(pairs: str | os.PathLike[str]) -> pd.DataFrame:
    """Read ``alignment.csv`` of a pairs folder: one row per scene and stage, in order. Errors as `read_manifest`."""
    return _read(pairs, "alignment.csv")


def read_residuals(pairs: str | os.PathLike[str]) -> pd.DataFrame:
    """Read ``residuals.csv`` of a pairs folder: one row per scene and block. Errors as `read_manifest`."""
    return _read(pairs, "residuals.csv")


def read_timings(pairs: str | os.PathLike[str]) -> pd.DataFrame:
    """Read ``timings.csv`` of a pairs folder: one row per scene. Errors as `read_manifest`."""
    return _read(pairs, "timings.csv")


def _read(pairs: str | os.PathLike[str], name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    frame = load_table(pairs, name, columns)
    warn_if_changed(pairs)
    return frame


def has_table(pairs: Path, name: str = "manifest.csv") -> bool:
    """Whether a pairs folder has a table, in a file or, before the first merge, in the journal alone."""
    return os.path.lexists(pairs / name) or os.path.lexists(pairs / JOURNAL_FILE)


def load_table(pairs: str | os.PathLike[str], name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """As :func:`read_manifest`, for any table and without a look at the checksums."""
    return joined(load_parts(pairs, name, columns))


def load_parts(
    pairs: str | os.PathLike[str], name: str, columns: Sequence[str] | None = None
) -> Iterator[pd.DataFrame]:
    """As :func:`load_table`, some rows at a time, because two million residuals take 300 MB as one table.

    A part is checked when it is reached. The rows of a scene may be in two parts.
    """
    path = Path(pairs) / name
    if path.parent.is_file():
        raise LayoutError(f"{path.parent}: is a file, expected a pairs folder; give the folder that holds it")
    with open_journal(Path(pairs)) as journal:  # before the table, which may be merged in the meantime
        if not path.exists() and not journal.replaced:
            remedy = "give a pairs folder, or make one: d2crealsr align CAPTURES --out PAIRS"
            raise LayoutError(f"{path} is not there; {remedy}")
        declared = [column.name for column in TABLES[name]]
        header, parts = rows_in_parts(path) if path.exists() else (declared, iter([[]]))
        if journal.changes_rows or (name == "manifest.csv" and journal.cells):
            header, parts = _with_journal(header, parts, journal, name)
        for frame in typed_parts(header, parts, path, TABLES[name], columns):
            _check_names(frame, path)
            yield frame


def _with_journal(
    header: list[str], parts: Iterable[list[list[str]]], journal: Journal, name: str
) -> tuple[list[str], Iterator[list[list[str]]]]:
    """Header and rows of a table after the journal, sorted by scene if those of the table are."""
    gone, cells = journal.replaced | journal.removed, journal.cells if name == "manifest.csv" else {}
    kept = (dict(zip(header, row, strict=True)) for part in parts for row in part)
    kept = (row for row in kept if row.get("scene") not in gone)
    new = [row for scene in sorted(journal.replaced) for row in _rows_of(journal, scene, name)]
    every = list(dict.fromkeys([*header, *(column for row in (*new, *cells.values()) for column in row)]))
    merged = heapq.merge(kept, new, key=lambda row: row.get("scene", ""))
    changed = ({**row, **cells.get(row.get("scene", ""), {})} for row in merged)
    return every, in_parts([row.get(column, "") for column in every] for row in changed)


def _rows_of(journal: Journal, scene: str, name: str) -> list[dict[str, str]]:
    """The new rows of a scene in a table."""
    return list(csv.DictReader(io.StringIO(journal.tables_of(scene).get(name) or "scene\n", newline="")))


def write_dataset(pairs: Path, description: Mapping[str, Any]) -> None:
    """Write ``dataset.json`` of a folder that has none: first the format and its version, then the caller's entries.

    Tables that are there are recorded as they are. From then on, merges (:mod:`d2crealsr.store.merge`) replace it.
    """
    there = [name for name in WITH_CHECKSUM if (pairs / name).exists()]
    write_description(pairs, description, {name: sha256_of(pairs / name) for name in there})


def read_dataset(pairs: str | os.PathLike[str], needed: Sequence[str] = ()) -> dict[str, Any]:
    """Read ``dataset.json`` of a pairs folder.

    Parameters
    ----------
    pairs : path
        The pairs folder.
    needed : sequence of str
        Entries that must exist.

    Raises
    ------
    LayoutError
        When it is missing, damaged, of another format or version, lacks an entry, or has an entry of the wrong type.
    """
    content = load_description(pairs, needed)
    warn_if_changed(pairs)
    return content


def _check_names(frame: pd.DataFrame, path: Path) -> None:
    """Check that scenes can name files and that paths stay in the folder; raises TableError with the row."""
    first = FIRST_ROW + int(frame.index[0]) if len(frame) else FIRST_ROW
    names = frame["scene"].tolist() if "scene" in frame else []
    for scene in dict.fromkeys(names):
        if problem := scene_problem(scene):
            row = first + names.index(scene)
            raise TableError(f"{path}, row {row}: scene {scene[:80]!r} {problem}; rename it")
    accepted = [status == "accepted" for status in frame["status"]] if "status" in frame else []
    for name in ("hr_path", "lr_path", "hr_source", "lr_source"):
        cells = frame[name].tolist() if name in frame else []
        for row, cell in enumerate(cells, start=first):
            where = f"{path}, row {row}, column {name}"
            pure = PurePosixPath(cell)
            if pure.is_absolute() or ".." in pure.parts or not is_plain(cell):
                raise TableError(f"{where}: got {cell!r}, expected a relative path inside the folder; correct it")
            if not cell and name.endswith("_path") and accepted and accepted[row - first]:
                raise TableError(f"{where}: got nothing, expected the path of an accepted pair; run align again")
