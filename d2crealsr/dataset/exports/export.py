"""What an export is made of."""

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
        Its name, which is also its option of ``d2crealsr summary``.
    words : str
        What is written, in a sentence for the help.
    write : callable
        Writes the pairs folder that is its first argument into the folder that is its second, and returns the files.
        It replaces files of its own only (:mod:`d2crealsr.store.outputs`).
    """

    name: str
    words: str
    write: Callable[[Path, Path], list[Path]]
