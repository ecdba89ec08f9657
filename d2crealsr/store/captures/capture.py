"""A scene's captures, and what a layout of captures is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Capture", "RawLayout"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Capture:
    """One scene: a shot of each camera setting. ``hr`` or ``lr`` is None where there is no such file.

    ``group`` names the printed picture; scenes of one group are never torn apart by a split. ``absent`` says what was
    looked for where a capture is None.
    """

    scene: str
    hr: Path | None
    lr: Path | None
    group: str
    absent: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawLayout:
    """One way in which captures lie in a folder.

    Attributes
    ----------
    name : str
        What it is called.
    files : str
        What the folder holds, for help, error messages and the documentation.
    find : callable
        The captures of a folder, or of a CSV file, at a scale; None where it is not of this layout. The third argument
        takes a sentence on each kind of file that is left out.
    """

    name: str
    files: str
    find: Callable[[Path, int, list[str]], list[Capture] | None]
