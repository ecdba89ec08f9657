"""Measure one existing pair: how its HR lies on its LR, how accurate the measurement is, and the verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from d2crealsr.audit.control import zero_shift_control
from d2crealsr.audit.measurement import MIN_WEIGHT, TONE, measure_placement
from d2crealsr.audit.smooth import fit_smooth
from d2crealsr.imaging import degrade, geometry
from d2crealsr.quality import residuals
from d2crealsr.quality.colour import compare_colours
from d2crealsr.quality.evidence import place_cells
from d2crealsr.quality.place import largest_place, place_in_words
from d2crealsr.quality.shape import name_shape
from d2crealsr.settings import MAX_DIFFERING_PLACE_HR_PX, check_ranges, setting
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d2crealsr.types import Image, ResidualField

__all__ = [
    "MEASURED",
    "NOT_MEASURED",
    "AuditSettings",
    "PairEvidence",
    "Verdict",
    "classify",
    "displacement",
    "is_measured",
    "measure_pair",
]

Verdict: TypeAlias = Literal["clean", "misaligned", "different_content", "different_colours", "too_little_texture"]

NOT_MEASURED: Verdict = "too_little_texture"
"""The verdict on a pair whose alignment could not be measured. It is no finding."""

MEASURED = (
    "blocks",
    "weight",
    "residual_p50_hr_px",
    "residual_p95_hr_px",
    "constant_x_hr_px",
    "constant_y_hr_px",
    "constant_hr_px",
    "affine_hr_px",
    "smooth_hr_px",
    "smooth_error_hr_px",
    "rest_p50_hr_px",
    "residual_shape_hr_px",
    "floor_p50_hr_px",
    "floor_p95_hr_px",
    "floor_smooth_hr_px",
    "zncc",
    "correlation",
    "unlike_fraction",
    "coarse_x_hr_px",
    "coarse_y_hr_px",
    "contrast",
    "sigma_blur_hr_px",
    "brightness_error",
    "differing_hr_px",
    "differing_x",
    "differing_y",
    "differing_width",
    "differing_height",
    "colour_difference",
    "colour_ratio",
)
"""Names of the statistics, in the order of the columns of the table."""

_BORDER_SIGMAS = 2
"""Width of the border where no place that differs is sought, in σ of LR's blur: HR shows nothing beyond it."""
_REACH_LR_PX = 3.0
"""Largest shift that blocks measure well from the published position. Beyond it, the coarse shift is given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditSettings:
    """Limits within which an existing pair is clean."""

    limit: float = setting(
        0.25,
        "Constant and affine part of the residuals, beyond its uncertainty, that makes a pair misaligned.",
        unit="HR px",
        at_least=0,
    )
    limit_rest: float = setting(
        0.5, "Median of the other residuals, beyond the floor, that makes a pair misaligned.", unit="HR px", at_least=0
    )
    min_correlation: float = setting(
        0.6, "Correlation of detail below which the images show different content.", at_most=1
    )
    max_unlike: float = setting(
        0.1, "Largest share of blocks with strong detail that may differ.", at_least=0, at_most=1
    )
    max_differing_place: float = setting(
        MAX_DIFFERING_PLACE_HR_PX,
        "Largest extent of a connected place that may differ, as seen at LR's resolution.",
        unit="HR px",
        at_least=0,
    )
    max_colour_ratio: float = setting(
        0.2, "Largest difference of the colours of HR and LR, as a share of their own spread.", at_least=0
    )
    min_contrast: float = setting(
        3.0, "Smallest ratio of detail to noise in LR that permits a measurement.", at_least=0
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class PairEvidence:
    """Result of :func:`measure_pair`.

    Attributes
    ----------
    statistics : mapping
        Statistics by the names in :data:`MEASURED`; nan if there is too little texture to measure one.
    field : ResidualField
        Residual field, with positions in the LR image.
    shape : str
        Shape of the field, a name of :data:`d2crealsr.store.shapes.RESIDUAL_SHAPES`; empty if no block has weight.
    """

    statistics: Mapping[str, float]
    field: ResidualField
    shape: str


def measure_pair(hr: Image, lr: Image, scale: int) -> PairEvidence:
    """Measure how an HR image lies on its LR image, block by block as in QA, and how accurate the measurement is.

    Parameters
    ----------
    hr : (scale·h, scale·w, 3) ndarray of uint8 or uint16
    lr : (h, w, 3) ndarray of uint8 or uint16
        At least :data:`d2crealsr.imaging.crop.MIN_SIDE` px a side.
    scale : int
        1 for images of one size.

    Returns
    -------
    PairEvidence
        Shifts are where HR has the content minus where LR has it, in HR px.
    """
    crop, published = Crop(0, 0, lr.shape[1], lr.shape[0]), _as_published(lr, scale)
    source = degrade.reduced(hr, scale, TONE)
    found = measure_placement(lr, source, published, scale)
    lr_crop, look, field = found.lr, found.look, found.field
    smooth = fit_smooth(field, crop)
    control = zero_shift_control(lr_crop, look, found.start, found.from_start).residuals(look, found.start)
    shape = name_shape(field, crop)
    constant_x, constant_y = smooth.constant
    coarse_x, coarse_y = scale * found.coarse_lr_px
    border = math.ceil(_BORDER_SIGMAS * look.sigma_hr_px / scale)
    measured = {
        "blocks": len(field.weights),
        "weight": found.weight,
        "residual_p50_hr_px": residuals.percentile(field, 50),
        "residual_p95_hr_px": residuals.percentile(field, 95),
        "constant_x_hr_px": constant_x,
        "constant_y_hr_px": constant_y,
        "constant_hr_px": smooth.constant_hr_px,
        "affine_hr_px": smooth.affine_hr_px,
        "smooth_hr_px": smooth.hr_px,
        "smooth_error_hr_px": smooth.error_hr_px,
        "rest_p50_hr_px": residuals.percentile(smooth.rest, 50),
        "residual_shape_hr_px": shape.hr_px,
        "floor_p50_hr_px": residuals.percentile(control, 50),
        "floor_p95_hr_px": residuals.percentile(control, 95),
        "floor_smooth_hr_px": fit_smooth(control, crop).hr_px,
        "zncc": lr_crop.zncc(look, published),
        "correlation": found.alike.correlation,
        "unlike_fraction": found.alike.unlike,
        "coarse_x_hr_px": coarse_x,
        "coarse_y_hr_px": coarse_y,
        "contrast": found.alike.contrast,
        "sigma_blur_hr_px": look.sigma_hr_px,
        "brightness_error": lr_crop.brightness_error(lr_crop.seen(source, published, look.sigma_hr_px)),
        **place_cells(largest_place(lr_crop, lr_crop.shown(look, found.in_place), border)),
    }
    colours = compare_colours(lr_crop, look, found.in_place)
    measured |= {"colour_difference": colours.difference, "colour_ratio": colours.ratio}
    statistics = {name: float(measured.get(name, np.nan)) for name in MEASURED}
    return PairEvidence(statistics=statistics, field=field, shape=shape.name or "")


def _as_published(lr: Image, scale: int) -> geometry.CaptureMapping:
    """The mapping that the sizes of a pair imply: HR has the grid of LR, ``scale`` times finer."""
    size = Size.of(lr)
    return geometry.CaptureMapping(
        H_hr_to_lr=geometry.inverse(geometry.scaling(scale)),
        hr_size=Size(scale * size.width, scale * size.height),
        lr_size=size,
    )


def classify(statistics: Mapping[str, float], scale: int, settings: AuditSettings) -> tuple[Verdict, str]:
    """The verdict on a pair, and its reason with number and limit (empty for a clean pair)."""
    s = statistics
    if not s["contrast"] >= settings.min_contrast:
        unmeasured = f"contrast {s['contrast']:.2g}, at least {settings.min_contrast:g} needed"
        return _foreign_object(s, settings) or (NOT_MEASURED, unmeasured)
    if not s["correlation"] >= settings.min_correlation:
        return "different_content", (
            f"correlation {s['correlation']:.2f} wherever HR is put, at least {settings.min_correlation:g} expected"
        )
    if _is_far_off(s, scale):
        coarse = f"({s['coarse_x_hr_px']:+.0f}, {s['coarse_y_hr_px']:+.0f})"
        return "misaligned", f"all of HR lies about {coarse} HR px off"
    if s["unlike_fraction"] > settings.max_unlike:
        return "different_content", (
            f"{s['unlike_fraction']:.0%} of the blocks with strong detail differ, at most {settings.max_unlike:.0%}"
        )
    verdict, reason = _classify_field(s, settings)
    if verdict != "misaligned" and s["colour_ratio"] > settings.max_colour_ratio:
        return "different_colours", (
            f"colours differ by {s['colour_ratio']:.0%} of their own spread, at most {settings.max_colour_ratio:.0%}"
        )
    return verdict, reason


def is_measured(verdict: str, statistics: Mapping[str, float], scale: int, settings: AuditSettings) -> bool:
    """Whether the displacement of a pair is known: it shows one content, and blocks or the coarse shift measured it."""
    if verdict not in ("clean", "misaligned", "different_colours"):
        return False
    return _is_far_off(statistics, scale) or not _unmeasured(statistics, _uncertainty(statistics), settings)


def displacement(statistics: Mapping[str, float], scale: int) -> float:
    """How far HR lies off its place: the smooth part without its uncertainty, or a coarse shift beyond 3 LR px.

    The root mean square over the image, in HR px. It is often 0 for a well aligned pair, because the uncertainty is
    what the estimator finds in a pair without any shift.
    """
    s = statistics
    if _is_far_off(s, scale):
        return math.hypot(s["coarse_x_hr_px"], s["coarse_y_hr_px"])
    return math.sqrt(np.maximum(s["smooth_hr_px"] ** 2 - _uncertainty(s) ** 2, 0.0))


def _is_far_off(s: Mapping[str, float], scale: int) -> bool:
    """Whether HR as a whole is displaced by more than blocks can measure from its published position."""
    return math.hypot(s["coarse_x_hr_px"], s["coarse_y_hr_px"]) > _REACH_LR_PX * scale


def _uncertainty(s: Mapping[str, float]) -> float:
    """Uncertainty of the smooth part in HR px; nan where either estimate of it is."""
    return float(np.maximum(s["floor_smooth_hr_px"], s["smooth_error_hr_px"]))


def _classify_field(s: Mapping[str, float], settings: AuditSettings) -> tuple[Verdict, str]:
    """The verdict on two images that show the same content at about the same place."""
    error = _uncertainty(s)
    unmeasured = _unmeasured(s, error, settings)
    if not unmeasured and s["smooth_hr_px"] > settings.limit + error:
        return "misaligned", (
            f"constant and affine part {s['smooth_hr_px']:.2f} HR px, at most {settings.limit:g} "
            f"and its uncertainty of {error:.2f}"
        )
    if not unmeasured and s["rest_p50_hr_px"] > settings.limit_rest + s["floor_p50_hr_px"]:
        return "misaligned", (
            f"neither constant nor affine: median {s['rest_p50_hr_px']:.2f} HR px, at most {settings.limit_rest:g} "
            f"and the floor's {s['floor_p50_hr_px']:.2f}"
        )
    return _foreign_object(s, settings) or ((NOT_MEASURED, unmeasured) if unmeasured else ("clean", ""))


def _foreign_object(s: Mapping[str, float], settings: AuditSettings) -> tuple[Verdict, str] | None:
    """The verdict if the largest connected place that differs is too large."""
    if not s["differing_hr_px"] > settings.max_differing_place:
        return None
    where = place_in_words(*(int(s[f"differing_{side}"]) for side in ("x", "y", "width", "height")))
    across = f"{s['differing_hr_px']:.0f} HR px across, at most {settings.max_differing_place:g}"
    return "different_content", f"{where}, {across}"


def _unmeasured(s: Mapping[str, float], error: float, settings: AuditSettings) -> str:
    """Why the field cannot be judged; empty if it can. ``error`` is the uncertainty of its smooth part, in HR px."""
    if not s["weight"] >= MIN_WEIGHT:
        return f"blocks to measure weigh {s['weight']:.1f}, at least {MIN_WEIGHT:g} needed"
    if not error <= settings.limit:
        return f"constant and affine part uncertain by {error:.2f} HR px, at most {settings.limit:g} may be"
    return ""
