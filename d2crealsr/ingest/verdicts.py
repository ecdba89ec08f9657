"""The verdict on a pair while the tripod still stands: a whole alignment, and what to shoot again and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from d2crealsr.align import Alignment, align_pair
from d2crealsr.errors import ImageError
from d2crealsr.imaging import geometry
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.quality.verdict import explain, in_words
from d2crealsr.settings import AlignSettings
from d2crealsr.types import AlignmentFailure

if TYPE_CHECKING:
    from pathlib import Path

    from d2crealsr.types import Array, Size

__all__ = ["LARGEST_LR_BLUR_PX", "verdict_on"]

LARGEST_LR_BLUR_PX = 2.0
"""Standard deviation of LR's blur, in LR px, from which on LR counts as blurred. Sharp captures have about 1. QA
accepts more where the position is right, but on the spot it costs little to shoot again."""

_STEPS = 41


def verdict_on(hr: Path, lr: Path, scale: int) -> dict[str, Any]:
    """What a quick look at a pair says, as values that JSON can hold.

    Returns
    -------
    dict
        ``problems``: a list of [reason code, what is wrong, what to do], empty for a good pair; ``scale`` (HR px per
        LR px), ``overlap`` (share of the HR frame that LR shows) and ``error_hr_px`` (predicted standard error), None
        where they are not known.
    """
    settings = AlignSettings(scale=scale)
    try:
        found = align_pair(hr, lr, settings=settings)
    except ImageError as error:
        found = AlignmentFailure(reason=error.reason, message=str(error))
    if isinstance(found, AlignmentFailure):
        problem = [found.reason, found.message, in_words(found.reason).helps]
        return {"problems": [problem], "scale": None, "overlap": None, "error_hr_px": None}
    problems = [[code, _wrong(found, settings, code), in_words(code).helps] for code in found.reasons]
    blur = found.stages[-1].sigma_blur_hr_px / scale
    if blur > LARGEST_LR_BLUR_PX:
        text = f"LR is blurred: standard deviation {blur:.1f} LR px, a sharp capture has about 1"
        problems.append(["lr_blurred", text, "Focus LR and shoot it again, without touching the camera."])
    mapping = found.estimate.placement.mapping
    sigma = float(found.statistics.get("sigma_hr_px", float("nan")))
    return {
        "problems": problems,
        "scale": round(float(geometry.scale_effective(mapping.H_hr_to_lr, geometry.frame_centre(mapping.hr_size))), 3),
        "overlap": round(_overlap(mapping), 4),
        "error_hr_px": round(sigma, 4) if np.isfinite(sigma) else None,
    }


def _wrong(found: Alignment, settings: AlignSettings, reason: str) -> str:
    """The numbers of a reason; for a residual also the shape of its field, which the help refers to."""
    told = explain(found.statistics, settings, reason)
    if reason == "residual_too_large" and found.residual_shape:
        told += f"; the residual field is {found.residual_shape}"
    return told


def _overlap(mapping: CaptureMapping) -> float:
    """Share of the HR frame that lies within LR."""
    inside = _within(mapping.hr_to_lr(_grid(mapping.hr_size)), mapping.lr_size)
    return float(inside.mean())


def _grid(size: Size) -> Array:
    x, y = (np.linspace(0, side - 1, _STEPS) for side in size)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _within(points: Array, size: Size) -> Array:
    within: Array = np.all((points >= -0.5) & (points <= np.array(size) - 0.5), axis=-1)
    return within
