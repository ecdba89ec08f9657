"""Find the pairs of a dataset: every layout that the file layer reads, and a D2C-SR list.

========== =====================================================================================
list       a text file, one pair a line: LR path, then HR path
others     :mod:`d2crealsr.store.layouts`: pairs folder, two folders, RealSR, DRealSR, City100
========== =====================================================================================

The split comes from a pairs folder's table; elsewhere from a folder's name that says train or test, else there is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from d2c.errors import DataError
from d2crealsr.store import ImageError, LayoutError, images, layouts

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Pair", "Split", "check_sizes", "find_pairs", "with_split"]

Split: TypeAlias = Literal["train", "test", ""]

_SPLIT = re.compile(r"(^|[^a-z])(train|test|valid|val)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """One pair of image files. ``group`` holds pairs of one motif together; ``split`` is empty where none is known."""

    name: str
    hr: Path
    lr: Path
    scale: int
    group: str
    split: Split = ""


def find_pairs(data: Path, *, scale: int | None = None, sizes: bool = True) -> list[Pair]:
    """The pairs of a dataset, sorted by name, every size checked from the files' headers.

    Parameters
    ----------
    data : Path
        A folder of any known layout, or a D2C-SR list.
    scale : int, optional
        Only pairs of this scale; needed where the dataset holds several.
    sizes : bool
        Check the sizes; otherwise the caller does so with :func:`check_sizes`.

    Raises
    ------
    DataError
        When nothing is found, a file is missing, or an HR image is not exactly ``scale`` times its LR image.
    """
    if data.is_file():
        found = _from_list(data, scale)
    elif data.is_dir():
        found = _from_folder(data, scale)
    else:
        raise DataError(f"{data}: no such file or folder; check --data")
    scales = sorted({pair.scale for pair in found})
    if len(scales) > 1:
        raise DataError(f"{data}: has pairs of scales {', '.join(map(str, scales))}; choose one with --scale")
    if sizes:
        check_sizes(found)
    return sorted(found, key=lambda pair: pair.name)


def with_split(pairs: Sequence[Pair], split: Literal["train", "test"], data: Path) -> list[Pair]:
    """The pairs of a split; where the dataset knows no splits, all of them.

    Raises
    ------
    DataError
        For a pairs folder that was never split (the message names the command), or a split without pairs.
    """
    if not any(pair.split for pair in pairs):
        if (data / "manifest.csv").is_file():
            raise DataError(f"{data}: its pairs are not split; run: d2crealsr split {data} --test 15")
        return list(pairs)
    chosen = [pair for pair in pairs if pair.split == split]
    if not chosen:
        raise DataError(f"{data}: none of its {len(pairs)} pairs is in the {split} split; give a folder that has some")
    return chosen


def check_sizes(pairs: Sequence[Pair]) -> None:
    """Raise :class:`DataError` naming the first pair whose HR size is not ``scale`` times its LR size.

    Where all pairs are of one other scale, that is what is said.
    """
    for pair in pairs:
        (width, height), hr = size_of(pair.lr), size_of(pair.hr)
        if hr == (pair.scale * width, pair.scale * height):
            continue
        other = _ratio(pair)
        remedy = "replace or remove the pair"
        if other and all(_ratio(every) == other for every in pairs):
            remedy = f"all pairs are of scale {other}, so give pairs of scale {pair.scale}, or a model of scale {other}"
        raise DataError(
            f"{pair.hr}: got {hr[0]}x{hr[1]} pixels, expected {pair.scale * width}x{pair.scale * height} "
            f"({pair.scale} times {pair.lr.name} of {width}x{height}); {remedy}"
        )


def _ratio(pair: Pair) -> int | None:
    """How many times HR is LR, on both sides; None where it is no whole number."""
    (width, height), hr = size_of(pair.lr), size_of(pair.hr)
    found = hr[0] // width
    return found if hr == (found * width, found * height) else None


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of an image file; a missing or damaged one is a :class:`DataError`."""
    try:
        return images.read_size(path)
    except ImageError as error:
        missing = "" if path.exists() else " (no such file)"
        raise DataError(f"{path}{missing}: {error}") from error


def _from_folder(data: Path, scale: int | None) -> list[Pair]:
    try:
        found = layouts.find_pairs(data, scale=scale)
    except LayoutError as error:
        raise DataError(str(error)) from error
    for path in found.unpaired:
        if found.layout in ("RealSR", "DRealSR") and not path.stem.endswith(("_HR", "_x1")):
            raise DataError(f"{path}: its HR image is not there; copy it, or remove the LR image")
    return [
        Pair(
            name=pair.scene,
            hr=pair.hr,
            lr=pair.lr,
            scale=pair.nominal or scale or _scale_of(pair.hr, pair.lr),
            group=pair.group,
            split=cast("Split", pair.split)
            if found.layout == "pairs"
            else split_of(pair.lr.parent.relative_to(data).as_posix()),
        )
        for pair in found.pairs
    ]


def _from_list(path: Path, scale: int | None) -> list[Pair]:
    found = []
    try:
        text = layouts.text_of(path)
    except LayoutError as error:
        raise DataError(str(error)) from error
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        columns = line.split("\t") if "\t" in line else line.split()
        if len(columns) != 2:
            raise DataError(f"{path}, line {number}: got {len(columns)} paths, expected LR and HR, a tab between")
        lr, hr = (path.parent / column.strip() for column in columns)  # an absolute path stays what it is
        found.append(Pair(name=lr.stem, hr=hr, lr=lr, scale=scale or _scale_of(hr, lr), group=lr.stem))
    return _unique(found, path)


def split_of(name: str) -> Split:
    """The split that a folder's name says, if any; a validation set counts as test."""
    match = _SPLIT.search(name)
    if match is None:
        return ""
    return "train" if match[2].lower() == "train" else "test"


def _unique(pairs: list[Pair], data: Path) -> list[Pair]:
    seen: dict[tuple[str, int], Pair] = {}
    for pair in pairs:
        other = seen.setdefault((pair.name, pair.scale), pair)
        if other is not pair:
            raise DataError(f"{data}: {other.lr} and {pair.lr} both name pair {pair.name}; rename one")
    return pairs


def _scale_of(hr: Path, lr: Path) -> int:
    return max(1, round(size_of(hr)[0] / size_of(lr)[0]))
