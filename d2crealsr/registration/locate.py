"""From a first mapping to the final one: direct refinement, the LR lens, and the colours of the HR lens."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from d2crealsr.imaging import geometry
from d2crealsr.imaging.comparison import LrCrop
from d2crealsr.imaging.crop import MIN_SIDE, place
from d2crealsr.registration.chromatic import ChromaticAberration, measure_chromatic_aberration, without_aberration
from d2crealsr.registration.lr_lens import can_show, measure_lr_distortion
from d2crealsr.registration.refine import Refinement, refine
from d2crealsr.types import Stage

if TYPE_CHECKING:
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.imaging.placement import Placement
    from d2crealsr.registration.demosaic import Phase
    from d2crealsr.settings import AlignSettings
    from d2crealsr.types import Image, ResidualField

__all__ = ["Located", "locate", "registration_statistics"]

_LENS_ROUNDS = 2
"""Number of times that the distortion of the LR lens is measured in the residual field."""

_MAX_REFINEMENT_LR_PX = 3.0
"""Largest movement by direct refinement. If it is larger, the fit has reached a wrong optimum and is rejected."""


class Located(NamedTuple):
    """Where HR lies in LR, and how that was found.

    Attributes
    ----------
    source : LinearReduced
        HR in the form in which it is compared with LR, after correction of colour fringes.
    mapping : CaptureMapping
    stages : tuple of Stage
    refinement : Refinement or None
        None if it was not requested or failed.
    aberration : ChromaticAberration or None
        Measured chromatic aberration of the HR lens; None if the crop is too small to measure it.
    ca_k : (float, float)
        Correction of red and blue.
    lr_phase : Phase or None
        Colour filter phase of the LR sensor if its file tells; otherwise it is looked for.
    """

    source: LinearReduced
    mapping: CaptureMapping
    stages: tuple[Stage, ...]
    refinement: Refinement | None = None
    aberration: ChromaticAberration | None = None
    ca_k: tuple[float, float] = (0.0, 0.0)
    lr_phase: Phase | None = None


def locate(sift: Located, lr: Image, tone: str, settings: AlignSettings) -> Located:
    """The mapping under which HR best predicts LR.

    Parameters
    ----------
    sift : Located
        The result of SIFT registration.
    lr : (H, W, 3) ndarray
        The LR capture.
    tone : str
        Tone curve of the captures.
    settings : AlignSettings
    """
    # 1. Direct refinement (Gauss–Newton on the prediction of LR's pixels), then the LR lens from the residual field.
    refined = _with_lr_lens(sift, _refined(sift, lr, tone, settings), lr, tone, settings)
    placement = place(refined.mapping, settings)
    if placement.crop.side < MIN_SIDE:
        return refined
    # 2. Colour fringes of the HR lens, measured within HR: red has the content of green at c + (x − c)·(1 + k).
    aberration = measure_chromatic_aberration(sift.source, placement)
    ca_k = aberration.believed() if settings.correct_ca else (0.0, 0.0)
    if any(ca_k):
        # The mapping was fitted to all colours together. After the correction it describes green, so refine it again.
        in_green = sift._replace(source=without_aberration(sift.source, ca_k), mapping=refined.mapping)
        refined = _refined(in_green, lr, tone, settings)
    return refined._replace(aberration=aberration, ca_k=ca_k)


def _refined(sift: Located, lr: Image, tone: str, settings: AlignSettings) -> Located:
    """The SIFT estimate after direct refinement. If that fails, the same estimate with a failed stage."""
    if settings.refine == "none":
        return sift
    source, last = sift.source, next(stage for stage in reversed(sift.stages) if stage.stopped != "failed")
    found = refine(
        source,
        lr,
        sift.mapping,
        sigma_hr_px=last.sigma_blur_hr_px,
        model=settings.refine,
        tone=tone,
        phase=sift.lr_phase,
    )
    stage = Stage(iteration=len(sift.stages) + 1, stage="direct", H_hr_to_lr=sift.mapping.H_hr_to_lr, stopped="failed")
    if found is None:
        return sift._replace(stages=(*sift.stages, stage))
    centre, central = geometry.frame_centre(source.full_size), geometry.central_grid(source.full_size)
    moved = settings.scale * np.linalg.norm(found.mapping.hr_to_lr(central) - sift.mapping.hr_to_lr(central), axis=-1)
    if moved.max() > _MAX_REFINEMENT_LR_PX * settings.scale:
        return sift._replace(stages=(*sift.stages, stage))
    stage = Stage(
        iteration=stage.iteration,
        stage="direct",
        H_hr_to_lr=found.mapping.H_hr_to_lr,
        scale_effective=geometry.scale_effective(found.mapping.H_hr_to_lr, centre),
        sigma_blur_hr_px=found.sigma_blur_hr_px,
        update_mean_hr_px=float(moved.mean()),
        update_max_hr_px=float(moved.max()),
        k1_hr=found.mapping.k1_hr,
        stopped="converged" if found.converged else "",
    )
    return Located(source, found.mapping, (*sift.stages, stage), found)


def _with_lr_lens(sift: Located, refined: Located, lr: Image, tone: str, settings: AlignSettings) -> Located:
    """The estimate with the distortion of the LR lens, if the card is off the middle of LR and shows a distortion.

    The distortion is measured in the residual field of the refined mapping, which is then refined again.
    """
    if settings.refine != "radial" or settings.undistort_lr or refined.refinement is None:
        return refined
    for _ in range(_LENS_ROUNDS):
        mapping, placement = refined.mapping, place(refined.mapping, settings)
        if placement.crop.side < MIN_SIDE or not can_show(placement):
            return refined
        lr_crop, look = LrCrop.of(lr, placement.crop, tone, scale=placement.scale).with_look(refined.source, mapping)
        field = lr_crop.residuals(look, mapping)
        k1 = measure_lr_distortion(field, placement).k1
        if not k1:
            return refined
        bent = mapping.with_lenses(k1_hr=mapping.k1_hr, k1_lr=mapping.k1_lr + k1)
        again = _refined(sift._replace(mapping=bent), lr, tone, settings)
        if again.refinement is None:
            return refined
        refined = again
    return refined


def registration_statistics(
    located: Located, placement: Placement, field: ResidualField, pattern_hr_px: float, settings: AlignSettings
) -> dict[str, float]:
    """The errors that registration predicts for itself: those of the lenses, and the standard error over the crop.

    ``sigma_hr_px`` is nan if refinement failed, and absent if it was not requested. It combines the error of the fit by
    noise in quadrature with the systematic errors that are visible: the pattern of the residual field, which shows a
    bowed card; the fringes of red and blue that are not corrected, which displace luma relative to green; and the
    uncertainty of the LR lens, if the card is off the middle of LR.

    Parameters
    ----------
    located : Located
    placement : Placement
    field : ResidualField
        Residual field of the mapping.
    pattern_hr_px : float
        Root mean square length of its pattern over the crop.
    settings : AlignSettings
    """
    lr_lens = measure_lr_distortion(field, placement)
    known = {"off_centre_hr_px": lr_lens.hr_px}
    if located.aberration is not None:
        corner = float(np.hypot(placement.crop.width, placement.crop.height)) / 2 * placement.scale
        known["ca_r_hr_px"], known["ca_b_hr_px"] = located.aberration.at(corner)
    if located.refinement is None:
        return {**known, "sigma_hr_px": float("nan")} if located.stages[-1].stage == "direct" else known
    p_hr = placement.in_hr(geometry.central_grid(placement.published_size, share=1.0).reshape(-1, 2))
    parts = [located.refinement.standard_error(p_hr), pattern_hr_px]
    if located.aberration is not None and not any(located.ca_k):
        from_centre = p_hr - geometry.frame_centre(placement.mapping.hr_size)
        parts.append(located.aberration.of_luma * float(np.sqrt(np.mean(np.sum(from_centre**2, axis=1)))))
    if not settings.undistort_lr and can_show(placement):
        parts.append(lr_lens.error_hr_px)
    return {**known, "sigma_hr_px": float(np.linalg.norm(parts))}
