"""Versions of packages, also where this one is run from a checkout without being installed."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

__all__ = ["version"]

_OWN = "d2crealsr"


def version(package: str = _OWN) -> str:
    """A package's version; ours comes from ``pyproject.toml`` where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        project = Path(__file__).parents[2] / "pyproject.toml"
        if package != _OWN or not project.is_file():
            return "unknown"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
