"""What one pair is drawn from: its rows, captures and published images, as far as they can be read and believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from d2crealsr.errors import ImageError
from d2crealsr.imaging.crop import cut
from d2crealsr.imaging.estimate import Estimate
from d2crealsr.report import plausible
from d2crealsr.store.exif import read_exif
from d2crealsr.store.files import sha256_of
from d2crealsr.store.images import read_image
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array, Crop, Image

__all__ = ["PairTask", "SourceState", "Sources"]

Row: TypeAlias = "Mapping[str, Any]"
SourceState: TypeAlias = Literal["there", "gone", "changed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PairTask:
    """One scene to draw.

    Attributes
    ----------
    row, stages
        The rows of the scene in the manifest and in ``alignment.csv``. Missing numbers are None.
    residuals : (N, 5) ndarray
        Residual blocks: lr_x, lr_y, dx_hr_px, dy_hr_px, weight.
    hr_source, lr_source : Path or None
        Absolute paths of the captures; None if the table names none.
    pairs, files : Path
        The pairs folder, and the folder for the report's files.
    """

    row: Row
    stages: Sequence[Row]
    residuals: Array
    hr_source: Path | None
    lr_source: Path | None
    pairs: Path
    files: Path

    @property
    def published(self) -> tuple[Path, Path] | None:
        """The published images of an accepted pair; None if they do not exist (any more)."""
        if self.row["status"] != "accepted":
            return None
        hr, lr = self.pairs / self.row["hr_path"], self.pairs / self.row["lr_path"]
        return (hr, lr) if hr.is_file() and lr.is_file() else None

    def state_of(self, side: Literal["hr", "lr"]) -> SourceState:
        """The state of a capture: whether it is still the one that was aligned."""
        path = self.hr_source if side == "hr" else self.lr_source
        try:
            if path is None or not path.is_file():
                return "gone"
            return "there" if sha256_of(path) == self.row[f"{side}_source_sha256"] else "changed"
        except OSError:
            return "gone"


class Sources:
    """The images and the estimate of a pair. What is missing or cannot be believed is None, and a note names it.

    Attributes
    ----------
    hr, lr : Image or None
        The captures.
    published : pair of Image or None
        The published images.
    estimate : Estimate or None
        The estimate in the row.
    end : CaptureMapping or None
        The final mapping, if both captures exist.
    sigma : float
        Blur in HR px that brings HR to LR's resolution.
    taken : dict of str to str
        The day on which each capture was taken by its camera's clock, ``YYYY-MM-DD``; empty if it is not known.
    """

    def __init__(self, task: PairTask, states: Mapping[str, SourceState]) -> None:
        self.task, self.row, self.scale = task, task.row, int(task.row["scale"])
        self.notes: list[str] = _source_notes(task, states)
        sources = {"hr": task.hr_source, "lr": task.lr_source}
        there = {side: path if states[side] == "there" else None for side, path in sources.items()}
        self.hr = self._read(there["hr"])
        self.lr = self._read(there["lr"], balanced_as=task.hr_source)
        self.taken = {side: _day_of(path) for side, path in there.items()}
        sizes = {
            f"{side}_size": Size.of(image) for side, image in (("hr", self.hr), ("lr", self.lr)) if image is not None
        }
        found = Estimate.from_row(task.row, **sizes)
        self.estimate = found and plausible.drawable(found, sizes.get("lr_size"), self.notes.append)
        self.sigma = plausible.blur_of(task.stages, self.scale, self.notes.append)
        self.published = self._read_published()
        self.end = self._end()

    def lr_part(self, crop: Crop) -> Image | None:
        """The published LR, or else the same part of the capture; None if neither exists."""
        if self.published is not None:
            return self.published[1]
        return None if self.lr is None or crop.side < 1 else cut(self.lr, crop)

    def _read(self, path: Path | None, balanced_as: Path | None = None) -> Image | None:
        try:
            return None if path is None else read_image(path, balanced_as=balanced_as)
        except ImageError as error:
            self.notes.append(str(error))
            return None

    def _end(self) -> CaptureMapping | None:
        """The final mapping, if both captures exist."""
        if self.estimate is None or self.hr is None or self.lr is None:
            return None
        placement = self.estimate.placement
        return plausible.near(placement.mapping, placement.crop, "manifest.csv", self.notes.append)

    def _read_published(self) -> tuple[Image, Image] | None:
        paths = self.task.published
        if paths is None:
            if self.row["status"] == "accepted":
                self.notes.append("the published images are not in the folder any more; run align again")
            return None
        hr, lr = (self._read(path) for path in paths)
        if hr is None or lr is None or self.estimate is None or self.estimate.placement.crop.side < 1:
            return None
        crop, size = self.estimate.placement.crop, self.estimate.placement.published_size
        if Size.of(lr) != (crop.width, crop.height) or Size.of(hr) != size:
            (width, height), (wide, high) = Size.of(hr), Size.of(lr)
            self.notes.append(
                f"the published images are {width}x{height} and {wide}x{high}, the row says {crop.width}x"
                f"{crop.height} at scale {self.scale}; run d2crealsr verify"
            )
            return None
        return hr, lr


def _day_of(path: Path | None) -> str:
    try:
        return "" if path is None else read_exif(path).time[:10]
    except ImageError:  # what is wrong with the file is said where it is read
        return ""


def _source_notes(task: PairTask, sources: Mapping[str, SourceState]) -> list[str]:
    notes = []
    for side, state in sources.items():
        if state == "gone" and task.row[f"{side}_source"]:
            notes.append(
                f"the {side.upper()} capture {task.row[f'{side}_source']} is gone, so earlier stages cannot be drawn"
            )
        elif state == "changed":
            notes.append(
                f"the {side.upper()} capture has changed since it was aligned and is not shown; run align again"
            )
    return notes
