"""Pairs that were found in a folder, and the parts of a layout of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError
from d2crealsr.store.files import read_list_text

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ImagePair", "PairFolder", "PairLayout", "text_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePair:
    """Two image files of one scene.

    Attributes
    ----------
    scene : str
        Name of the scene, unique in the folder.
    hr, lr : Path
    nominal : int or None
        The scale stated by a name or table; None if none states it.
    at_hr_size : bool
        Whether LR has HR's size although it is no pair of scale 1 by its name or by the scale that was asked for, as
        RealSR is published. It is then a pair of scale 1, unless a scale is asked for: LR is then reduced by it.
    group, split : str
        From the table of a pairs folder; in other layouts the scene and ``""``.
    left_out : bool
        Whether a reviewer left the pair out (``split --decisions``), by the table of a pairs folder.
    """

    scene: str
    hr: Path
    lr: Path
    nominal: int | None = None
    at_hr_size: bool = False
    group: str = ""
    split: str = ""
    left_out: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class PairFolder:
    """The pairs of a folder.

    Attributes
    ----------
    layout : str
        Name of the layout.
    pairs : tuple of ImagePair
        Pairs, sorted by scene.
    unpaired : tuple of Path
        Image files that have no partner.
    without_hr : tuple of Path
        Those of them that are LR images according to their names.
    notes : tuple of str
        Sentences on other files that are left out.
    tabled : bool
        Whether a table states scale, group and split of every pair. Otherwise names state them, and the two images may
        have the same size at any stated scale.
    """

    layout: str
    pairs: tuple[ImagePair, ...]
    unpaired: tuple[Path, ...] = ()
    without_hr: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    tabled: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class PairLayout:
    """One way to arrange pairs in a folder.

    Attributes
    ----------
    name : str
        Name of the layout.
    files : str
        Description of the files, for help and error messages.
    details : str
        Further details, for the documentation.
    find : callable
        Returns the pairs of a folder, or None if it has another layout.
    """

    name: str
    files: str
    details: str
    find: Callable[[Path], PairFolder | None]


def text_of(path: Path) -> str:
    """The text of a list of files; raises LayoutError if it is not text."""
    try:
        return read_list_text(path)
    except UnicodeDecodeError as error:
        raise LayoutError(f"{path}: not a text file in UTF-8 ({error.reason}); give a list of paths") from error
    except OSError as error:
        raise LayoutError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
