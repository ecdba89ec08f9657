"""The pictures of one pair and their numbers: captures, HR at each step of the alignment, brightness, spectrum."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from d2crealsr import opencv
from d2crealsr.imaging import degrade, geometry, photometry
from d2crealsr.imaging.crop import cut
from d2crealsr.imaging.estimate import mapping_from_row
from d2crealsr.imaging.photometry import Photometry
from d2crealsr.report import measures, plausible, views
from d2crealsr.report.blink import blink_place
from d2crealsr.report.clicks import click_pictures, wants_points
from d2crealsr.store.animation import write_animation
from d2crealsr.store.files import write_bytes
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from d2crealsr.imaging.estimate import Estimate
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.report.sources import Sources
    from d2crealsr.types import Array, Image

__all__ = ["Drawing"]

Row: TypeAlias = "Mapping[str, Any]"
Json: TypeAlias = dict[str, Any]

_VIEW_QUALITY, _THUMB_QUALITY = 88, 82
_THUMB, _SHARP, _OVERVIEW = 480, 1600, 480
"""Longer sides of pictures in px. The page shows cards and captures at half of it, so that fine screens show all px."""
_FIELD_SHAPE = (8, 12)
_CLIPPED_WORTH_SHOWING = 0.0005


class _Step(NamedTuple):
    """HR, mapped to LR by one step of the alignment, and the numbers of the step for the page."""

    name: str
    numbers: Json | None
    look: views.HrLook
    mapping: CaptureMapping


class Drawing:
    """Draws a pair into a folder, with one method for each part of the page."""

    def __init__(self, sources: Sources, folder: Path) -> None:
        self.given, self.folder = sources, folder

    def run(self) -> Json:
        """Draw everything that can be drawn."""
        data: Json = {
            "views": [],
            "files": {},
            "captures": self._captures(),
            "taken": self.given.taken,
            **self._clicks(),
        }
        if (
            self.given.estimate is not None
            and (lr := self.given.lr_part(self.given.estimate.placement.crop)) is not None
        ):
            try:
                data |= self._compared(self.given.estimate, lr)
            except (ValueError, ArithmeticError, opencv.Error) as error:  # one bad row must not stop the others
                why = " ".join(str(error).split())[:200]
                self.given.notes.append(f"the pair cannot be drawn as its rows are ({why}); align it again")
        data["residuals"] = [[_rounded(v, 4) for v in block] for block in self.given.task.residuals.tolist()]
        return {**data, "notes": self.given.notes, "sigma_blur_hr_px": _rounded(self.given.sigma, 4)}

    def _jpeg(self, name: str, picture: views.Picture, quality: int = _VIEW_QUALITY) -> str:
        write_bytes(self.folder / f"{name}.jpg", opencv.encode_jpeg(picture, quality))
        return f"{name}.jpg"

    def _png(self, name: str, picture: views.Picture) -> str:
        write_bytes(self.folder / f"{name}.png", opencv.encode_png(picture))
        return f"{name}.png"

    def _captures(self) -> Json:
        """Small pictures of both captures, and the outlines of HR and of the crop in LR."""
        found: Json = {}
        for side, image in (("hr", self.given.hr), ("lr", self.given.lr)):
            if image is not None:
                small = views.bounded(views.as_bytes(image), _OVERVIEW)
                found[side] = self._reduced(f"capture-{side}", small, image)
        if self.given.end is not None:
            outline = self.given.end.hr_to_lr(geometry.corners(self.given.end.hr_size))
            found["outline"] = [[_rounded(float(v), 2) for v in point] for point in outline]
        if self.given.estimate is not None and self.given.estimate.placement.crop.side > 0:
            found["crop"] = list(self.given.estimate.placement.crop)
        if (place := self._differing_place()) is not None:
            found["place"] = place
        return found

    def _differing_place(self) -> list[Any] | None:
        """What LR and HR show differently, in the LR capture, where this is why the pair was rejected."""
        place = [self.given.row.get(f"differing_{side}") for side in ("x", "y", "width", "height")]
        is_reason = "content_mismatch" in self.given.row["reasons"].split(";")
        return place if is_reason and None not in place else None

    def _clicks(self) -> Json:
        """Larger pictures of both captures, in which a person clicks points, if that may help the scene."""
        if self.given.hr is None or self.given.lr is None or not wants_points(self.given.row):
            return {}
        captures, pictures = {"hr": self.given.hr, "lr": self.given.lr}, click_pictures(self.given.hr, self.given.lr)
        return {"clicks": {side: self._reduced(f"click-{side}", pictures[side], captures[side]) for side in pictures}}

    def _reduced(self, name: str, picture: views.Picture, image: Image) -> Json:
        """The file of a reduced picture, and the size of the image that it shows."""
        return {"file": self._jpeg(name, picture, _THUMB_QUALITY), **Size.of(image)._asdict()}

    def _compared(self, estimate: Estimate, lr: Image) -> Json:
        """Comparison of LR and HR at each stage."""
        crop = estimate.placement.crop
        zoom = views.zoom_of(crop, self.given.scale)
        fine, coarse = views.grid(crop, zoom), views.grid(crop, 1)
        size = Size(crop.width * zoom, crop.height * zoom)
        lr_view, lr_luma = views.upsampled(lr, zoom), photometry.encoded_luma(lr)
        steps = self._steps(estimate)
        shown = []
        for number, step in enumerate(steps):
            picture, luma = step.look.picture(step.mapping, fine), step.look.luma(step.mapping, coarse)
            differs = views.difference(luma, lr_luma, size)
            pictures = {
                "file": self._jpeg(f"hr-{number}", picture),
                "difference": self._jpeg(f"difference-{number}", differs),
            }
            shown.append(
                {"name": step.name, "stage": step.numbers, **pictures, "mean_difference": _mean(luma - lr_luma)}
            )
        last = picture if steps else lr_view
        files = {
            "lr": self._jpeg("lr", lr_view),
            "thumb_lr": self._jpeg("thumb-lr", views.bounded(lr_view, _THUMB), _THUMB_QUALITY),
            "thumb_hr": self._jpeg("thumb-hr", views.bounded(last, _THUMB), _THUMB_QUALITY),
        }
        data: Json = {"views": shown, "width": size.width, "height": size.height, "zoom": zoom}
        if steps:
            files["sharp"] = self._jpeg("hr-sharp", views.bounded(self._sharp(steps[-1], fine), _SHARP))
            files["blink"] = self._blink(steps[-1], lr, lr_luma, crop)
            files |= self._clipped(lr)
            data["histograms"] = self._histograms(steps, coarse, lr)
            if self.given.end is not None:
                field = measures.field_over(estimate, _FIELD_SHAPE)
                data["field"] = [[_rounded(float(v), 5) for v in line] for line in field]
        if self.given.published is not None:
            data["spectrum"] = self._spectrum(*self.given.published, estimate.light.tone)
        return {**data, "files": files}

    def _steps(self, estimate: Estimate) -> list[_Step]:
        """The steps: before alignment, each stage, and the final one, as published or as it would have been."""
        steps: list[_Step] = []
        placement, light, k1_lr = estimate.placement, estimate.light, estimate.placement.mapping.k1_lr
        if self.given.hr is not None and self.given.lr is not None:
            sizes = Size.of(self.given.hr), Size.of(self.given.lr)
            look = views.HrLook(
                degrade.reduced(self.given.hr, self.given.scale, light.tone_of_hr), self.given.sigma, light
            )
            steps.append(_Step("before alignment", None, look, views.nominal_mapping(*sizes, self.given.scale)))
            for stage in self.given.task.stages:
                name, found = _stage_name(stage), mapping_from_row(stage, *sizes, k1_lr=k1_lr)
                where = f"stage {name!r} in alignment.csv"
                if (mapping := plausible.near(found, placement.crop, where, self.given.notes.append)) is not None:
                    steps.append(_Step(name, _stage_numbers(stage), look, mapping))
            if self.given.end is not None and self.given.published is None:
                steps.append(_Step("final, not published", None, look, self.given.end))
        if self.given.published is not None:
            source = degrade.reduced(self.given.published[0], self.given.scale, light.tone)
            look = views.HrLook(source, self.given.sigma, Photometry(tone=light.tone))
            steps.append(_Step("final, as published", None, look, placement.published_mapping))
        return steps

    def _sharp(self, final: _Step, fine: Array) -> views.Picture:
        """HR at its own sharpness on the same crop."""
        published = self.given.published
        return views.as_bytes(published[0]) if published else final.look.picture(final.mapping, fine, sharp=True)

    def _blink(self, final: _Step, lr: Image, lr_luma: NDArray[np.float32], crop: Crop) -> str:
        """LR enlarged and HR in turn at one place, at HR's own sharpness, as a file to send."""
        scale, published = self.given.scale, self.given.published
        place = blink_place(lr_luma, crop, scale, self._differing_place())
        part = place._replace(x=place.x - crop.x, y=place.y - crop.y)
        if published is None:
            hr = final.look.picture(final.mapping, views.grid(place, scale), sharp=True)
        else:
            hr = views.as_bytes(cut(published[0], Crop(*(scale * side for side in part))))
        name = f"HR, {final.name.removeprefix('final, ')}"
        frames = {f"LR, enlarged x{scale}": views.upsampled(cut(lr, part), scale), name: hr}
        write_animation(self.folder / "blink.webp", frames)
        return "blink.webp"

    def _clipped(self, lr: Image) -> dict[str, str]:
        """File of the pixels that are clipped in LR, if they are worth showing."""
        clipped = photometry.saturated(lr)
        if clipped.mean() <= _CLIPPED_WORTH_SHOWING:
            return {}
        return {"clipped": self._png("clipped", measures.mask_picture(clipped))}

    def _histograms(self, steps: Sequence[_Step], coarse: Array, lr: Image) -> dict[str, str]:
        """Joint histograms of brightness before and after matching, as PNG in the page's data.

        A page from disk may not read the files beside it, so that a figure to be saved must have its picture in itself.
        """
        lr_known = np.where(photometry.saturated(lr), np.float32(np.nan), photometry.encoded_luma(lr))
        lumas = {"after": steps[-1].look.luma(steps[-1].mapping, coarse)}
        if self.given.end is not None:
            lumas["before"] = steps[0].look.luma(self.given.end, coarse, matched=False)
        pictures = {
            when: measures.histogram_picture(measures.tone_counts(luma, lr_known)) for when, luma in lumas.items()
        }
        return {
            when: f"data:image/png;base64,{base64.b64encode(opencv.encode_png(picture)).decode()}"
            for when, picture in pictures.items()
        }

    def _spectrum(self, hr: Image, lr: Image, tone: str) -> list[float | None]:
        reduced = degrade.reduced(hr, self.given.scale, tone)
        lr_luma = photometry.luma(photometry.to_linear(lr, tone))
        ratio = measures.amplitude_ratio(reduced.luma, lr_luma, self.given.scale / reduced.factor)
        return [_rounded(float(value), 4) for value in ratio]


def _stage_name(stage: Row) -> str:
    name = {"rough": "rough", "sift": f"SIFT {stage['iteration']}", "direct": "direct refinement"}[stage["stage"]]
    return f"{name}, failed" if stage["stopped"] == "failed" else name


def _stage_numbers(stage: Row) -> Json:
    names = ("residual_p50_hr_px", "update_mean_hr_px", "update_max_hr_px", "n_inliers", "zncc", "sigma_blur_hr_px")
    return {name: _rounded(stage[name], 5) for name in names if stage[name] is not None}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), digits)


def _mean(differences: NDArray[np.float32]) -> float | None:
    """Mean absolute difference where HR covers the view; None where it covers nothing of it."""
    return _rounded(float(np.nanmean(np.abs(differences))), 5) if np.isfinite(differences).any() else None
