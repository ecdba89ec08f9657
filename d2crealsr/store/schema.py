"""Machine-readable descriptions of the columns: a Frictionless data package, and the metadata of Parquet files.

Everything here is derived from :mod:`d2crealsr.store.columns`, and ``docs/tables.json`` is made from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from d2crealsr.errors import LayoutError, MachineError, SettingsError, TableError
from d2crealsr.store.changes import missing_tables, refuse_if_changed
from d2crealsr.store.columns import TABLES
from d2crealsr.store.files import atomic_path
from d2crealsr.store.outputs import check_output
from d2crealsr.store.pairs import FORMAT_NAME, FORMAT_VERSION, has_table, load_table
from d2crealsr.ui.versions import how_to_install

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from d2crealsr.store.columns import Column

__all__ = ["data_package", "write_parquet"]

_TYPES = {"text": "string", "int": "integer", "float": "number"}


def data_package() -> dict[str, Any]:
    """Every table's columns as a Frictionless data package (https://datapackage.org, tables by "Table Schema").

    A field has ``name, type, description``, a ``unit`` if there is one (our addition, in words such as ``HR px``), and
    the ``constraints`` that are checked on writing and reading. Columns that a table may lack are ``optional``.
    """
    return {
        "name": FORMAT_NAME,
        "version": f"{FORMAT_VERSION}",
        "resources": [
            {
                "name": name.removesuffix(".csv"),
                "path": name,
                "format": "csv",
                "encoding": "utf-8",
                "schema": {"fields": [_field(column) for column in columns], "missingValues": [""], **_key(columns)},
            }
            for name, columns in TABLES.items()
        ],
    }


def _key(columns: Sequence[Column]) -> dict[str, str]:
    unique = [column.name for column in columns if column.unique]
    return {"primaryKey": unique[0]} if unique else {}


def _field(column: Column) -> dict[str, Any]:
    constraints: dict[str, Any] = {"required": True} if column.required else {}
    if column.unique:
        constraints["unique"] = True
    if column.at_least is not None:
        constraints["minimum"] = column.at_least
    if column.at_most is not None:
        constraints["maximum"] = column.at_most
    if column.one_of:
        constraints["enum"] = [choice for choice in column.one_of if choice]
    field: dict[str, Any] = {"name": column.name, "type": _TYPES[column.kind], "description": column.meaning}
    if column.unit:
        field["unit"] = column.unit
    if not column.fixed:
        field["optional"] = True
    return field | ({"constraints": constraints} if constraints else {})


def write_parquet(pairs: Path, folder: Path) -> list[Path]:
    """Write the tables of a pairs folder as Parquet (``manifest.parquet`` and so on), each completely or not at all.

    Empty cells of the CSV become null, except in text columns. The metadata of every field contain its ``description``
    and its ``unit`` if it has one. The metadata of the file contain the name and version of the format.

    Parameters
    ----------
    pairs, folder : Path
        The pairs folder, and the folder for the Parquet files, which is created if necessary.

    Returns
    -------
    list of Path
        The written files: one for each table, without ``timings.csv`` where it does not exist.

    Raises
    ------
    SettingsError
        When pyarrow is not installed.
    LayoutError
        When the folder has no manifest.
    TableError
        When a table is missing, violates the format, or was changed since it was written.
    UsageError
        When a file of another kind is in the way. Nothing was written then.
    MachineError
        When the disk cannot store them.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise SettingsError(f"parquet: pyarrow is not installed; {how_to_install('parquet')}") from error
    there = {name: columns for name, columns in TABLES.items() if has_table(pairs, name)}
    if "manifest.csv" not in there:
        raise LayoutError(f"{pairs}: no manifest.csv; give a pairs folder, made by d2crealsr align")
    refuse_if_changed(pairs)
    if absent := missing_tables(pairs):
        raise TableError(f"{pairs}: {', '.join(absent)} is not there; restore it, or run d2crealsr align again")
    places = {name: folder / f"{name.removesuffix('.csv')}.parquet" for name in there}
    for path in places.values():
        check_output(path, "a table of d2crealsr summary", _is_own)
    written = []
    for name, columns in there.items():
        table, path = _arrow(load_table(pairs, name), columns), places[name]
        try:
            with atomic_path(path) as temporary:
                pq.write_table(table, temporary)
        except (OSError, pa.ArrowException) as error:
            raise MachineError(f"{path}: cannot be written ({error}); make room or check permissions") from error
        written.append(path)
    return written


def _is_own(path: Path) -> bool:
    """Whether :func:`write_parquet` wrote a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return (pq.read_schema(path).metadata or {}).get(b"format") == FORMAT_NAME.encode()
    except (OSError, pa.ArrowException):
        return False


def _arrow(frame: pd.DataFrame, columns: Sequence[Column]) -> pa.Table:
    """A table whose fields have descriptions; columns that are not part of the format are text without one."""
    import pyarrow as pa

    types = {"text": pa.string(), "int": pa.int64(), "float": pa.float64()}
    by_name = {column.name: column for column in columns}
    fields = []
    for name in frame.columns:
        column = by_name.get(name)
        said = {"description": column.meaning, "unit": column.unit} if column else {}
        kind = types[column.kind if column else "text"]
        fields.append(pa.field(name, kind, metadata={key: value for key, value in said.items() if value}))
    table = pa.Table.from_pandas(frame, schema=pa.schema(fields), preserve_index=False)
    about = {"format": FORMAT_NAME, "version": str(FORMAT_VERSION)}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **about})
