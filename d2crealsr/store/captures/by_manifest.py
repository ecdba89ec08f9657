"""Captures named by a table ``scene, hr, lr`` and optionally ``group``, with paths relative to the table's folder.

A table that ``ingest`` wrote has a column ``scale`` as well, since several LR shots can belong to one HR shot. The rows
of the scale that is asked for are taken, and those without a scale.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError, MachineError, TableError
from d2crealsr.store.captures.capture import Capture, RawLayout
from d2crealsr.store.csv_files import FIRST_ROW, read_rows
from d2crealsr.store.listing import PLACEHOLDER, few_of, folded, list_images
from d2crealsr.store.pairs import formula_problem, is_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["MANIFEST"]

_RECORD = "frames.csv"
"""The table in which ``ingest`` records what became of each frame."""


def _find(raw: Path, scale: int, said: list[str]) -> list[Capture] | None:
    path = raw / "manifest.csv" if raw.is_dir() else raw
    if not path.is_file():
        return None
    header, rows = read_rows(path)
    missing = [name for name in ("scene", "hr", "lr") if name not in header]
    if missing:
        raise LayoutError(f"{path}: columns missing: {', '.join(missing)}; expected scene,hr,lr,group")
    captures: list[Capture] = []
    others: Counter[int] = Counter()
    for number, row in enumerate(rows, start=FIRST_ROW):
        cells = dict(zip(header, row, strict=True))
        where = f"{path}, row {number}"
        own = _scale_in(cells.get("scale", ""), where)
        if own is not None and own != scale:
            others[own] += 1
            continue
        hr, lr = (_inside(path.parent, cells[name], f"{where}, column {name}") for name in ("hr", "lr"))
        looked_for = [cells[name] for name, found in (("hr", hr), ("lr", lr)) if found is None and cells[name]]
        absent = ", ".join(_not_there(relative, f"row {number} of {path.name}") for relative in looked_for)
        group = cells.get("group", "")
        captures.append(Capture(scene=cells["scene"], hr=hr, lr=lr, group=group, absent=absent, row=number))
    if others:
        ways = ", ".join(f"align --scale {own} takes {count}" for own, count in sorted(others.items()))
        there = f"{others.total()} of {len(rows)} rows are of another scale than {scale}: {ways}"
        if not captures:
            raise LayoutError(f"{path}: {there}; give that --scale")
        said.append(f"{path.name}: {there}")
    if raw.is_dir():  # a list that is given as a file chooses among many
        places = [header.index(name) for name in ("hr", "lr")]
        if unnamed := list(_unnamed(raw, [row[place] for row in rows for place in places if row[place]])):
            said.append(f"{few_of(unnamed, raw, 'image')} in no row of {path.name} and left out")
    return captures


def _unnamed(raw: Path, named: Iterable[str]) -> Iterator[Path]:
    """Images in the folders of the named files that neither the manifest nor the record of ``ingest`` names."""
    paths = [path for path in map(os.path.normpath, named) if _is_within(path)]
    known = {folded(Path(path).as_posix()) for path in [*paths, *_recorded(raw / _RECORD)]}
    for folder in sorted({raw / Path(path).parent for path in paths}):
        with contextlib.suppress(MachineError):  # whoever reads a capture there says so
            images = list_images(folder, deep=False).images
            yield from (path for path in images if folded(path.relative_to(raw).as_posix()) not in known)


def _recorded(table: Path) -> list[str]:
    """Files that an ``ingest`` has placed, also those of scenes that stand no more; none if there is no such record."""
    try:
        header, rows = read_rows(table) if table.is_file() else ([], [])
    except (TableError, MachineError):  # the captures do not depend on it
        return []
    return [row[header.index("file")] for row in rows] if "file" in header else []


def _scale_in(text: str, where: str) -> int | None:
    """The scale of a row; None if it has none, so that it is taken for any."""
    if not text.strip():
        return None
    number = re.fullmatch(r"\s*(\d{1,2})(\.0*)?\s*", text)
    if number is None or not 1 <= int(number[1]) <= 16:
        raise LayoutError(f"{where}, column scale: got {text[:20]!r}, expected a whole number from 1 to 16; correct it")
    return int(number[1])


def _not_there(relative: str, where: str) -> str:
    """The message about a path in a manifest that leads to no file."""
    known = {"\\": "write / for \\", PLACEHOLDER: f"write the number for {PLACEHOLDER}"}
    hints = [hint for sign, hint in known.items() if sign in relative]
    return f"{relative} is not there ({'; '.join((where, *hints))})"


def _inside(root: Path, relative: str, where: str) -> Path | None:
    """The file at a path in a manifest; None if there is none."""
    if not relative:
        return None
    normal = os.path.normpath(relative)
    if not _is_within(normal):
        raise LayoutError(f"{where}: got {relative!r}, expected a relative path inside {root}; move the file there")
    if problem := formula_problem(normal) or formula_problem(Path(normal).name):
        raise LayoutError(f"{where}: {relative[:80]!r} {problem}; rename the file")
    path = root / normal
    return path if _is_capture(path) else None


def _is_within(normal: str) -> bool:
    """Whether a normal path can be one of a file inside the folder of the manifest."""
    return not Path(normal).is_absolute() and normal.split("/", 1)[0] != ".." and is_plain(normal)


def _is_capture(path: Path) -> bool:
    """Whether there is a file, or a link that leads to none: reading the link reports the error."""
    return path.is_file() or (path.is_symlink() and not path.exists())


MANIFEST = RawLayout(name="manifest", files="a manifest.csv with the columns scene,hr,lr,group", find=_find)
