"""CSV files as rows of text, read a part at a time.

Row numbers in errors are those that a spreadsheet shows: the header is row 1.
"""

from __future__ import annotations

import csv
import errno
import io
import itertools
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError, MachineError, TableError
from d2crealsr.store.files import UTF_16_MARKS, open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["FIRST_ROW", "csv_rows", "in_parts", "read_rows", "rows_in_parts"]

FIRST_ROW = 2
"""Number of the row below the header."""

_PART_ROWS = 20_000
"""Rows that are in memory as text at a time: the cells of two million would take a gigabyte."""


def csv_rows(rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells as CSV, as all tables are written."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV file as text, every row as long as the header. Errors as :func:`read_table`."""
    header, parts = rows_in_parts(path)
    return header, [row for part in parts for row in part]


def rows_in_parts(path: Path) -> tuple[list[str], Iterator[list[list[str]]]]:
    """As :func:`read_rows`, with the rows in parts, at least one, which are read as they are needed."""
    lines = _lines(path)
    header = next(lines, [])
    if len(header) == 1 and (mark := next((m for m in (";", "\t") if m in header[0]), "")):
        name = "semicolons" if mark == ";" else "tabs"
        raise TableError(f"{path}: its columns are separated by {name}, expected commas; save it with commas")
    if len(set(header)) < len(header):
        names = sorted({name for name in header if header.count(name) > 1})
        twice = [name if name.isprintable() else repr(name) for name in names]
        raise TableError(f"{path}: columns twice: {', '.join(twice)}; restore the file")
    return header, _parts_of(lines, len(header), path)


def in_parts(rows: Iterable[list[str]]) -> Iterator[list[list[str]]]:
    """Rows in parts, at least one, each of as many rows as may be in memory as text."""
    left = iter(rows)
    part = list(itertools.islice(left, _PART_ROWS))
    yield part
    while part := list(itertools.islice(left, _PART_ROWS)):
        yield part


def _parts_of(lines: Iterator[list[str]], width: int, path: Path) -> Iterator[list[list[str]]]:
    part: list[list[str]] = []
    empty: list[list[str]] = []
    for number, row in enumerate(lines, start=FIRST_ROW):
        if not any(row):  # spreadsheets leave empty rows at the end
            empty.append(row)
            continue
        for place, each in enumerate((*empty, row), start=number - len(empty)):
            if len(each) != width:
                raise TableError(f"{path}, row {place}: got {len(each)} cells, expected {width}; restore the file")
        part += [*empty, row]
        empty = []
        if len(part) >= _PART_ROWS:
            yield part
            part = []
    yield part


def _lines(path: Path) -> Iterator[list[str]]:
    """The lines of a CSV file, each as its cells."""
    try:
        with open_regular(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
            yield from csv.reader(text, strict=True)
    except FileNotFoundError as error:
        raise LayoutError(f"{path} is not there; check the folder that was given") from error
    except (UnicodeDecodeError, csv.Error) as error:
        utf_16 = isinstance(error, UnicodeDecodeError) and error.object.startswith(UTF_16_MARKS)
        why = "it is in UTF-16" if utf_16 else error
        raise TableError(
            f"{path}: not a CSV file in UTF-8 ({why}); restore it, or save it as CSV in UTF-8 with commas"
        ) from error
    except OSError as error:
        if error.errno in (errno.EISDIR, errno.EINVAL):  # a folder, a pipe or a device
            raise LayoutError(f"{path}: {error.strerror}; give the CSV file") from error
        raise MachineError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
