"""Tables of the benchmarks, as text and as CSV, and a description of the run that made them."""

from __future__ import annotations

import csv
import platform
import shlex
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from d2crealsr.store.files import write_text
from d2crealsr.store.tables import csv_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Row", "cell", "command_line", "provenance", "read_csv", "text_table", "write_csv"]

Row: TypeAlias = "dict[str, Any]"

_LOCAL = ("--cache", "--out", "--scratch", "--work", "--city100", "--keep")
_NAMED = ("--photos", "--pairs", "--rejudge", "--net", "--checkpoint")
"""Options of which the last part of a path is kept."""

_PACKAGES = ("d2crealsr", "numpy", "scipy", "opencv-contrib-python", "scikit-image", "torch")


def cell(value: object, digits: int = 3) -> str:
    """A value as it stands in a text table."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.{digits}f}"
    return str(value)


def text_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None, digits: int = 3) -> str:
    """Rows under their column names, numbers to the right."""
    if not rows:
        return "(nothing)"
    names = list(columns or dict.fromkeys(name for row in rows for name in row))
    body = [[cell(row.get(name, ""), digits) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in body)) for i, name in enumerate(names)]
    numeric = [any(isinstance(row.get(name), (int, float)) for row in rows) for name in names]

    def line(cells: Sequence[str]) -> str:
        aligned = (c.rjust(w) if n else c.ljust(w) for c, w, n in zip(cells, widths, numeric, strict=True))
        return "  ".join(aligned).rstrip()

    return "\n".join([line(names), *(line(cells) for cells in body)])


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """All columns of all rows; a cell is empty where a row does not have the column, ``nan`` where its value is."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    write_text(path, csv_rows([names, *([row.get(name, "") for name in names] for row in rows)]))


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows as text, without the columns that are empty in a row."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: value for name, value in row.items() if value != ""} for row in csv.DictReader(file)]


def command_line(arguments: Sequence[str]) -> str:
    """A program's command as anybody can repeat it: without the folders of this machine, which change no figure.

    Of a folder or file that is read, such as one of photographs or of rows, its name is kept.

    Examples
    --------
    >>> command_line(["/here/benchmarks/accuracy/qa.py", "--seeds", "0..7", "--cache", "/there", "--jobs", "2"])
    'python -m benchmarks.accuracy.qa --seeds 0..7 --jobs 2'
    """
    module = ".".join(Path(arguments[0]).with_suffix("").parts[-3:])
    kept, rest = ["python", "-m", module], list(arguments[1:])
    while rest:
        argument = rest.pop(0)
        option, joined, value = argument.partition("=")
        if option in _LOCAL:
            rest = rest if joined else rest[1:]
        elif option in _NAMED and joined:
            kept.append(f"{option}={Path(value).name}")
        elif option in _NAMED and rest:
            kept += [option, Path(rest.pop(0)).name]
        else:
            kept.append(argument)
    return shlex.join(kept)


def provenance(arguments: Sequence[str]) -> str:
    """Command, date, machine and versions: what a stored figure must stand beside."""
    command = command_line(arguments)
    versions = [f"python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    date = datetime.now(UTC).date().isoformat()
    return f"command:  {command}\ndate:     {date}\nmachine:  {platform.machine()}\nversions: {', '.join(versions)}"
