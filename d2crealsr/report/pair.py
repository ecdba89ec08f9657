"""The pictures and figures of one pair as one task: read what there is, draw it once, write it under the report.

A task's folder is named by a fingerprint of all that goes into it, so a second report draws only what changed, and a
scene's name, whatever is in it, is never part of a path.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from d2crealsr import opencv
from d2crealsr.errors import ImageError, MachineError
from d2crealsr.imaging import degrade, geometry, photometry, warp
from d2crealsr.report import measures, plausible, views
from d2crealsr.store.files import read_text, sha256_of, write_bytes, write_text
from d2crealsr.store.images import read_image
from d2crealsr.types import Crop, Photometry, Size
from d2crealsr.ui.page import script_data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Image

__all__ = ["KEY_LENGTH", "PairTask", "draw_pair"]

Row: TypeAlias = "Mapping[str, Any]"
Json: TypeAlias = dict[str, Any]
SourceState: TypeAlias = Literal["there", "gone", "changed"]

DRAWING_VERSION = 1
"""Raised when the pictures change, so that older ones are drawn anew."""

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
        The scene's rows of the three tables; numbers that do not exist are None.
    hr_source, lr_source : Path or None
        The captures, absolute; None where the table names none.
    pairs, files : Path
        The pairs folder, and the report's folder of files.
    """

    row: Row
    stages: Sequence[Row]
    residuals: Sequence[Sequence[float]]
    hr_source: Path | None
    lr_source: Path | None
    pairs: Path
    files: Path


def draw_pair(task: PairTask) -> Json:
    """Draw a pair unless it is drawn; returns its data, ``key`` (its folder) and ``unchanged`` with it.

    Raises
    ------
    MachineError
        When the report's folder cannot be written. Whatever is wrong with images becomes a note.
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
    """What an earlier run drew; None where it did not finish, or the file is another."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        text = read_text(path).strip()
        data = json.loads(text.removeprefix(_CALL).removesuffix(");"))
        return data if _is_whole(data, scene) else None
    return None


def _is_whole(data: Any, scene: str) -> bool:
    """Whether what stands in a file is what :func:`draw_pair` writes, as far as the page is made of it."""
    if not isinstance(data, dict) or data.get("scene") != scene:
        return False
    files, captures = data.get("files"), data.get("captures")
    if not isinstance(files, dict) or not isinstance(captures, dict):
        return False
    small = [captures[side] for side in ("hr", "lr") if side in captures]
    names = [*files.values(), *(capture.get("file") if isinstance(capture, dict) else None for capture in small)]
    return all(isinstance(name, str) for name in names) and ("thumb_lr" in files) == ("thumb_hr" in files)


def _state(task: PairTask, side: str) -> SourceState:
    """Whether a capture is still the one that was aligned."""
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
    """The published images of an accepted pair; None where there are none (any more)."""
    if task.row["status"] != "accepted":
        return None
    hr, lr = task.pairs / task.row["hr_path"], task.pairs / task.row["lr_path"]
    return (hr, lr) if hr.is_file() and lr.is_file() else None


class _Drawing:
    """What is read of a pair and written of it; one method a part of the page."""

    def __init__(self, task: PairTask, folder: Path, sources: Mapping[str, SourceState]) -> None:
        self.task, self.folder, self.sources = task, folder, sources
        self.row, self.scale = task.row, int(task.row["scale"])
        self.notes: list[str] = _source_notes(task, sources)
        self.light = plausible.light_of(self.row, self.notes.append)
        self.sigma = plausible.blur_of(task.stages, self.scale, self.notes.append)

    def run(self) -> Json:
        """Draw everything that can be drawn."""
        hr = self._read(self.task.hr_source) if self.sources["hr"] == "there" else None
        lr = self._read(self.task.lr_source) if self.sources["lr"] == "there" else None
        lr_size = None if lr is None else _size(lr)
        crop = plausible.crop_of(self.row, lr_size, self.notes.append)
        published = self._read_published(crop)
        end = None
        if hr is not None and lr_size is not None:
            end = self._mapping(self.row, _size(hr), lr_size, crop, "manifest.csv")
        data: Json = {"views": [], "files": {}, "captures": self._captures(hr, lr, end, crop)}
        lr_part = published[1] if published else _cut(lr, crop)
        if crop is not None and lr_part is not None:
            try:
                data |= self._compared(crop, lr_part, hr, lr_size, published, end)
            except (ValueError, ArithmeticError, opencv.Error) as error:  # a row that cannot be drawn stops no other
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

    def _mapping(self, row: Row, hr_size: Size, lr_size: Size, crop: Crop | None, name: str) -> CaptureMapping | None:
        k1_lr = self.row["k1_lr"] or 0.0
        return plausible.mapping_of(row, hr_size, lr_size, crop, name, self.notes.append, k1_lr=k1_lr)

    def _read_published(self, crop: Crop | None) -> tuple[Image, Image] | None:
        paths = _published(self.task)
        if paths is None:
            if self.row["status"] == "accepted":
                self.notes.append("the published images are not in the folder any more; run align again")
            return None
        hr, lr = (self._read(path) for path in paths)
        if hr is None or lr is None or crop is None:
            return None
        expected = Size(crop.width, crop.height)
        if _size(lr) != expected or _size(hr) != Size(self.scale * crop.width, self.scale * crop.height):
            (width, height), (wide, high) = _size(hr), _size(lr)
            self.notes.append(
                f"the published images are {width}x{height} and {wide}x{high}, the row says {expected.width}x"
                f"{expected.height} at scale {self.scale}; run d2crealsr verify"
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

    def _captures(self, hr: Image | None, lr: Image | None, end: CaptureMapping | None, crop: Crop | None) -> Json:
        """Both captures whole and small, and where HR and the crop lie in LR."""
        found: Json = {}
        for side, image in (("hr", hr), ("lr", lr)):
            if image is not None:
                small = views.bounded(views.as_bytes(image), _OVERVIEW)
                found[side] = {
                    "file": self._jpeg(f"capture-{side}", small, _THUMB_QUALITY),
                    "width": image.shape[1],
                    "height": image.shape[0],
                }
        if end is not None:
            outline = end.hr_to_lr(geometry.corners(end.hr_size))
            found["outline"] = [[_rounded(float(v), 2) for v in point] for point in outline]
        return {**found, **({} if crop is None else {"crop": list(crop)})}

    def _compared(
        self,
        crop: Crop,
        lr: Image,
        hr: Image | None,
        lr_size: Size | None,
        published: tuple[Image, Image] | None,
        end: CaptureMapping | None,
    ) -> Json:
        """LR against HR at each stage."""
        zoom = views.zoom_of(crop, self.scale)
        fine, coarse = views.grid(crop, zoom), views.grid(crop, 1)
        size = Size(crop.width * zoom, crop.height * zoom)
        lr_view, lr_luma = views.upsampled(lr, zoom), views.encoded_luma(lr)
        shots = self._shots(crop, hr, lr_size, published, end)
        shown = []
        for number, (name, stage, look, mapping) in enumerate(shots):
            picture, luma = look.picture(mapping, fine), look.luma(mapping, coarse)
            apart = np.abs(luma - lr_luma)
            shown.append(
                {
                    "name": name,
                    "stage": stage,
                    "file": self._jpeg(f"hr-{number}", picture),
                    "difference": self._jpeg(f"difference-{number}", views.difference(luma, lr_luma, size)),
                    "mean_difference": _rounded(float(np.nanmean(apart)), 5) if np.isfinite(apart).any() else None,
                }
            )
        last = picture if shots else lr_view
        files = {
            "lr": self._jpeg("lr", lr_view),
            "thumb_lr": self._jpeg("thumb-lr", views.bounded(lr_view, _THUMB), _THUMB_QUALITY),
            "thumb_hr": self._jpeg("thumb-hr", views.bounded(last, _THUMB), _THUMB_QUALITY),
        }
        data: Json = {"views": shown, "width": size.width, "height": size.height, "zoom": zoom}
        if shots:
            files |= self._sharp(shots[-1], fine, published)
            data |= self._photometry(crop, lr, shots, end)
            files |= data.pop("photometry_files")
        if published:
            data["spectrum"] = self._spectrum(*published)
        return {**data, "files": files}

    def _shots(
        self,
        crop: Crop,
        hr: Image | None,
        lr_size: Size | None,
        published: tuple[Image, Image] | None,
        end: CaptureMapping | None,
    ) -> list[tuple[str, Json | None, views.HrLook, CaptureMapping]]:
        """Before alignment, every stage, and the end of it: as published, or else as it would have been."""
        shots: list[tuple[str, Json | None, views.HrLook, CaptureMapping]] = []
        if hr is not None and lr_size is not None:
            look = views.HrLook(views.reduced(hr, self.scale, self.light.tone), self.sigma, self.light)
            shots.append(("before alignment", None, look, views.nominal_mapping(_size(hr), lr_size, self.scale)))
            for stage in self.task.stages:
                name = _stage_name(stage)
                mapping = self._mapping(stage, _size(hr), lr_size, crop, f"stage {name!r} in alignment.csv")
                if mapping is not None:
                    shots.append((name, _stage_numbers(stage), look, mapping))
            if end is not None and published is None:
                shots.append(("final, not published", None, look, end))
        if published is not None:
            image = published[0]
            look = views.HrLook(
                views.reduced(image, self.scale, self.light.tone), self.sigma, Photometry(tone=self.light.tone)
            )
            H = warp.grid_to_lr(crop, self.scale)
            mapping = geometry.CaptureMapping(H_hr_to_lr=H, hr_size=_size(image), lr_size=lr_size or Size(1, 1))
            shots.append(("final, as published", None, look, mapping))
        return shots

    def _sharp(self, shot: tuple[Any, ...], fine: Any, published: tuple[Image, Image] | None) -> Json:
        """HR at its own sharpness on the same crop, of bounded size."""
        _, _, look, mapping = shot
        sharp = views.as_bytes(published[0]) if published else look.picture(mapping, fine, sharp=True)
        return {"sharp": self._jpeg("hr-sharp", views.bounded(sharp, _SHARP))}

    def _photometry(self, crop: Crop, lr: Image, shots: Sequence[Any], end: CaptureMapping | None) -> Json:
        """How HR's brightness meets LR's before and after matching, the field that was applied, what is clipped."""
        coarse, lr_luma = views.grid(crop, 1), views.encoded_luma(lr)
        clipped = photometry.saturated(lr)
        lr_known = np.where(clipped, np.float32(np.nan), lr_luma)
        *_, look, mapping = shots[-1]
        after = measures.joint_histogram(look.luma(mapping, coarse), lr_known)
        files: Json = {"histogram_after": self._png("histogram-after", measures.histogram_picture(after))}
        data: Json = {}
        if end is not None:
            raw = shots[0][2]
            before = measures.joint_histogram(raw.luma(end, coarse, matched=False), lr_known)
            files["histogram_before"] = self._png("histogram-before", measures.histogram_picture(before))
            field = measures.field_over(crop, end, self.light, _FIELD_SHAPE)
            data["field"] = [[_rounded(float(v), 5) for v in line] for line in field]
        if clipped.mean() > _CLIPPED_WORTH_SHOWING:
            files["clipped"] = self._png("clipped", measures.mask_picture(clipped))
        return {**data, "photometry_files": files}

    def _spectrum(self, hr: Image, lr: Image) -> list[float | None]:
        reduced = degrade.reduced(hr, self.scale, self.light.tone)
        lr_luma = photometry.luma(photometry.to_linear(lr, self.light.tone))
        ratio = measures.spectrum_ratio(reduced.luma, lr_luma, self.scale / reduced.factor)
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


def _cut(lr: Image | None, crop: Crop | None) -> Image | None:
    if lr is None or crop is None:
        return None
    part = lr[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
    return opencv.as_image(np.ascontiguousarray(part)) if part.shape[:2] == (crop.height, crop.width) else None


def _stage_name(stage: Row) -> str:
    name = {"rough": "rough", "sift": f"SIFT {stage['iteration']}", "direct": "direct refinement"}[stage["stage"]]
    return f"{name}, failed" if stage["stopped"] == "failed" else name


def _stage_numbers(stage: Row) -> Json:
    names = ("residual_p50_hr_px", "update_mean_hr_px", "update_max_hr_px", "n_inliers", "zncc", "sigma_blur_hr_px")
    return {name: _rounded(stage[name], 5) for name in names if stage[name] is not None}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), digits)


def _size(image: Image) -> Size:
    return Size(image.shape[1], image.shape[0])
