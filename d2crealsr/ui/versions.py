"""Versions of packages, even if this package runs from a checkout without being installed."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

__all__ = ["version"]

_OWN = "d2crealsr"


def version(package: str = _OWN) -> str:
    """The version of a package. That of this package is read from ``pyproject.toml`` if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        project = Path(__file__).parents[2] / "pyproject.toml"
        if package != _OWN or not project.is_file():
            return "unknown"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
