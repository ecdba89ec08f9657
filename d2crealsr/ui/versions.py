"""Versions of packages, and how optional ones are installed, also if this package runs from a checkout."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

__all__ = ["how_to_install", "version"]

_OWN = "d2crealsr"
_PROJECT = Path(__file__).parents[2] / "pyproject.toml"
_EXTRA = re.compile(r"\s*;\s*extra\s*==\s*['\"]([^'\"]+)['\"]\s*")


def version(package: str = _OWN) -> str:
    """The version of a package. That of this package is read from ``pyproject.toml`` if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        if package != _OWN or not _PROJECT.is_file():
            return "unknown"
        return str(tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"])


def how_to_install(extra: str) -> str:
    """The command that installs the packages of an extra, such as ``report``.

    An index need not have this package. In a checkout the extra is therefore taken from the checkout, and an installed
    package names what the extra stands for.
    """
    if _PROJECT.is_file():
        return f"pip install '.[{extra}]' in the checkout"
    names = _needed(extra) or [f"{_OWN}[{extra}]"]
    return "pip install " + " ".join(f"'{name}'" for name in names)


def _needed(extra: str) -> list[str]:
    """The packages that an extra of the installed package stands for; empty if this is not known."""
    try:
        lines = metadata.requires(_OWN) or []
    except metadata.PackageNotFoundError:
        return []
    names: list[str] = []
    for line in lines:
        match = _EXTRA.search(line)
        if match is None or match[1] != extra:
            continue
        name = line[: match.start()].strip()
        inner = re.fullmatch(rf"{_OWN}\[(.+)\]", name)  # an extra may contain another one
        names += [name] if inner is None else _needed(inner[1])
    return names
