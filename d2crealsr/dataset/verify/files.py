"""Check the files of a pairs folder: that they exist, are complete, and have the recorded hash and size."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.dataset.verify.finding import Finding, Row
from d2crealsr.errors import ImageError
from d2crealsr.imaging.estimate import Estimate
from d2crealsr.store.files import TEMPORARY_PREFIX, sha256_of
from d2crealsr.store.images import read_image, read_size
from d2crealsr.store.listing import list_images
from d2crealsr.types import Crop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["SceneFiles", "folder_findings", "scene_findings"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneFiles:
    """The row of one accepted scene, and the folder of the captures if they are to be checked too."""

    pairs: Path
    row: Row
    raw: Path | None


def folder_findings(folder: Path, rows: Sequence[Row]) -> Iterator[Finding]:
    """Find images that no accepted row names, and leftovers of a killed run.

    Systems put hidden files and tables of thumbnails (``.DS_Store``, ``Thumbs.db``) into every folder that is shown.
    """
    named = {row[f"{side}_path"] for row in rows if row["status"] == "accepted" for side in ("hr", "lr")}
    for side in ("", "hr", "lr"):
        try:
            present = sorted((folder / side).iterdir())
            images = set(list_images(folder / side, deep=False).images) if side else set()
        except OSError as error:
            if named:
                yield Finding(code="missing_file", where=side, text=f"cannot be listed ({error.strerror})")
            continue
        for path in present:
            relative = path.relative_to(folder).as_posix()
            if path.name.startswith(TEMPORARY_PREFIX):
                yield Finding(code="leftover", where=relative, text="a file that was never finished; run align again")
            elif path in images and relative not in named:
                yield Finding(
                    code="file_without_row", where=relative, text="no accepted scene of the manifest names it"
                )


def scene_findings(task: SceneFiles) -> list[Finding]:
    """Check the published files of one accepted scene, and its captures if requested."""
    row, found = task.row, []

    def say(code: str, where: str, text: str) -> None:
        found.append(Finding(code=code, where=where, text=text))

    sizes = {}
    for side in ("hr", "lr"):
        relative = row[f"{side}_path"]
        path = task.pairs / relative
        if not Path(os.path.realpath(path)).is_relative_to(task.pairs):
            say("leaves_folder", relative, "is a link out of the pairs folder")
            continue
        sizes[side] = _published_size(path, row, side, say)
    hr, lr = sizes.get("hr"), sizes.get("lr")
    if hr and lr and hr != (lr[0] * row["scale"], lr[1] * row["scale"]):
        say("size_differs", row["scene"], f"HR is {hr[0]}x{hr[1]}, LR {lr[0]}x{lr[1]}, not 1:{row['scale']}")
    estimate = Estimate.from_row(row)
    crop = Crop(0, 0, 0, 0) if estimate is None else estimate.placement.crop
    if lr and crop.side > 0 and lr != (crop.width, crop.height):
        say("size_differs", row["lr_path"], f"{lr[0]}x{lr[1]}, the row says {crop.width}x{crop.height}")
    if task.raw is not None:
        _look_at_captures(task.raw, row, crop, say)
    return found


def _published_size(path: Path, row: Row, side: str, say: Callable[[str, str, str], None]) -> tuple[int, int] | None:
    """Width and height of a published file if it is complete and has its hash; otherwise a finding is reported."""
    relative, expected = row[f"{side}_path"], row[f"{side}_sha256"]
    try:
        got = sha256_of(path)
    except OSError as error:
        say("missing_file", relative, f"cannot be read ({error.strerror}); run align again")
        return None
    if got != expected:
        say("hash_differs", relative, f"got {got[:12]}…, the row says {expected[:12] or 'nothing'}…; run align again")
    try:
        image = read_image(path)
    except ImageError as error:
        say("unreadable", relative, str(error).removeprefix(f"{path.name}: "))
        return None
    return image.shape[1], image.shape[0]


def _look_at_captures(raw: Path, row: Row, crop: Crop, say: Callable[[str, str, str], None]) -> None:
    for side in ("hr", "lr"):
        relative = row[f"{side}_source"]
        path = raw / relative
        try:
            got = sha256_of(path)
            width, height = read_size(path)
        except (OSError, ImageError):
            say("missing_capture", relative, "cannot be read under raw_root")
            continue
        if got != row[f"{side}_source_sha256"]:
            say("capture_differs", relative, "is not the file that the pair was made from; run align again")
        elif side == "lr" and (crop.x + crop.width > width or crop.y + crop.height > height):
            say("crop_outside", row["scene"], f"its crop leaves the capture of {width}x{height}")
