"""Settings as TOML: tables ``[model]`` and ``[train]`` with plain values, in a file that people can read and edit."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from d2c.errors import ConfigError
from d2c.settings.config import NetworkConfig, TrainSettings, types_of
from d2crealsr.store import files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["from_table", "of_type", "plain", "read", "to_text"]

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}

T = TypeVar("T", bound=NetworkConfig | TrainSettings)


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The tables of a TOML file of settings.

    Raises
    ------
    ConfigError
        When the file cannot be read, is not TOML, or has anything but tables at its top level.
    """
    try:
        tables = tomllib.loads(files.read_text(path, "utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not TOML ({error}); see a run's config.toml for an example") from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {name} stands outside a table, expected it under [model] or [train]")
    return tables


def from_table(kind: type[T], table: Mapping[str, Any], base: T, where: str) -> T:
    """``base`` with the values of a table. An unknown name or a wrong type is an error that names it."""
    types = types_of(kind)
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in types:
            raise ConfigError(f"{where}: unknown setting {name!r}, expected one of {', '.join(types)}")
        if value is not None or getattr(base, name) is not None:  # checkpoints keep settings without a value
            values[name] = of_type(value, types[name], f"{where}: {name}")
    return dataclasses.replace(base, **values)


def plain(value: Any) -> Any:
    """The value as Python's own type, if it is a number of NumPy's, which TOML does not know."""
    return value.item() if isinstance(value, np.generic) else value


def of_type(value: Any, kind: type, where: str) -> Any:
    """The value of a setting if it is of its type; a whole number may stand for a float.

    Raises
    ------
    ConfigError
        If it is of another type. ``where`` begins the message.
    """
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"{where}: got {value!r}, expected {kind.__name__}; give {_WORDS[kind]}")
    return value


def to_text(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """TOML text of tables with strings, numbers, booleans and tuples of these. Values that are None are left out."""
    lines: list[str] = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_literal(value)}" for key, value in table.items() if value is not None]
        lines.append("")
    return "\n".join(lines)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # also a valid TOML string
    if isinstance(value, tuple):
        return f"[{', '.join(map(_literal, value))}]"
    raise TypeError(f"no TOML form for {type(value).__name__}")
