"""Checkpoints that come with the package. They are named, as in ``builtin:x8``, wherever a checkpoint can be given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from d2c.errors import CheckpointError

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["builtin_names", "builtin_path", "is_builtin"]

_PREFIX = "builtin:"
_FOLDER = Path(__file__).parent / "weights"
"""Each ``NAME.safetensors`` has its card, ``NAME.md``, beside it."""


def builtin_names() -> list[str]:
    """The names of all checkpoints that come with the package.

    Examples
    --------
    >>> builtin_names()
    ['builtin:x8']
    """
    return sorted(_PREFIX + path.stem for path in _FOLDER.glob("*.safetensors"))


def is_builtin(checkpoint: str | PathLike[str]) -> bool:
    """Whether this is the name of a checkpoint of the package, which need not exist, and not a path."""
    return os.fspath(checkpoint).startswith(_PREFIX)


def builtin_path(name: str | PathLike[str]) -> Path:
    """The file of a checkpoint of the package; raises :class:`CheckpointError` if it has none of this name."""
    asked, there = os.fspath(name), builtin_names()
    if asked not in there:
        raise CheckpointError(f"{asked}: no such built-in checkpoint; expected {' or '.join(there)}")
    return _FOLDER / f"{asked.removeprefix(_PREFIX)}.safetensors"
