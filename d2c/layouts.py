"""Find the pairs of a dataset: this project's pairs folder, RealSR, DRealSR, BasicSR's two folders, a D2C-SR list.

========== =====================================================================================
pairs      ``manifest.csv`` with ``hr_path, lr_path``; accepted rows; split and group from the table
list       a text file, one pair a line: LR path, then HR path
folders    two folders (``HR`` and ``LR``, ``gt`` and ``lq``, …), equal names or ``0001x4.png``; ``meta_info.txt``
RealSR     ``Canon_001_HR.png`` and ``Canon_001_LR4.png``, at any depth
DRealSR    ``Canon_10_x1.png`` and ``Canon_10_x4.png``, at any depth
========== =====================================================================================

In the last three a folder's name that says train or test decides the split; else a pair belongs to none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from d2c.errors import DataError
from d2crealsr.store import ImageError, images

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Pair", "Split", "check_sizes", "find_pairs", "with_split"]

Split: TypeAlias = Literal["train", "test", ""]

_HR_FOLDER = re.compile(r"(^|[_-])(hr|gt)($|[_-])", re.IGNORECASE)
_LR_FOLDER = re.compile(r"(^|[_-])(lr|lq)(x?\d+)?($|[_-])", re.IGNORECASE)
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


def find_pairs(data: Path, *, scale: int | None = None) -> list[Pair]:
    """The pairs of a dataset, sorted by name, every size checked from the files' headers.

    Parameters
    ----------
    data : Path
        A folder of any known layout, or a D2C-SR list.
    scale : int, optional
        Only pairs of this scale; needed where the dataset holds several.

    Raises
    ------
    DataError
        When nothing is found, a file is missing, or an HR image is not exactly ``scale`` times its LR image.
    """
    if data.is_file():
        found = _from_list(data, scale)
    elif (data / "manifest.csv").is_file():
        found = _from_pairs_folder(data)
    elif data.is_dir():
        found = _from_folders(data, scale) or _from_names(data)
    else:
        raise DataError(f"{data}: no such file or folder; check --data")
    scales = sorted({pair.scale for pair in found})
    if scale is not None:
        found = [pair for pair in found if pair.scale == scale]
    elif len(scales) > 1:
        raise DataError(f"{data}: has pairs of scales {', '.join(map(str, scales))}; choose one with --scale")
    if not found:
        what = f"of scale {scale}, it has {', '.join(map(str, scales))}" if scales else "of a layout known to d2c"
        raise DataError(f"{data}: no pairs {what}; see `d2c train --help` for the layouts")
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


def check_sizes(pairs: Iterable[Pair]) -> None:
    """Raise :class:`DataError` naming the first pair whose HR size is not ``scale`` times its LR size."""
    for pair in pairs:
        (width, height), hr = size_of(pair.lr), size_of(pair.hr)
        if hr != (pair.scale * width, pair.scale * height):
            raise DataError(
                f"{pair.hr}: got {hr[0]}x{hr[1]} pixels, expected {pair.scale * width}x{pair.scale * height} "
                f"({pair.scale} times {pair.lr.name} of {width}x{height}); replace or remove the pair"
            )


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of an image file; a missing or damaged one is a :class:`DataError`."""
    try:
        return images.read_size(path)
    except ImageError as error:
        missing = "" if path.exists() else " (no such file)"
        raise DataError(f"{path}{missing}: {error}") from error


def _from_pairs_folder(data: Path) -> list[Pair]:
    from d2crealsr.store.pairs import read_manifest

    columns = ["scene", "status", "split", "group", "scale", "hr_path", "lr_path"]
    table = read_manifest(data, columns)
    accepted = table[table["status"] == "accepted"]
    if accepted.empty:
        raise DataError(f"{data}: none of its {len(table)} scenes is accepted; see the reasons in manifest.csv")
    return [
        Pair(
            name=row["scene"],
            hr=data / row["hr_path"],
            lr=data / row["lr_path"],
            scale=int(row["scale"]),
            group=row["group"] or row["scene"],
            split=row["split"],
        )
        for row in accepted.to_dict("records")
    ]


def _from_list(path: Path, scale: int | None) -> list[Pair]:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        columns = line.split("\t") if "\t" in line else line.split()
        if len(columns) != 2:
            raise DataError(f"{path}, line {number}: got {len(columns)} paths, expected LR and HR, a tab between")
        lr, hr = (path.parent / column.strip() for column in columns)  # an absolute path stays what it is
        found.append(Pair(name=lr.stem, hr=hr, lr=lr, scale=scale or _scale_of(hr, lr), group=lr.stem))
    return _unique(found, path)


def _from_folders(data: Path, scale: int | None) -> list[Pair]:
    folders = sorted(path for path in data.iterdir() if path.is_dir())
    hr_folders = [path for path in folders if _HR_FOLDER.search(path.name)]
    lr_folders = [path for path in folders if _LR_FOLDER.search(path.name)]
    found = []
    for hr_folder in hr_folders:
        for lr_folder in lr_folders:
            if len(hr_folders) > 1 and split_of(hr_folder.name) != split_of(lr_folder.name):
                continue
            inner = lr_folder / f"X{scale}"
            found += _two_folders(data, hr_folder, inner if inner.is_dir() else lr_folder, scale)
    return _unique(found, data)


def _two_folders(data: Path, hr_folder: Path, lr_folder: Path, scale: int | None) -> list[Pair]:
    listed = _meta_info(data) | _meta_info(hr_folder)
    hr_files = {path.stem: path for path in _images_in(hr_folder) if not listed or path.name in listed}
    found = []
    for lr in _images_in(lr_folder):
        hr = hr_files.get(lr.stem) or hr_files.get(re.sub(r"x\d+$", "", lr.stem))
        if hr is not None:
            split = split_of(hr_folder.relative_to(data).as_posix())
            size = scale or _scale_of(hr, lr)
            found.append(Pair(name=hr.stem, hr=hr, lr=lr, scale=size, group=hr.stem, split=split))
    return found


def _from_names(data: Path) -> list[Pair]:
    """RealSR and DRealSR: HR and LR by their suffixes, beside each other or in folders beside each other."""
    hr_files: dict[tuple[Path, str], Path] = {}
    lr_files: list[tuple[Path, str, int]] = []
    for path in sorted(data.rglob("*")):
        match = re.fullmatch(r"(.+)_(?:(HR|x1)|(?:LR|x)(\d+))", path.stem)
        if match is None or path.suffix.lower() not in images.IMAGE_SUFFIXES:
            continue
        if match[2]:
            hr_files.setdefault((path.parent, match[1]), path)
            hr_files.setdefault((path.parent.parent, match[1]), path)
        else:
            lr_files.append((path, match[1], int(match[3])))
    found = []
    for lr, key, scale in lr_files:
        hr = hr_files.get((lr.parent, key)) or hr_files.get((lr.parent.parent, key))
        if hr is None:
            raise DataError(f"{lr}: its HR image {key}_HR or {key}_x1 is not there; copy it or remove the LR image")
        split = split_of(lr.parent.relative_to(data).as_posix())
        found.append(Pair(name=key, hr=hr, lr=lr, scale=scale, group=key, split=split))
    return _unique(found, data)


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


def _images_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in images.IMAGE_SUFFIXES)


def _meta_info(folder: Path) -> set[str]:
    """Names in a ``meta_info…txt`` of BasicSR, lines as ``0001.png (480,480,3) 1``."""
    return {
        line.split()[0]
        for path in sorted(folder.glob("meta_info*.txt"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    }
