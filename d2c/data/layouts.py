"""Find the pairs of a dataset: every layout that the file layer reads, and a D2C-SR list.

A list is a text file, one pair a line: LR path, then HR path. Folders are those of :mod:`d2crealsr.store.layouts`.

The split is read from the table of a pairs folder. In other layouts it is the whole word train, test or val in the name
of a folder; without such a word there is no split.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from d2c.errors import DataError
from d2crealsr.store import ImageError, LayoutError, images, layouts, listing
from d2crealsr.store.naming import picture_of, split_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Note", "Pair", "Split", "check_sizes", "find_pairs", "split_of", "with_split"]

Split: TypeAlias = Literal["train", "test", "val", ""]
"""``val`` exists only beside a test split. Otherwise a validation set is used as the test split."""

Note: TypeAlias = "Callable[[str], None]"
"""A function that is called with a sentence for people."""


def _unheard(_text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """One pair of image files. Pairs of one motif have the same ``group``. ``split`` is empty if none is known.

    LR is box-reduced by ``reduce`` when it is read, and HR cropped to a multiple of it; 1 except for LR at HR's size.

    Names are unique in a dataset. If a run has several datasets, ``source`` is that of the pair, and ``dataset`` is its
    name for people.
    """

    name: str
    hr: Path
    lr: Path
    scale: int
    group: str
    split: Split = ""
    reduce: int = 1
    source: str = ""
    dataset: str = ""

    @property
    def key(self) -> str:
        """Name that is unique among the pairs of a run, wherever its datasets are."""
        return f"{self.source}:{self.name}" if self.source else self.name

    @property
    def title(self) -> str:
        """Name for people."""
        return f"{self.dataset}/{self.name}" if self.dataset else self.name

    @property
    def lr_size(self) -> tuple[int, int]:
        """Width and height of LR as it is used; raises :class:`DataError` if its header cannot be read."""
        return layouts.reduced_size(size_of(self.lr), self.reduce)

    @property
    def hr_size(self) -> tuple[int, int]:
        """The same of HR."""
        width, height = layouts.reduced_size(size_of(self.hr), self.reduce)
        return self.reduce * width, self.reduce * height


def find_pairs(data: Path, *, scale: int | None = None, sizes: bool = True, note: Note = _unheard) -> list[Pair]:
    """The pairs of a dataset, sorted by name, every size checked from the files' headers.

    Parameters
    ----------
    data : Path
        A folder of any known layout, or a D2C-SR list.
    scale : int, optional
        Find only pairs of this scale. Needed if the dataset contains several scales. An LR image that has HR's size is
        reduced by it; without a scale, such pairs are of scale 1.
    sizes : bool
        Whether to check the sizes. If not, the caller must use :func:`check_sizes`.
    note : callable, optional
        Called with one sentence for each kind of file that is left out.

    Raises
    ------
    DataError
        When nothing is found, a file is missing, or an HR image is not exactly ``scale`` times its LR image.
    """
    if data.is_file():
        found = _from_list(data, scale, note)
    elif data.is_dir():
        found = _from_folder(data, scale, note)
    else:
        raise DataError(f"{data}: no such file or folder; check its name")
    if not found:
        raise DataError(f"{data}: names no pairs, expected a line each: LR path, a tab, HR path; correct the list")
    scales = sorted({pair.scale for pair in found})
    if len(scales) > 1:
        raise DataError(f"{data}: has pairs of scales {', '.join(map(str, scales))}; choose one with --scale")
    if sizes:
        check_sizes(found)
    return sorted(found, key=lambda pair: pair.name)


def with_split(pairs: Sequence[Pair], split: Literal["train", "test"], data: Path, note: Note = _unheard) -> list[Pair]:
    """The pairs of a split, or all pairs if the dataset has no splits. ``note`` is told what is left out.

    Raises
    ------
    DataError
        For a pairs folder that was never split (the message names the command), for a split without pairs, and for the
        test split of a dataset without splits, unless its own name says that it is a test set.
    """
    if not any(pair.split for pair in pairs):
        if (data / "manifest.csv").is_file():
            raise DataError(f"{data}: its pairs are not split; run: d2crealsr split {data}")
        named = [split_of(part) for part in data.resolve().parts[-2:]]
        if split == "test" and ("train" in named or not {"test", "val"} & set(named)):
            raise DataError(f"{data}: its {len(pairs)} pairs are not split into train and test; use --split all")
        return list(pairs)
    chosen = [pair for pair in pairs if pair.split == split]
    if not chosen:
        raise DataError(f"{data}: none of its {len(pairs)} pairs is in the {split} split; give a folder that has some")
    left = Counter(pair.split for pair in pairs if pair.split != split)
    if left:
        parts = ", ".join(f"{left[name]} of {name or 'no split'}" for name in sorted(left))
        note(f"{len(chosen)} of {len(pairs)} pairs are in the {split} split; left out: {parts}")
    return chosen


def check_sizes(pairs: Sequence[Pair]) -> None:
    """Raise :class:`DataError` that names the first pair whose HR size is not ``scale`` times its LR size.

    If all pairs have one other scale, the error names that scale.
    """
    for pair in pairs:
        (width, height), hr = pair.lr_size, pair.hr_size
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
    """The factor between the sizes of HR and LR; None unless it is the same whole number for both sides."""
    (width, height), hr = pair.lr_size, pair.hr_size
    found = hr[0] // width
    return found if hr == (found * width, found * height) else None


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of an image file; raises :class:`DataError` if it is missing or damaged."""
    try:
        return images.read_size(path)
    except ImageError as error:
        if "\\" in str(path) and not path.exists():
            raise DataError(f"{path}: no such file; write / for \\ in its path") from error
        raise DataError(error.at(path)) from error


def _from_folder(data: Path, scale: int | None, note: Note) -> list[Pair]:
    try:
        found = layouts.find_pair_folder(data, scale=scale)
    except LayoutError as error:
        raise DataError(str(error)) from error
    if found.without_hr:
        raise DataError(f"{found.without_hr[0]}: its HR image is not there; copy it, or remove the LR image")
    if found.unpaired:
        note(f"{listing.few_of(found.unpaired, data, 'image')} without a partner and left out")
    for text in found.notes:
        note(text)
    return _with_validation_as_test(
        Pair(
            name=pair.scene,
            hr=pair.hr,
            lr=pair.lr,
            scale=(scale or 1) if pair.at_hr_size else pair.nominal or scale or _scale_of(pair.hr, pair.lr),
            reduce=(scale or 1) if pair.at_hr_size else 1,
            group=pair.group if found.tabled else picture_of(pair.group),
            split=cast("Split", pair.split) if found.tabled else split_of(pair.lr.parent.relative_to(data).as_posix()),
        )
        for pair in found.pairs
    )


def _with_validation_as_test(pairs: Iterable[Pair]) -> list[Pair]:
    """Use the validation set as the test split if there is no other."""
    found = list(pairs)
    if any(pair.split == "test" for pair in found):
        return found
    return [dataclasses.replace(pair, split="test") if pair.split == "val" else pair for pair in found]


def _from_list(path: Path, scale: int | None, note: Note) -> list[Pair]:
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
            mark = next((name for sign, name in ((";", "semicolons"), (",", "commas")) if sign in line), "")
            got = f"paths separated by {mark}" if mark else f"{len(columns)} paths"
            raise DataError(f"{path}, line {number}: got {got}, expected LR and HR, a tab between")
        lr, hr = (path.parent / column.strip() for column in columns)  # an absolute path stays what it is
        pair = layouts.with_size(layouts.ImagePair(scene=lr.stem, hr=hr, lr=lr), scale)
        reduce = scale if scale and pair.at_hr_size else 1
        ratio = scale or _scale_of(hr, lr)
        found.append(Pair(name=lr.stem, hr=hr, lr=lr, scale=ratio, group=picture_of(lr.stem), reduce=reduce))
    if not found:
        raise DataError(f"{path}: lists no pairs; give a pair a line: LR path, a tab, HR path")
    for text in layouts.said_of_sizes(sum(pair.reduce > 1 for pair in found), len(found), scale):
        note(text)
    return _unique(found, path)


def _unique(pairs: list[Pair], data: Path) -> list[Pair]:
    seen: dict[tuple[str, int], Pair] = {}
    for pair in pairs:
        other = seen.setdefault((pair.name, pair.scale), pair)
        if other is not pair:
            raise DataError(f"{data}: {other.lr} and {pair.lr} both name pair {pair.name}; rename one")
    return pairs


def _scale_of(hr: Path, lr: Path) -> int:
    return max(1, round(size_of(hr)[0] / size_of(lr)[0]))
