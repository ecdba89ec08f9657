"""Pairs that were found in a folder, and what a layout of pairs is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError
from d2crealsr.store.files import read_text

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ImagePair", "PairFolder", "PairLayout", "text_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePair:
    """Two image files of one scene.

    Attributes
    ----------
    scene : str
        Its name; unique in the folder.
    hr, lr : Path
    nominal : int or None
        The scale that a name or table states; None where nothing does. RealSR's ``_LR4`` images have HR's size.
    group, split : str
        From the pairs format; elsewhere the scene and ``""``.
    """

    scene: str
    hr: Path
    lr: Path
    nominal: int | None = None
    group: str = ""
    split: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairFolder:
    """What a folder holds.

    Attributes
    ----------
    layout : str
        The layout's name.
    pairs : tuple of ImagePair
        By scene.
    unpaired : tuple of Path
        Image files that have no partner.
    without_hr : tuple of Path
        Those of them that are certainly LR images, by their names.
    notes : tuple of str
        Sentences on what else is left out.
    tabled : bool
        A table states scale, group and split of every pair. Otherwise names state them, and the images of a stated
        scale may be of one size.
    """

    layout: str
    pairs: tuple[ImagePair, ...]
    unpaired: tuple[Path, ...] = ()
    without_hr: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    tabled: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class PairLayout:
    """One way in which pairs lie in a folder.

    Attributes
    ----------
    name : str
        What it is called.
    files : str
        What the folder holds, for help and error messages.
    details : str
        What else there is to know, for the documentation.
    find : callable
        The folder's pairs; None where it is not of this layout.
    """

    name: str
    files: str
    details: str
    find: Callable[[Path], PairFolder | None]


def text_of(path: Path) -> str:
    """A list of files as text; raises LayoutError when it is none."""
    try:
        return read_text(path, "utf-8-sig")
    except UnicodeDecodeError as error:
        raise LayoutError(f"{path}: not a text file in UTF-8 ({error.reason}); give a list of paths") from error
    except OSError as error:
        raise LayoutError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
