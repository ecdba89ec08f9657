"""The pairs folder: names, readers and writers of its tables and of its description."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import LayoutError, MachineError, TableError
from d2crealsr.store.columns import MANIFEST, TABLES
from d2crealsr.store.files import read_text, write_text
from d2crealsr.store.tables import read_table, write_table
from d2crealsr.ui.text import UNPRINTABLE

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import pandas as pd

__all__ = [
    "DATASET_FILE",
    "FORMAT_NAME",
    "FORMAT_VERSION",
    "cell_problem",
    "formula_problem",
    "is_plain",
    "published_paths",
    "read_alignment",
    "read_dataset",
    "read_manifest",
    "read_residuals",
    "read_timings",
    "scene_problem",
    "write_dataset",
    "write_pairs_table",
]

FORMAT_NAME = "d2crealsr-pairs"
FORMAT_VERSION = 1
DATASET_FILE = "dataset.json"

_LONGEST_SCENE = 200
_ENTRIES: dict[str, tuple[type, str]] = {
    "scale": (int, "a whole number from 1 to 16"),
    "settings": (dict, "an object"),
    "tool": (str, "text"),
    "tool_version": (str, "text"),
    "raw_root": (str, "a path"),
    "licence": (str, "text"),
    "citation": (str, "text"),
}
"""The entries of a description that are read: the type of each, and the type in words."""
_LARGEST_SCALE = 16
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


def write_pairs_table(pairs: Path, name: str, frame: pd.DataFrame) -> None:
    """Write one of the tables (``manifest.csv``, …) sorted by scene, complete or not at all.

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
        When there is no manifest.
    TableError
        When it violates the format: missing columns, values out of range, repeated scenes, paths out of the folder.
    """
    path = Path(pairs) / "manifest.csv"
    if not path.exists():
        raise LayoutError(f"{path} is not there; give a pairs folder, or make one: d2crealsr align RAW --out PAIRS")
    frame = read_table(path, MANIFEST, columns)
    _check_names(frame, path)
    return frame


def read_alignment(pairs: str | os.PathLike[str]) -> pd.DataFrame:
    """Read ``alignment.csv`` of a pairs folder: one row per scene and stage, in order. Errors as `read_manifest`."""
    return _read_details(pairs, "alignment.csv")


def read_residuals(pairs: str | os.PathLike[str]) -> pd.DataFrame:
    """Read ``residuals.csv`` of a pairs folder: one row per scene and block. Errors as `read_manifest`."""
    return _read_details(pairs, "residuals.csv")


def read_timings(pairs: str | os.PathLike[str]) -> pd.DataFrame:
    """Read ``timings.csv`` of a pairs folder: one row per scene. Errors as `read_manifest`."""
    return _read_details(pairs, "timings.csv")


def _read_details(pairs: str | os.PathLike[str], name: str) -> pd.DataFrame:
    path = Path(pairs) / name
    frame = read_table(path, TABLES[name])
    _check_names(frame, path)
    return frame


def write_dataset(pairs: Path, description: Mapping[str, Any]) -> None:
    """Write ``dataset.json``: first the name and version of the format, then the caller's entries."""
    path = pairs / DATASET_FILE
    content = {"format": FORMAT_NAME, "version": FORMAT_VERSION, **description}
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


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
    path = Path(pairs) / DATASET_FILE
    try:
        content = json.loads(read_text(path))
    except FileNotFoundError as error:
        raise LayoutError(f"{path} is not there; give a pairs folder made by `d2crealsr align`") from error
    except (ValueError, RecursionError) as error:
        raise LayoutError(f"{path}: not JSON ({error}); restore it from a copy") from error
    except OSError as error:
        raise MachineError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT_NAME:
        raise LayoutError(f"{path}: expected a description of format {FORMAT_NAME!r}; give a pairs folder")
    if content.get("version") != FORMAT_VERSION:
        got = content.get("version")
        raise LayoutError(f"{path}: got format version {got!r:.80}, expected {FORMAT_VERSION}; update d2crealsr")
    _check_entries(content, needed, path)
    return content


def _check_entries(content: Mapping[str, Any], needed: Sequence[str], path: Path) -> None:
    """Raise LayoutError that names the first missing or wrong entry of a description."""
    for name, (kind, expected) in _ENTRIES.items():
        value = content.get(name)
        if name not in content and name not in needed:
            continue
        good = isinstance(value, kind) and not isinstance(value, bool)
        if isinstance(value, str) and name == "raw_root":
            good = "\0" not in value
        if isinstance(value, int) and good:
            good = 1 <= value <= _LARGEST_SCALE
        if not good:
            got = "nothing" if name not in content else f"{type(value).__name__} {str(value)[:40]!r}"
            raise LayoutError(f"{path}: {name} is {got}, expected {expected}; restore the file, or run align again")


def _check_names(frame: pd.DataFrame, path: Path) -> None:
    """Check that scenes can name files and that paths stay in the folder; raises TableError with the row."""
    names = frame["scene"].tolist() if "scene" in frame else []
    for row, scene in enumerate(names, start=2):
        if problem := scene_problem(scene):
            raise TableError(f"{path}, row {row}: scene {scene[:80]!r} {problem}; rename it")
    accepted = [status == "accepted" for status in frame["status"]] if "status" in frame else []
    for name in ("hr_path", "lr_path", "hr_source", "lr_source"):
        cells = frame[name].tolist() if name in frame else []
        for row, cell in enumerate(cells, start=2):
            where = f"{path}, row {row}, column {name}"
            pure = PurePosixPath(cell)
            if pure.is_absolute() or ".." in pure.parts or not is_plain(cell):
                raise TableError(f"{where}: got {cell!r}, expected a relative path inside the folder; correct it")
            if not cell and name.endswith("_path") and accepted and accepted[row - 2]:
                raise TableError(f"{where}: got nothing, expected the path of an accepted pair; run align again")
