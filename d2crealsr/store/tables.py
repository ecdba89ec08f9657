"""CSV tables with declared columns. They are checked on reading and writing, and equal values give equal bytes.

Row numbers in errors are those that a spreadsheet shows: the header is row 1.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import TableError
from d2crealsr.store.columns import SLACK, Column
from d2crealsr.store.csv_files import FIRST_ROW, csv_rows, read_rows, rows_in_parts
from d2crealsr.store.files import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

__all__ = [
    "cell_text",
    "check_table",
    "csv_rows",
    "csv_text",
    "frame_of",
    "joined",
    "read_rows",
    "read_table",
    "records",
    "rows_text",
    "typed_parts",
    "typed_table",
    "write_table",
]


_ONCE = "each scene once"


def frame_of(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> pd.DataFrame:
    """A table from rows by column name. Missing values, None, NaN and infinite numbers become empty cells.

    Keys that are not columns of the table follow as text columns, in order of appearance.
    """
    rows = list(rows)
    every = _columns_of(rows, columns)
    return _typed({column.name: [row.get(column.name) for row in rows] for column in every}, every)


def _columns_of(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> list[Column]:
    """The declared columns, then those that only the rows have, as text."""
    declared = {column.name: column for column in columns}
    named = declared | {
        key: Column(name=key, kind="text", meaning="") for row in rows for key in row if key not in declared
    }
    return list(named.values())


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as plain values by column name: text, int, float, or None if missing."""
    columns = {str(name): _plain(frame[name]) for name in frame.columns}
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def write_table(path: Path, frame: pd.DataFrame, columns: Sequence[Column]) -> None:
    """Check a table and write it, completely or not at all. Declared columns come first, in their order.

    Parameters
    ----------
    frame : DataFrame
        A table with the declared types, as returned by :func:`frame_of` and :func:`read_table`.

    Raises
    ------
    TableError
        When a column is missing or a value is not permitted in its column.
    MachineError
        When the disk cannot store it.
    """
    check_table(frame, columns, path)
    known = [column.name for column in columns if column.name in frame]
    every = [*known, *(name for name in frame.columns if name not in known)]
    write_text(path, csv_text(frame[every], columns))


def csv_text(frame: pd.DataFrame, columns: Sequence[Column]) -> str:
    """The text of a table as it is written, with numbers formatted as declared."""
    by_name = {column.name: column for column in columns}
    cells = zip(*(_texts(frame[name], by_name.get(name)) for name in frame.columns), strict=True)
    return csv_rows(itertools.chain([list(frame.columns)], cells))


def rows_text(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], where: Path) -> str:
    """The CSV text, with header, of a few rows by column name. Every cell is checked against its column.

    It equals :func:`csv_text` of :func:`frame_of`, but takes a hundredth of the time for one scene.

    Raises
    ------
    TableError
        When a value is not permitted in its column; the text begins with ``where``.
    """
    every = _columns_of(rows, columns)
    cells = [[cell_text(row.get(column.name), column, where) for column in every] for row in rows]
    return csv_rows([[column.name for column in every], *cells])


def cell_text(cell: Any, column: Column, where: Path) -> str:
    """The text of a cell; raises TableError if the value is not permitted in its column."""
    value = _value(cell, column, None, where)
    if isinstance(value, str):
        return value
    if math.isnan(value):
        return ""
    return str(int(value)) if column.kind == "int" else _float_text(value, column.digits)


def read_table(path: Path, columns: Sequence[Column], wanted: Sequence[str] | None = None) -> pd.DataFrame:
    """Read and check a table, or only the ``wanted`` columns of it. Columns that are not declared are text.

    Raises
    ------
    LayoutError
        When there is no such file.
    TableError
        When it is not a CSV file, a column is missing, or a value is not permitted in its column.
    """
    return typed_table(*rows_in_parts(path), path, columns, wanted)


def typed_table(
    header: Sequence[str],
    parts: Iterable[Sequence[Sequence[str]]],
    path: Path,
    columns: Sequence[Column],
    wanted: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Check rows of text, of which ``path`` is the file, and give them their types; as :func:`read_table`.

    The rows come in parts, of which one at a time is in memory as text.
    """
    return joined(typed_parts(header, parts, path, columns, wanted))


def joined(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The parts of a table, at least one, as one table."""
    import pandas as pd

    every = list(parts)
    return every[0] if len(every) == 1 else pd.concat(every, ignore_index=True)


def typed_parts(
    header: Sequence[str],
    parts: Iterable[Sequence[Sequence[str]]],
    path: Path,
    columns: Sequence[Column],
    wanted: Sequence[str] | None = None,
) -> Iterator[pd.DataFrame]:
    """As :func:`typed_table`, a part at a time, for tables that need not be in memory as a whole.

    A part is checked when it is reached. Its index continues that of the part before.
    """
    import pandas as pd

    needed = [c.name for c in columns if c.fixed] if wanted is None else list(wanted)
    missing = [name for name in needed if name not in header]
    if missing:
        first = ", ".join(missing[:8]) + (", …" if len(missing) > 8 else "")
        raise TableError(f"{path}: columns missing: {first}; restore the file")
    keep = [name for name in header if wanted is None or name in wanted]
    by_name = {column.name: column for column in columns}
    every = [by_name.get(name) or Column(name=name, kind="text", meaning="") for name in keep]
    every += [column for column in columns if not column.fixed and column.name not in header and wanted is None]
    places = {name: place for place, name in enumerate(header)}
    names = {column.name for column in every}
    checked = [column for column in columns if column.name in names]
    above, seen = 0, {column.name: set[str]() for column in checked if column.unique}
    for rows in parts:
        values = {c.name: [row[places[c.name]] if c.name in places else "" for row in rows] for c in every}
        frame = _typed(values, every, path, FIRST_ROW + above)
        frame.index = pd.RangeIndex(above, above + len(rows))
        check_table(frame, checked, path)
        _check_unique(frame, seen, path)
        yield frame
        above += len(rows)


def _check_unique(frame: pd.DataFrame, seen: Mapping[str, set[str]], path: Path) -> None:
    """Raise TableError for a cell that one of the parts before had; otherwise remember the cells."""
    for name, before in seen.items():
        for index, cell in frame[name].items():
            if cell in before:
                where = f"{path}, row {FIRST_ROW + int(str(index))}, column {name}"
                raise TableError(f"{where}: got {cell!r}, expected {_ONCE}; correct it")
        before.update(frame[name])


def _typed(
    values: Mapping[str, list[Any]], columns: Sequence[Column], path: Path | None = None, first: int = FIRST_ROW
) -> pd.DataFrame:
    """A table from columns of cells, of which the first ones stand in row ``first`` of the file."""
    import pandas as pd

    data: dict[str, Any] = {}
    for column in columns:
        cells = values[column.name]
        if column.kind == "text":
            data[column.name] = pd.Series(["" if cell is None else str(cell) for cell in cells], dtype=str)
            continue
        numbers = _numbers(cells, column, first, path)
        if column.kind == "int":
            data[column.name] = pd.array([None if math.isnan(n) else int(n) for n in numbers], dtype="Int64")
        else:
            data[column.name] = pd.array(numbers, dtype="float64")
    return pd.DataFrame(data)


def _numbers(cells: Sequence[Any], column: Column, first: int, path: Path | None) -> list[float]:
    """The numbers of a column. Long columns of text, in which nothing is missing, are read at once."""
    if column.kind == "float":
        with contextlib.suppress(TypeError, ValueError):  # each cell is then looked at
            numbers = list(map(float, cells))
            return (
                numbers if all(map(math.isfinite, numbers)) else [n if math.isfinite(n) else math.nan for n in numbers]
            )
    return [_number(cell, column, row, path) for row, cell in enumerate(cells, start=first)]


def _value(cell: Any, column: Column, row: int | None, path: Path) -> str | float:
    """The value of a cell, NaN for an empty number; raises TableError if it is not permitted in its column."""
    value = ("" if cell is None else str(cell)) if column.kind == "text" else _number(cell, column, row, path)
    if not column.accepts(value):
        raise _wrong(cell, column, row, path, column.expected())
    return value


def _number(cell: Any, column: Column, row: int | None, path: Path | None) -> float:
    if cell is None or cell == "":
        return math.nan
    try:
        number = float(cell)
    except (TypeError, ValueError) as error:
        raise _wrong(cell, column, row, path, column.expected()) from error
    if not math.isfinite(number):
        return math.nan
    if column.kind == "int" and not (number.is_integer() and abs(number) < 2**53):
        raise _wrong(cell, column, row, path, column.expected())
    return number


def _wrong(cell: Any, column: Column, row: int | None, path: Path | None, expected: str) -> TableError:
    """The error about a cell. Rows count from 2, as the header is the first line."""
    place = [] if path is None else [f"{path}"] if row is None else [f"{path}, row {row}"]
    got = cell.item() if hasattr(cell, "item") else cell
    return TableError(f"{', '.join([*place, f'column {column.name}'])}: got {got!r}, expected {expected}; correct it")


def _texts(cells: pd.Series[Any], column: Column | None) -> list[str]:
    """The cells as text: with the digits of the column, empty if missing, and without a negative zero."""
    if column is None or column.kind == "text":
        return [str(cell) for cell in cells]
    if column.kind == "int":
        return ["" if missing else str(int(cell)) for cell, missing in zip(cells, cells.isna(), strict=True)]
    return ["" if math.isnan(number) else _float_text(number, column.digits) for number in cells.tolist()]


def _float_text(number: float, digits: str) -> str:
    text = format(number, digits)
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def _plain(cells: pd.Series[Any]) -> list[Any]:
    """The cells of a column as plain values, None for a missing one."""
    found: list[Any] = cells.astype(object).where(cells.notna(), None).tolist()
    return found


def check_table(frame: pd.DataFrame, columns: Sequence[Column], path: Path) -> None:
    """Raise TableError for the first cell that violates the format."""
    import pandera.errors

    try:
        _schema(tuple(columns)).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        first = errors.failure_cases.iloc[0]
        name, index, got = str(first["column"]), first["index"], first["failure_case"]
        got = got.item() if hasattr(got, "item") else got
        by_name = {column.name: column for column in columns}
        if name not in frame:
            name = str(got)
            raise TableError(f"{path}: columns missing: {name}; run `d2crealsr align` again") from errors
        if first["check"] == "field_uniqueness":
            expected = _ONCE
        else:
            expected = by_name[name].expected() if name in by_name else str(first["check"])
        where = f", row {int(index) + 2}" if index is not None and index == index else ""
        raise TableError(f"{path}{where}, column {name}: got {got!r}, expected {expected}; correct it") from errors


@functools.cache
def _schema(columns: tuple[Column, ...]) -> Any:
    import pandera.pandas as pa

    dtypes: dict[str, Any] = {"text": str, "int": "Int64", "float": "float64"}
    schema = {}
    for column in columns:
        checks = []
        if column.one_of:
            checks.append(pa.Check.isin(column.one_of))
        if column.required and column.kind == "text":
            checks.append(pa.Check.str_length(min_value=1))
        if column.at_least is not None:
            checks.append(pa.Check.ge(column.at_least - SLACK))
        if column.at_most is not None:
            checks.append(pa.Check.le(column.at_most + SLACK))
        schema[column.name] = pa.Column(
            dtypes[column.kind],
            checks,
            nullable=column.kind != "text" and not column.required,
            unique=column.unique,
            required=column.fixed,
        )
    return pa.DataFrameSchema(schema)
