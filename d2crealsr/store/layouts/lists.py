"""Pairs that text files in a folder list, as the released code of D2C-SR reads them: LR path, then HR path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError
from d2crealsr.store.layouts.found import ImagePair, PairFolder, PairLayout, text_of
from d2crealsr.store.naming import picture_of, split_of
from d2crealsr.store.readers import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LISTS"]


def _find(folder: Path) -> PairFolder | None:
    pairs = [pair for path in sorted(folder.glob("*.txt")) if path.is_file() for pair in _listed(path, folder)]
    return PairFolder(layout="lists", pairs=tuple(pairs), tabled=True) if pairs else None


def _listed(path: Path, folder: Path) -> Iterator[ImagePair]:
    """The pairs of a list; none if the file is another kind of text."""
    lines = [(number, line) for number, line in enumerate(_lines(path), start=1) if line.strip()]
    named = [(number, line.split("\t") if "\t" in line else line.split()) for number, line in lines]
    if not all(len(names) == 2 and all(_is_image(name) for name in names) for _, names in named):
        return
    for number, names in named:
        lr, hr = (_inside(name.strip(), folder, f"{path}, line {number}") for name in names)
        yield ImagePair(scene=lr.stem, hr=hr, lr=lr, group=picture_of(lr.stem), split=split_of(path.stem))


def _lines(path: Path) -> list[str]:
    """The lines of a text; none if it is not text."""
    try:
        return text_of(path).splitlines()
    except LayoutError:
        return []


def _is_image(name: str) -> bool:
    return name.strip().lower().endswith(tuple(IMAGE_SUFFIXES))


def _inside(name: str, folder: Path, where: str) -> Path:
    """The file that a list names, as a path that begins with the folder."""
    named = folder / name  # an absolute path stays what it is
    place = Path(os.path.realpath(named.parent)) / named.name  # the image itself may be a link
    root = Path(os.path.realpath(folder))
    if not place.is_relative_to(root) or ".." in place.parts:
        raise LayoutError(
            f"{where}: names {name[:80]!r}, expected an image in the list's folder; correct the list, or export the "
            "pairs again where the folder was moved"
        )
    if not place.is_file():
        raise LayoutError(f"{where}: {name[:80]!r} is not there; copy it, or correct the list")
    return folder / place.relative_to(root)


LISTS = PairLayout(
    name="lists",
    files="train.txt and test.txt with LR path and HR path of a pair in each line",
    details="as the released code of D2C-SR reads them; the images lie in the same folder. The name of a list states "
    "the split of its pairs",
    find=_find,
)
