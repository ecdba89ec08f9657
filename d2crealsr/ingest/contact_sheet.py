"""A picture of what ``ingest`` found: a row for every card, its frames in grey, and where the card lies in each LR."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from d2crealsr.errors import UsageError
from d2crealsr.imaging import geometry
from d2crealsr.store.images import write_image
from d2crealsr.store.notes import note_in
from d2crealsr.store.outputs import check_output
from d2crealsr.ui.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.ingest.frames import Frame
    from d2crealsr.ingest.plan import Entry
    from d2crealsr.ingest.run import Ingested
    from d2crealsr.types import Array

__all__ = ["check_sheet", "draw_sheet"]

_SUFFIXES = (".png", ".jpg", ".jpeg")
_NOTE = ("d2crealsr", "contact-sheet")
_CELL = (240, 208)
_PICTURE = (232, 160)
_COLUMNS = 6
_PAPER, _INK, _FRAME, _USED, _LEFT = (255, 255, 255), (20, 20, 20), (230, 120, 0), (0, 120, 60), (150, 60, 60)


def check_sheet(path: Path, card: Path, out: Path) -> None:
    """Raise UsageError if a contact sheet may not be written there, or would be taken for a frame or a capture."""
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{path}: expected a name that ends in .png or .jpg; change --contact-sheet")
    for folder in (card, out / "hr", out / "lr"):
        if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            raise UsageError(
                f"{path}: lies within {folder}, where it would be taken for a picture of the camera; give another "
                "place with --contact-sheet"
            )
    check_output(path, "a contact sheet", lambda there: note_in(there, _NOTE[0]) == _NOTE[1])


def draw_sheet(path: Path, result: Ingested) -> None:
    """Draw the sheet as PNG or JPEG: each card begins a row, then what belongs to no card."""
    cells = _in_cells(result.plan.entries)
    rows = 1 + max((row for row, _ in cells), default=0)
    sheet = PIL.Image.new("RGB", (_COLUMNS * _CELL[0], rows * _CELL[1]), _PAPER)
    for (row, column), entry in cells.items():
        sheet.paste(_cell(entry, result.frames), (column * _CELL[0], row * _CELL[1]))
    write_image(path, np.asarray(sheet), note=_NOTE)


def _in_cells(entries: list[Entry]) -> dict[tuple[int, int], Entry]:
    """Entries by row and column; a card begins a row."""
    cells: dict[tuple[int, int], Entry] = {}
    row, column, group = 0, 0, None
    for entry in entries:
        if cells and (column == _COLUMNS or entry.group != group):
            row, column = row + 1, 0
        cells[row, column] = entry
        column, group = column + 1, entry.group
    return cells


def _cell(entry: Entry, frames: Sequence[Frame]) -> PIL.Image.Image:
    """One frame with its name, what it is, and its figures."""
    frame = frames[entry.frame]
    cell = PIL.Image.new("RGB", _CELL, _PAPER)
    draw = PIL.ImageDraw.Draw(cell)
    if frame.sketch is not None:
        thumbnail = PIL.Image.fromarray(frame.sketch.sought.luma).convert("RGB")
        shrink = min(_PICTURE[0] / thumbnail.width, _PICTURE[1] / thumbnail.height)
        thumbnail = thumbnail.resize([max(1, round(side * shrink)) for side in thumbnail.size])
        cell.paste(thumbnail, (4, 4))
        outline = _place_of_hr(entry, frames) * (thumbnail.width / frame.sketch.size.width) + 4
        if len(outline):
            draw.polygon([tuple(point) for point in outline.tolist()], outline=_FRAME, width=2)
    used = entry.role in ("hr", "lr")
    what = " ".join(filter(None, (entry.group, entry.role, f"x{entry.scale}" if entry.scale else "")))
    figures = "" if entry.shot is None else f"sharpness {entry.shot.sharpness:.3f}, clipped {entry.shot.clipped:.1%}"
    font = PIL.ImageFont.load_default(12)
    for line, text in enumerate((plain(frame.path.name), what, figures)):
        draw.text((4, 166 + 13 * line), text, fill=(_USED if used else _LEFT) if line == 1 else _INK, font=font)
    return cell


def _place_of_hr(entry: Entry, frames: Sequence[Frame]) -> Array:
    """The corners of the HR frame in an LR frame, (4, 2); none for other frames."""
    link = entry.shot.link if entry.shot is not None else None
    inner = frames[link.inner].sketch if link is not None else None
    if link is None or inner is None:
        return np.empty((0, 2))
    return geometry.project(link.H_inner_to_outer, geometry.corners(inner.size))
