"""Draw the pictures and figures of one pair as one task, and write them below the report.

The folder of a task is named by a fingerprint of all its inputs. A second report therefore draws only what has changed,
and the name of a scene is never part of a path.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from d2crealsr import opencv
from d2crealsr.errors import ImageError, MachineError
from d2crealsr.imaging import degrade, geometry, photometry
from d2crealsr.imaging.crop import cut
from d2crealsr.imaging.estimate import Estimate, mapping_from_row
from d2crealsr.imaging.photometry import Photometry
from d2crealsr.report import measures, plausible, views
from d2crealsr.report.clicks import click_pictures, wants_points
from d2crealsr.store.files import read_text, sha256_of, write_bytes, write_text
from d2crealsr.store.images import read_image
from d2crealsr.types import Size
from d2crealsr.ui.page import script_data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array, Crop, Image

__all__ = ["KEY_LENGTH", "PairTask", "draw_pair"]

Row: TypeAlias = "Mapping[str, Any]"
Json: TypeAlias = dict[str, Any]
SourceState: TypeAlias = Literal["there", "gone", "changed"]

DRAWING_VERSION = 2
"""Increase this when the pictures change, so that older ones are drawn again."""

KEY_LENGTH = 20
DATA_FILE = "pair.js"
_CALL = "reportPair("
_VIEW_QUALITY, _THUMB_QUALITY = 88, 82
_THUMB, _SHARP, _OVERVIEW = 240, 1600, 420
_NOT_DRAWN = ("split", "left_out_of", "group", "message")
_FIELD_SHAPE = (8, 12)
_CLIPPED_WORTH_SHOWING = 0.0005


@dataclass(frozen=True, kw_only=True, slots=True)
class PairTask:
    """One scene to draw.

    Attributes
    ----------
    row, stages, residuals
        The rows of the scene in the three tables. Missing numbers are None.
    hr_source, lr_source : Path or None
        Absolute paths of the captures; None if the table names none.
    pairs, files : Path
        The pairs folder, and the folder for the report's files.
    """

    row: Row
    stages: Sequence[Row]
    residuals: Sequence[Sequence[float]]
    hr_source: Path | None
    lr_source: Path | None
    pairs: Path
    files: Path


def draw_pair(task: PairTask) -> Json:
    """Draw a pair unless it is drawn already; returns its data, including ``key`` (its folder) and ``unchanged``.

    Raises
    ------
    MachineError
        When the folder of the report cannot be written. Errors of images become notes.
    """
    sources = {side: _state(task, side) for side in ("hr", "lr")}
    key = _fingerprint(task, sources)
    folder = task.files / key
    known = _known(folder / DATA_FILE, task.row["scene"])
    if known is not None:
        return {**known, "key": key, "unchanged": True}
    try:
        data = _Drawing(task, folder, sources).run()
        text = str(script_data({"key": key, "scene": task.row["scene"], **data}))
        write_text(folder / DATA_FILE, f"{_CALL}{text});\n")
    except OSError as error:
        why = error.strerror or error
        raise MachineError(f"{folder}: cannot be written ({why}); make room or check permissions") from error
    return {**json.loads(text), "unchanged": False}


def _known(path: Path, scene: str) -> Json | None:
    """The data of an earlier run; None if it did not finish, or if the file is not its own."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        text = read_text(path).strip()
        data = json.loads(text.removeprefix(_CALL).removesuffix(");"))
        return data if _is_whole(data, scene) else None
    return None


def _is_whole(data: Any, scene: str) -> bool:
    """Whether the content of a file has the parts that :func:`draw_pair` writes and the page needs."""
    if not isinstance(data, dict) or data.get("scene") != scene:
        return False
    files, captures = data.get("files"), data.get("captures")
    if not isinstance(files, dict) or not isinstance(captures, dict):
        return False
    small = [captures[side] for side in ("hr", "lr") if side in captures]
    names = [*files.values(), *(capture.get("file") if isinstance(capture, dict) else None for capture in small)]
    return all(isinstance(name, str) for name in names) and ("thumb_lr" in files) == ("thumb_hr" in files)


def _state(task: PairTask, side: str) -> SourceState:
    """The state of a capture: whether it is still the one that was aligned."""
    path = task.hr_source if side == "hr" else task.lr_source
    try:
        if path is None or not path.is_file():
            return "gone"
        return "there" if sha256_of(path) == task.row[f"{side}_source_sha256"] else "changed"
    except OSError:
        return "gone"


def _fingerprint(task: PairTask, sources: Mapping[str, SourceState]) -> str:
    drawn = {name: value for name, value in task.row.items() if name not in _NOT_DRAWN}
    content = [DRAWING_VERSION, drawn, list(task.stages), list(task.residuals), sources, _published(task) is not None]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:KEY_LENGTH]


def _published(task: PairTask) -> tuple[Path, Path] | None:
    """The published images of an accepted pair; None if they do not exist (any more)."""
    if task.row["status"] != "accepted":
        return None
    hr, lr = task.pairs / task.row["hr_path"], task.pairs / task.row["lr_path"]
    return (hr, lr) if hr.is_file() and lr.is_file() else None


class _Step(NamedTuple):
    """HR, mapped to LR by one step of the alignment, and the numbers of the step for the page."""

    name: str
    numbers: Json | None
    look: views.HrLook
    mapping: CaptureMapping


class _Drawing:
    """Reads and draws a pair, with one method for each part of the page."""

    def __init__(self, task: PairTask, folder: Path, sources: Mapping[str, SourceState]) -> None:
        self.task, self.folder = task, folder
        self.row, self.scale = task.row, int(task.row["scale"])
        self.notes: list[str] = _source_notes(task, sources)
        self.hr = self._read(task.hr_source) if sources["hr"] == "there" else None
        self.lr = self._read(task.lr_source) if sources["lr"] == "there" else None
        sizes = {
            f"{side}_size": Size.of(image) for side, image in (("hr", self.hr), ("lr", self.lr)) if image is not None
        }
        found = Estimate.from_row(task.row, **sizes)
        self.estimate = found and plausible.drawable(found, sizes.get("lr_size"), self.notes.append)
        self.sigma = plausible.blur_of(task.stages, self.scale, self.notes.append)
        self.published = self._read_published()
        self.end = self._end()

    def run(self) -> Json:
        """Draw everything that can be drawn."""
        data: Json = {"views": [], "files": {}, "captures": self._captures(), **self._clicks()}
        if self.estimate is not None and (lr := self._lr_part(self.estimate.placement.crop)) is not None:
            try:
                data |= self._compared(self.estimate, lr)
            except (ValueError, ArithmeticError, opencv.Error) as error:  # one bad row must not stop the others
                why = " ".join(str(error).split())[:200]
                self.notes.append(f"the pair cannot be drawn as its rows are ({why}); align it again")
        data["residuals"] = [[_rounded(v, 4) for v in block] for block in self.task.residuals]
        return {**data, "notes": self.notes, "sigma_blur_hr_px": _rounded(self.sigma, 4)}

    # --- reading ---

    def _read(self, path: Path | None) -> Image | None:
        try:
            return None if path is None else read_image(path)
        except ImageError as error:
            self.notes.append(str(error))
            return None

    def _end(self) -> CaptureMapping | None:
        """The final mapping, if both captures exist."""
        if self.estimate is None or self.hr is None or self.lr is None:
            return None
        placement = self.estimate.placement
        return plausible.near(placement.mapping, placement.crop, "manifest.csv", self.notes.append)

    def _lr_part(self, crop: Crop) -> Image | None:
        """The published LR, or else the same part of the capture; None if neither exists."""
        if self.published is not None:
            return self.published[1]
        return None if self.lr is None or crop.side < 1 else cut(self.lr, crop)

    def _read_published(self) -> tuple[Image, Image] | None:
        paths = _published(self.task)
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

    # --- writing ---

    def _jpeg(self, name: str, picture: views.Picture, quality: int = _VIEW_QUALITY) -> str:
        write_bytes(self.folder / f"{name}.jpg", opencv.encode_jpeg(picture, quality))
        return f"{name}.jpg"

    def _png(self, name: str, picture: views.Picture) -> str:
        write_bytes(self.folder / f"{name}.png", opencv.encode_png(picture))
        return f"{name}.png"

    # --- parts ---

    def _captures(self) -> Json:
        """Small pictures of both captures, and the outlines of HR and of the crop in LR."""
        found: Json = {}
        for side, image in (("hr", self.hr), ("lr", self.lr)):
            if image is not None:
                small = views.bounded(views.as_bytes(image), _OVERVIEW)
                found[side] = {
                    "file": self._jpeg(f"capture-{side}", small, _THUMB_QUALITY),
                    "width": image.shape[1],
                    "height": image.shape[0],
                }
        if self.end is not None:
            outline = self.end.hr_to_lr(geometry.corners(self.end.hr_size))
            found["outline"] = [[_rounded(float(v), 2) for v in point] for point in outline]
        if self.estimate is not None and self.estimate.placement.crop.side > 0:
            found["crop"] = list(self.estimate.placement.crop)
        place = [self.row.get(f"differing_{side}") for side in ("x", "y", "width", "height")]
        if None not in place and "content_mismatch" in self.row["reasons"].split(";"):
            found["place"] = place
        return found

    def _clicks(self) -> Json:
        """Larger pictures of both captures, in which a person clicks points, if that may help the scene."""
        if self.hr is None or self.lr is None or not wants_points(self.row):
            return {}
        sizes = {"hr": Size.of(self.hr), "lr": Size.of(self.lr)}
        found = {
            side: {"file": self._jpeg(f"click-{side}", picture, _THUMB_QUALITY), **sizes[side]._asdict()}
            for side, picture in click_pictures(self.hr, self.lr).items()
        }
        return {"clicks": found}

    def _compared(self, estimate: Estimate, lr: Image) -> Json:
        """Comparison of LR and HR at each stage."""
        crop = estimate.placement.crop
        zoom = views.zoom_of(crop, self.scale)
        fine, coarse = views.grid(crop, zoom), views.grid(crop, 1)
        size = Size(crop.width * zoom, crop.height * zoom)
        lr_view, lr_luma = views.upsampled(lr, zoom), photometry.encoded_luma(lr)
        steps = self._steps(estimate)
        shown = []
        for number, step in enumerate(steps):
            picture, luma = step.look.picture(step.mapping, fine), step.look.luma(step.mapping, coarse)
            apart = np.abs(luma - lr_luma)
            shown.append(
                {
                    "name": step.name,
                    "stage": step.numbers,
                    "file": self._jpeg(f"hr-{number}", picture),
                    "difference": self._jpeg(f"difference-{number}", views.difference(luma, lr_luma, size)),
                    "mean_difference": _rounded(float(np.nanmean(apart)), 5) if np.isfinite(apart).any() else None,
                }
            )
        last = picture if steps else lr_view
        files = {
            "lr": self._jpeg("lr", lr_view),
            "thumb_lr": self._jpeg("thumb-lr", views.bounded(lr_view, _THUMB), _THUMB_QUALITY),
            "thumb_hr": self._jpeg("thumb-hr", views.bounded(last, _THUMB), _THUMB_QUALITY),
        }
        data: Json = {"views": shown, "width": size.width, "height": size.height, "zoom": zoom}
        if steps:
            files |= self._sharp(steps[-1], fine)
            data |= self._photometry(estimate, lr, steps)
            files |= data.pop("photometry_files")
        if self.published is not None:
            data["spectrum"] = self._spectrum(*self.published, estimate.light.tone)
        return {**data, "files": files}

    def _steps(self, estimate: Estimate) -> list[_Step]:
        """The steps: before alignment, each stage, and the final one, as published or as it would have been."""
        steps: list[_Step] = []
        placement, light, k1_lr = estimate.placement, estimate.light, estimate.placement.mapping.k1_lr
        if self.hr is not None and self.lr is not None:
            sizes = Size.of(self.hr), Size.of(self.lr)
            look = views.HrLook(degrade.reduced(self.hr, self.scale, light.tone_of_hr), self.sigma, light)
            steps.append(_Step("before alignment", None, look, views.nominal_mapping(*sizes, self.scale)))
            for stage in self.task.stages:
                name, found = _stage_name(stage), mapping_from_row(stage, *sizes, k1_lr=k1_lr)
                where = f"stage {name!r} in alignment.csv"
                if (mapping := plausible.near(found, placement.crop, where, self.notes.append)) is not None:
                    steps.append(_Step(name, _stage_numbers(stage), look, mapping))
            if self.end is not None and self.published is None:
                steps.append(_Step("final, not published", None, look, self.end))
        if self.published is not None:
            source = degrade.reduced(self.published[0], self.scale, light.tone)
            look = views.HrLook(source, self.sigma, Photometry(tone=light.tone))
            steps.append(_Step("final, as published", None, look, placement.published_mapping))
        return steps

    def _sharp(self, last: _Step, fine: Array) -> Json:
        """HR at its own sharpness on the same crop, with limited size."""
        if self.published is None:
            sharp = last.look.picture(last.mapping, fine, sharp=True)
        else:
            sharp = views.as_bytes(self.published[0])
        return {"sharp": self._jpeg("hr-sharp", views.bounded(sharp, _SHARP))}

    def _photometry(self, estimate: Estimate, lr: Image, steps: Sequence[_Step]) -> Json:
        """Joint histograms of brightness before and after matching, the illumination field, and clipped pixels."""
        coarse, lr_luma = views.grid(estimate.placement.crop, 1), photometry.encoded_luma(lr)
        clipped = photometry.saturated(lr)
        lr_known = np.where(clipped, np.float32(np.nan), lr_luma)
        after = measures.tone_counts(steps[-1].look.luma(steps[-1].mapping, coarse), lr_known)
        files: Json = {"histogram_after": self._png("histogram-after", measures.histogram_picture(after))}
        data: Json = {}
        if self.end is not None:
            before = measures.tone_counts(steps[0].look.luma(self.end, coarse, matched=False), lr_known)
            files["histogram_before"] = self._png("histogram-before", measures.histogram_picture(before))
            field = measures.field_over(estimate, _FIELD_SHAPE)
            data["field"] = [[_rounded(float(v), 5) for v in line] for line in field]
        if clipped.mean() > _CLIPPED_WORTH_SHOWING:
            files["clipped"] = self._png("clipped", measures.mask_picture(clipped))
        return {**data, "photometry_files": files}

    def _spectrum(self, hr: Image, lr: Image, tone: str) -> list[float | None]:
        reduced = degrade.reduced(hr, self.scale, tone)
        lr_luma = photometry.luma(photometry.to_linear(lr, tone))
        ratio = measures.amplitude_ratio(reduced.luma, lr_luma, self.scale / reduced.factor)
        return [_rounded(float(value), 4) for value in ratio]


# --- rows to values ----------------------------------------------------------------------------------------------


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


def _stage_name(stage: Row) -> str:
    name = {"rough": "rough", "sift": f"SIFT {stage['iteration']}", "direct": "direct refinement"}[stage["stage"]]
    return f"{name}, failed" if stage["stopped"] == "failed" else name


def _stage_numbers(stage: Row) -> Json:
    names = ("residual_p50_hr_px", "update_mean_hr_px", "update_max_hr_px", "n_inliers", "zncc", "sigma_blur_hr_px")
    return {name: _rounded(stage[name], 5) for name in names if stage[name] is not None}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), digits)
