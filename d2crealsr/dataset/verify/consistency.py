"""Check the tables of a pairs folder, each by itself and against the others."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from d2crealsr.dataset.verify.finding import Finding, Row
from d2crealsr.errors import D2CRealSRError
from d2crealsr.imaging.estimate import Estimate, missing_cells
from d2crealsr.store.decisions import first_names
from d2crealsr.store.pairs import DATASET_FILE, has_table, load_parts, published_paths
from d2crealsr.ui.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

__all__ = ["broken", "detail_findings", "row_findings"]

_DETAILS = ("alignment.csv", "residuals.csv", "timings.csv")


def broken(name: str, error: Exception, folder: Path) -> Finding:
    """The finding for a table or description that cannot be read."""
    text = str(error).replace(f"{folder}{os.sep}", "").removeprefix(f"{name}: ")
    return Finding(code="broken_table", where=name, text=text)


def row_findings(rows: Sequence[Row], description: Row) -> Iterator[Finding]:
    """Find rows that contradict themselves, the description or other rows."""
    groups: dict[str, set[str]] = {}
    names: dict[str, str] = {}
    captures: dict[str, str] = {}
    for row in rows:
        scene, status = row["scene"], row["status"]
        for text in _contradictions(row, status):
            yield Finding(code="contradiction", where=scene, text=text)
        if description and row["scale"] != description.get("scale"):
            yield Finding(
                code="scale_differs",
                where=scene,
                text=f"scale {row['scale']}, {description.get('scale')} in {DATASET_FILE}",
            )
        if status == "accepted" and (row["hr_path"], row["lr_path"]) != published_paths(scene):
            expected = " and ".join(published_paths(scene))
            yield Finding(
                code="path_differs", where=scene, text=f"got {row['hr_path']} and {row['lr_path']}, expected {expected}"
            )
        if row["split"]:
            groups.setdefault(row["group"], set()).add(row["split"])
        other = names.setdefault(unicodedata.normalize("NFC", scene).casefold(), scene)
        if other != scene:
            yield Finding(code="names_clash", where=scene, text=f"shares its files with {other} on some disks")
        for side in ("hr", "lr"):
            digest = row[f"{side}_source_sha256"]
            first = captures.setdefault(digest, scene) if digest else scene
            if first != scene:
                text = f"its {side.upper()} capture is, byte for byte, one of {first}; remove one of the scenes"
                yield Finding(code="same_capture", where=scene, text=text)
    for group in sorted(group for group, splits in groups.items() if len(splits) > 1):
        yield Finding(code="group_torn", where=group, text="has scenes in train and in test; run split --resplit")


def _contradictions(row: Row, status: str) -> Iterator[str]:
    if status == "accepted":
        estimate = Estimate.from_row(row)
        if row["accepted_by"] != "import" and (missing := missing_cells(row)):
            which = f"{counted(len(missing), 'cell')} of the estimate ({first_names(missing)})"
            yield f"accepted without {which}, which align always writes; restore manifest.csv, or run align --force"
        if estimate is not None:
            if (h22 := estimate.placement.mapping.H_hr_to_lr[2, 2]) != 1:
                yield f"h22 is {h22:g}, expected 1"
            if estimate.placement.crop.side < 1:
                yield "accepted without a crop"
        if row["accepted_by"] == "" or (row["accepted_by"] == "qa" and row["reasons"]):
            yield f"accepted by {row['accepted_by'] or 'nobody'} with the reasons {row['reasons'] or 'none'}"
    else:
        if not row["reasons"]:
            yield f"{status} without a reason"
        if row["hr_path"] or row["lr_path"] or row["hr_sha256"] or row["lr_sha256"]:
            yield f"{status}, but names published files"


def detail_findings(folder: Path, rows: Sequence[Row], *, known: bool) -> Iterator[Finding]:
    """Check that the other tables exist, can be read, and have rows of known scenes and of all accepted scenes."""
    scenes = {row["scene"]: row for row in rows}
    for name in _DETAILS:
        if not has_table(folder, name):
            yield Finding(code="missing_table", where=name, text="is not there; run align again")
            continue
        counts: Counter[str] = Counter()
        outside: Counter[str] = Counter()
        edges = _edges(rows) if name == "residuals.csv" else {}
        try:
            for part in load_parts(folder, name):
                counts.update(part["scene"])
                outside.update(_outside(part, edges) if edges else ())
        except D2CRealSRError as error:
            yield broken(name, error, folder)
            continue
        if not known:
            continue
        for scene in sorted(counts.keys() - scenes.keys()):
            yield Finding(
                code="unknown_scene", where=name, text=f"{counts[scene]} rows of {scene}, which has no manifest row"
            )
        for scene, row in sorted(scenes.items()):
            if row["status"] == "accepted" and row["accepted_by"] != "import" and scene not in counts:
                yield Finding(code="missing_rows", where=name, text=f"no row of {scene}, which is accepted")
        for scene, count in outside.items():
            text = f"{count} of {counts[scene]} residuals lie outside its crop"
            yield Finding(code="residual_outside", where=scene, text=text)


def _edges(rows: Sequence[Row]) -> dict[str, tuple[float, float, float, float]]:
    """Left, top, right and bottom edge of the crop of each accepted scene, in LR px."""
    found = {}
    for row in rows:
        estimate = Estimate.from_row(row) if row["status"] == "accepted" else None
        if estimate is not None and estimate.placement.crop.side >= 1:
            x, y, width, height = estimate.placement.crop
            found[row["scene"]] = (x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5)
    return found


def _outside(part: pd.DataFrame, edges: Mapping[str, tuple[float, float, float, float]]) -> Iterator[str]:
    """The scene of every residual outside the crop of its scene, which must belong to another estimate."""
    nowhere = (-np.inf, -np.inf, np.inf, np.inf)
    of_row, scenes = part["scene"].factorize()
    left, top, right, bottom = np.array([edges.get(scene, nowhere) for scene in scenes]).reshape(-1, 4)[of_row].T
    x, y = part["lr_x"].to_numpy(), part["lr_y"].to_numpy()
    is_outside = (x < left) | (y < top) | (x > right) | (y > bottom)
    return (str(scenes[number]) for number in of_row[is_outside])
