"""Pairs of a Hugging Face image folder: a ``metadata.csv`` names the HR and the LR image of each pair."""

from __future__ import annotations

import csv
import io
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError
from d2crealsr.store.layouts.found import ImagePair, PairFolder, PairLayout, text_of
from d2crealsr.store.naming import picture_of, split_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["IMAGE_FOLDER"]

_METADATA = "metadata.csv"
_HR, _LR = ("hr_file_name", "gt_file_name"), ("lr_file_name", "lq_file_name")


def _find(folder: Path) -> PairFolder | None:
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))]
    tables = [place / _METADATA for place in places if (place / _METADATA).is_file()]
    pairs = [pair for table in tables for pair in _listed(table, "" if table.parent == folder else table.parent.name)]
    return PairFolder(layout="hub", pairs=tuple(pairs), tabled=True) if pairs else None


def _listed(table: Path, split: str) -> Iterator[ImagePair]:
    """The pairs of a ``metadata.csv``; none if it does not name two images."""
    rows = csv.DictReader(io.StringIO(text_of(table), newline=""))
    header = rows.fieldnames or ()
    hr_column, lr_column = (next((name for name in names if name in header), None) for names in (_HR, _LR))
    if hr_column is None or lr_column is None:
        return
    for row in rows:
        where = f"{table}, line {rows.line_num}"
        hr, lr = (_image(table.parent, row[column] or "", where) for column in (hr_column, lr_column))
        scene = row.get("scene") or lr.stem
        scale = row.get("scale") or ""
        if scale and not (scale.isdecimal() and 1 <= int(scale) <= 16):
            raise LayoutError(f"{where}: got scale {scale[:40]!r}, expected a whole number from 1 to 16; correct it")
        yield ImagePair(
            scene=scene,
            hr=hr,
            lr=lr,
            nominal=int(scale) if scale else None,
            group=row.get("group") or picture_of(scene),
            split=split_of(split),
        )


def _image(folder: Path, name: str, where: str) -> Path:
    """The image that a cell names."""
    pure = PurePosixPath(name)
    if not name or "\0" in name or pure.is_absolute() or ".." in pure.parts:
        raise LayoutError(f"{where}: names {name[:80]!r}, expected a path inside the folder; correct it")
    if not (folder / name).is_file():
        raise LayoutError(f"{where}: {name[:80]!r} is not there; copy it, or correct the table")
    return folder / name


IMAGE_FOLDER = PairLayout(
    name="hub",
    files="train/metadata.csv and test/metadata.csv with columns hr_file_name and lr_file_name",
    details="an image folder of Hugging Face. The folder's name states the split; scene, group and scale are read if "
    "there are such columns",
    find=_find,
)
