"""The captures of a scene, and the parts of a layout of captures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Capture", "RawLayout"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Capture:
    """One scene: an HR and an LR capture. ``hr`` or ``lr`` is None if there is no such file.

    ``group`` names the printed picture; scenes of one group are always in the same split. If it is empty, the scene is
    a group of its own. ``absent`` says which file was expected for a capture that is None. ``row`` is that of the
    manifest that names the scene, 0 if a file's name does.
    """

    scene: str
    hr: Path | None
    lr: Path | None
    group: str = ""
    absent: str = ""
    row: int = field(default=0, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class RawLayout:
    """One way to arrange captures in a folder.

    Attributes
    ----------
    name : str
        Name of the layout.
    files : str
        Description of the files, for help, error messages and the documentation.
    find : callable
        Returns the captures of a folder or CSV file at a scale, or None if it has another layout. The third argument is
        a list to which it appends one sentence for each kind of file that is left out.
    prefers : bool
        Whether ``find`` takes a fourth argument, which says which file is used where a shot has camera RAW and JPEG.
    """

    name: str
    files: str
    find: Callable[..., list[Capture] | None]
    prefers: bool = False
