"""The parts of an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Export"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """A form in which a pairs folder can be written for other programs.

    Attributes
    ----------
    name : str
        Name of the export, and of its option of ``d2crealsr summary``.
    words : str
        Description for the help.
    write : callable
        Exports the pairs folder given as first argument to the folder given as second, and returns the files. It
        replaces only its own files (:mod:`d2crealsr.store.outputs`).
    """

    name: str
    words: str
    write: Callable[[Path, Path], list[Path]]
