"""Existing pairs: find the HR and LR images that belong together in a folder, whoever made it.

To add a layout, write a module with its :class:`~d2crealsr.store.layouts.found.PairLayout` and add a line to
:data:`PAIR_LAYOUTS`. Folders are matched one to one by name (:mod:`d2crealsr.store.sides`). It is an error if an HR
image has several LR images of one scale. :attr:`PairFolder.notes` names what is left out. Raw captures, which are not
aligned yet, are found by :mod:`d2crealsr.store.captures`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from d2crealsr.errors import ImageError, LayoutError, ScaleError
from d2crealsr.store.images import read_size
from d2crealsr.store.layouts import image_folder, lists, named, tabled, two_folders
from d2crealsr.store.layouts.found import ImagePair, PairFolder, PairLayout, text_of
from d2crealsr.store.layouts.reduction import box_reduced, reduced_size, whole_part
from d2crealsr.store.listing import any_of, list_images
from d2crealsr.store.pairs import cell_problem

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "PAIR_LAYOUTS",
    "ImagePair",
    "PairFolder",
    "PairLayout",
    "box_reduced",
    "find_pair_folder",
    "reduced_size",
    "said_of_sizes",
    "size_ratio",
    "text_of",
    "whole_part",
    "with_size",
]

PAIR_LAYOUTS: tuple[PairLayout, ...] = (
    tabled.PAIRS,
    two_folders.FOLDERS,
    lists.LISTS,
    image_folder.IMAGE_FOLDER,
    named.REALSR,
    named.DREALSR,
    named.CITY100,
)
"""Every layout of pairs, in the order in which they are tried."""

_LARGEST_SCALE = 16


def find_pair_folder(folder: Path, *, scale: int | None = None) -> PairFolder:
    """Find the pairs of a folder of any known layout. Of images, at most the headers are read.

    Parameters
    ----------
    folder : Path
    scale : int, optional
        Leave out pairs whose name or table states another scale. Pairs at HR's size are also of scale 1.

    Raises
    ------
    LayoutError
        When the folder is missing, has no known layout, has two files for one scene, has several LR images of one scale
        for an HR image, or has no pair of this scale.
    TableError
        When the manifest of a pairs folder is damaged.
    """
    known = any_of(layout.files for layout in PAIR_LAYOUTS)
    if not folder.is_dir():
        raise LayoutError(f"{folder} is not there or no folder; give a folder of pairs: {known}")
    found = next((result for layout in PAIR_LAYOUTS if (result := layout.find(folder)) is not None), None)
    if found is None or not found.pairs:
        raise LayoutError("; ".join((f"{folder}: no pairs found; expected {known}", *list_images(folder).notes)))
    return _of_scale(found, scale, folder)


def _of_scale(found: PairFolder, scale: int | None, folder: Path) -> PairFolder:
    """The pairs of one stated scale, sorted, with unique names."""
    every = list(found.pairs) if found.tabled else [with_size(pair, scale) for pair in found.pairs]
    pairs = [p for p in every if scale is None or p.nominal in (None, scale) or (scale == 1 and p.at_hr_size)]
    if not pairs:
        stated = sorted({pair.nominal for pair in found.pairs if pair.nominal})
        others = ", ".join(map(str, stated))
        raise ScaleError(
            f"{folder}: no pairs of scale {scale}, only of {others}; give --scale {stated[0]}", tuple(stated)
        )
    pairs = _one_each(pairs, folder)
    if len({pair.nominal for pair in pairs}) > 1:  # one HR image may belong to LR images of several scales
        pairs = [replace(pair, scene=f"{pair.scene}_x{pair.nominal}") for pair in pairs]
    if len({pair.scene for pair in pairs}) < len(pairs):  # one name in several folders, as train/ and test/
        places = (pair.lr.parent.relative_to(folder) for pair in pairs)
        pairs = [
            replace(pair, scene=(place / pair.scene).as_posix()) for place, pair in zip(places, pairs, strict=True)
        ]
    seen: dict[str, ImagePair] = {}
    for pair in pairs:
        if problem := cell_problem(pair.scene):
            raise LayoutError(f"{folder}: pair {pair.scene[:80]!r} {problem}; rename its files")
        other = seen.setdefault(pair.scene, pair)
        if other is not pair:
            raise LayoutError(f"{folder}: {other.lr} and {pair.lr} are both scene {pair.scene!r}; rename or remove one")
    at_hr_size = sum(pair.at_hr_size for pair in pairs if pair.nominal != 1)
    notes = (*found.notes, *said_of_sizes(at_hr_size, len(pairs), scale))
    return replace(found, pairs=tuple(seen[scene] for scene in sorted(seen)), notes=notes)


def with_size(pair: ImagePair, scale: int | None) -> ImagePair:
    """The pair, with a mark if its LR image has HR's size although a name or the caller states another scale."""
    if (pair.nominal or scale or 1) == 1:
        return pair
    return replace(pair, at_hr_size=_ratio(pair) == 1)


def said_of_sizes(count: int, of: int, scale: int | None) -> list[str]:
    """A sentence on ``count`` of some pairs whose LR images have HR's size: how they are read."""
    if not count:
        return []
    if scale is None or scale == 1:
        return [f"LR has HR's size in {count} of {of} pairs, which are read at scale 1"]
    return [
        f"LR has HR's size in {count} of {of} pairs: it is reduced by {scale} (means of {scale}x{scale} pixels), "
        f"and HR is cropped to a multiple of {scale}"
    ]


def _one_each(pairs: list[ImagePair], folder: Path) -> list[ImagePair]:
    """The pairs, if each HR image has one LR image of a scale and each LR image one HR image; otherwise LayoutError."""
    by_hr: defaultdict[Path, list[ImagePair]] = defaultdict(list)
    for pair in pairs:
        by_hr[pair.hr].append(pair)
    stated = [
        replace(pair, nominal=pair.nominal or _ratio(pair)) if len(by_hr[pair.hr]) > 1 else pair for pair in pairs
    ]
    for side, other in (("hr", "lr"), ("lr", "hr")):
        seen: dict[tuple[Path, int | None], ImagePair] = {}
        for pair in stated:
            first = seen.setdefault((getattr(pair, side), pair.nominal), pair)
            here, there = (getattr(p, other).parent.relative_to(folder).as_posix() for p in (first, pair))
            if here != there:
                of_scale = f" of scale {pair.nominal}" if pair.nominal else ""
                raise LayoutError(
                    f"{folder}: {here} and {there} both have an {other.upper()} image{of_scale} for "
                    f"{getattr(pair, side).relative_to(folder).as_posix()}; give one, or a list: a folder without the "
                    "other, or (d2c) a text file with one pair a line"
                )
    return stated


def _ratio(pair: ImagePair) -> int | None:
    """The scale given by the sizes of a pair's images; None if they cannot be read or are not whole multiples."""
    try:
        return size_ratio(read_size(pair.hr), read_size(pair.lr))
    except ImageError:
        return None


def size_ratio(hr: tuple[int, int], lr: tuple[int, int]) -> int | None:
    """The factor between two sizes (width, height): a whole number up to 16 that is the same for both sides, or None.

    Examples
    --------
    >>> size_ratio((3456, 2304), (432, 288)), size_ratio((3456, 2304), (432, 287))
    (8, None)
    """
    (across, odd_width), (down, odd_height) = (divmod(h, max(low, 1)) for h, low in zip(hr, lr, strict=True))
    exact = across == down and not odd_width and not odd_height
    return across if exact and 1 <= across <= _LARGEST_SCALE else None
