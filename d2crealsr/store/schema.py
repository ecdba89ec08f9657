"""The columns of all tables for machines: as a Frictionless data package, and as the metadata of Parquet files.

What stands here follows from :mod:`d2crealsr.store.columns`; ``docs/tables.json`` is written from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from d2crealsr.errors import LayoutError, MachineError, SettingsError
from d2crealsr.store.columns import TABLES
from d2crealsr.store.files import atomic_path
from d2crealsr.store.outputs import check_output
from d2crealsr.store.pairs import FORMAT_NAME, FORMAT_VERSION
from d2crealsr.store.tables import read_table

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

    A field has ``name, type, description``, where there is one ``unit`` (an addition of ours, in words as ``HR px``),
    and the ``constraints`` that are checked on writing and reading. Columns that a table may lack are ``optional``.
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
    """Write the tables of a pairs folder as Parquet, ``manifest.parquet`` and so on, each complete or not at all.

    Cells that are empty in the CSV are null, but for text. Every field's metadata has its ``description`` and, where
    there is one, its ``unit``; the file's has the format's name and version.

    Parameters
    ----------
    pairs, folder : Path
        The pairs folder, and where the files go; it is made if need be.

    Returns
    -------
    list of Path
        What was written, one file a table that is there.

    Raises
    ------
    SettingsError
        When pyarrow is not installed.
    LayoutError
        When the folder has no manifest.
    UsageError
        When a file stands in the way that is no table of ours; nothing was written.
    MachineError
        When the disk does not take them.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise SettingsError("parquet: pyarrow is not installed; pip install 'd2crealsr[parquet]'") from error
    there = {name: columns for name, columns in TABLES.items() if (pairs / name).is_file()}
    if "manifest.csv" not in there:
        raise LayoutError(f"{pairs}: no manifest.csv; give a pairs folder, made by d2crealsr align")
    places = {name: folder / f"{name.removesuffix('.csv')}.parquet" for name in there}
    for path in places.values():
        check_output(path, "a table of d2crealsr summary", _is_own)
    written = []
    for name, columns in there.items():
        table, path = _arrow(read_table(pairs / name, columns), columns), places[name]
        try:
            with atomic_path(path) as temporary:
                pq.write_table(table, temporary)
        except (OSError, pa.ArrowException) as error:
            raise MachineError(f"{path}: cannot be written ({error}); make room or check permissions") from error
        written.append(path)
    return written


def _is_own(path: Path) -> bool:
    """Whether a file is a table that :func:`write_parquet` wrote."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return (pq.read_schema(path).metadata or {}).get(b"format") == FORMAT_NAME.encode()
    except (OSError, pa.ArrowException):
        return False


def _arrow(frame: pd.DataFrame, columns: Sequence[Column]) -> pa.Table:
    """A table whose fields say what they are; columns that the format does not know are text without a description."""
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
