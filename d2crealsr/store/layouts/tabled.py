"""Pairs made by `d2crealsr align`: those that are accepted in its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError, TableError
from d2crealsr.store.csv_files import rows_in_parts
from d2crealsr.store.layouts.found import ImagePair, PairFolder, PairLayout
from d2crealsr.store.listing import few_of, list_images
from d2crealsr.store.pairs import has_table, read_manifest
from d2crealsr.store.tables import records
from d2crealsr.ui.text import counted

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = ["PAIRS"]

_COLUMNS = ("scene", "status", "split", "group", "scale", "hr_path", "lr_path")
_LEFT_OUT = "left_out_of"


def _find(folder: Path) -> PairFolder | None:
    if not has_table(folder):  # one that cannot be read is an error: without it splits are lost
        return None
    table = _manifest(folder)
    rows = records(table[table["status"] == "accepted"])
    if not rows:
        raise LayoutError(
            f"{folder}: of {counted(len(table), 'scene')} in the manifest none is accepted, so there are no pairs; "
            "see its reasons"
        )
    pairs = [
        ImagePair(
            scene=row["scene"],
            hr=folder / row["hr_path"],
            lr=folder / row["lr_path"],
            nominal=int(row["scale"]),
            group=row["group"] or row["scene"],
            split=row["split"],
            left_out=bool(row.get(_LEFT_OUT)),
        )
        for row in rows
    ]
    named = {path for pair in pairs for path in (pair.hr, pair.lr)}
    sides = [folder / side for side in ("hr", "lr") if (folder / side).is_dir()]
    others = [path for side in sides for path in list_images(side).images if path not in named]
    notes = (f"{few_of(others, folder, 'image')} in no accepted row of manifest.csv and left out",) if others else ()
    return PairFolder(layout="pairs", pairs=tuple(pairs), tabled=True, notes=notes)


def _manifest(folder: Path) -> pd.DataFrame:
    """The columns that are read of the manifest. Tables of earlier versions do not say what a reviewer left out."""
    try:
        return read_manifest(folder, [*_COLUMNS, _LEFT_OUT])
    except TableError:
        path = folder / "manifest.csv"
        if path.exists() and _LEFT_OUT in rows_in_parts(path)[0]:
            raise
        return read_manifest(folder, _COLUMNS)


PAIRS = PairLayout(
    name="pairs",
    files="a pairs folder with manifest.csv",
    details="made by `d2crealsr align`; only accepted pairs are read",
    find=_find,
)
