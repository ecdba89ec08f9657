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
from d2crealsr.store.layouts import named, tabled, two_folders
from d2crealsr.store.layouts.found import ImagePair, PairFolder, PairLayout, text_of
from d2crealsr.store.listing import any_of, list_images
from d2crealsr.store.pairs import cell_problem

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PAIR_LAYOUTS", "ImagePair", "PairFolder", "PairLayout", "find_pair_folder", "size_ratio", "text_of"]

PAIR_LAYOUTS: tuple[PairLayout, ...] = (
    tabled.PAIRS,
    two_folders.FOLDERS,
    named.REALSR,
    named.DREALSR,
    named.CITY100,
)
"""Every layout of pairs, in the order in which they are tried."""

_LARGEST_SCALE = 16


def find_pair_folder(folder: Path, *, scale: int | None = None) -> PairFolder:
    """Find the pairs of a folder of any known layout. Images are not opened, except for the headers of DRealSR.

    Parameters
    ----------
    folder : Path
    scale : int, optional
        Leave out pairs whose name or table states another scale.

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
    pairs = [pair for pair in found.pairs if scale is None or pair.nominal in (None, scale)]
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
    return replace(found, pairs=tuple(seen[scene] for scene in sorted(seen)))


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
