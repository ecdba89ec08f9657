"""What QA goes by besides the residual field: the mapping's plausibility, the matching, and what each stage leaves."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from d2crealsr.imaging import geometry
from d2crealsr.quality import residuals

if TYPE_CHECKING:
    from d2crealsr.imaging.comparison import Look, LrCrop
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Crop, Stage

__all__ = ["Left", "matching", "plausibility", "with_evidence"]

_STRIDE = 3
"""A ninth of the pixels will do for how alike and how bright the crop is at a stage; odd, to meet all of a mosaic."""


def plausibility(mapping: CaptureMapping, crop: Crop, scale: int) -> dict[str, float]:
    """What the mapping itself says: could a camera have done this?"""
    H, centre = mapping.H_hr_to_lr, geometry.frame_centre(mapping.hr_size)
    effective = geometry.scale_effective(H, centre)
    offset = mapping.hr_centre_in_lr - geometry.frame_centre(mapping.lr_size)
    return {
        "scale_effective": effective,
        "scale_ratio": effective / scale,
        "rotation_deg": geometry.rotation_deg(H, centre),
        "anisotropy": geometry.anisotropy(H, centre),
        "perspective_ratio": geometry.perspective_ratio(H, mapping.hr_size),
        "card_offset": float(np.hypot(*offset)),
        "crop_side_lr_px": float(min(crop.width, crop.height)),
    }


def matching(stages: tuple[Stage, ...]) -> dict[str, float]:
    """Counts of the last SIFT registration that found something."""
    last = next(stage for stage in reversed(stages) if stage.n_inliers and stage.stopped != "failed")
    return {
        "n_keypoints_hr": last.n_keypoints_hr,
        "n_keypoints_lr": last.n_keypoints_lr,
        "n_matches": last.n_matches,
        "n_inliers": last.n_inliers,
        "reprojection_rmse_lr_px": last.reprojection_rmse_lr_px,
    }


class Left(NamedTuple):
    """What an estimate leaves between HR and the published LR crop, as a stage reports it."""

    residual_p50_hr_px: float
    zncc: float
    gain_g: float


def with_evidence(
    stage: Stage, lr_crop: LrCrop, source: LinearReduced, look: Look, mapping: CaptureMapping, final: Left
) -> Stage:
    """The stage with what its estimate would have left; ``final`` is what the published ``mapping`` leaves."""
    if stage.H_hr_to_lr is None or stage.stopped == "failed":
        return stage
    if stage.k1_hr == mapping.k1_hr and np.array_equal(stage.H_hr_to_lr, mapping.H_hr_to_lr):
        return dataclasses.replace(stage, **final._asdict())
    k1_lr = mapping.k1_lr if stage.stage == "direct" else 0.0  # SIFT maps the captures as they are
    of_stage = dataclasses.replace(mapping, H_hr_to_lr=stage.H_hr_to_lr, k1_hr=stage.k1_hr, k1_lr=k1_lr)
    thin = lr_crop.thinned(_STRIDE)
    left = Left(
        residuals.percentile(lr_crop.residuals(look, of_stage), 50),
        thin.zncc(look, of_stage),
        thin.brightness(thin.seen(source, of_stage, look.sigma_hr_px), of_stage).gain[1],
    )
    return dataclasses.replace(stage, **left._asdict())
