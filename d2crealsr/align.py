"""One pair: register, bring to one brightness, crop, warp once, measure what is left, judge."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from d2crealsr import opencv
from d2crealsr.errors import ImageError, SettingsError
from d2crealsr.imaging import crop as cropping
from d2crealsr.imaging import degrade, geometry, warp
from d2crealsr.imaging.comparison import Look, LrCrop
from d2crealsr.quality import evidence, residuals, sharpness, verdict
from d2crealsr.quality.shape import Shape, name_shape
from d2crealsr.registration import tone
from d2crealsr.registration.chromatic import ChromaticAberration, measure_chromatic_aberration, without_aberration
from d2crealsr.registration.lr_lens import LrDistortion, can_show, measure_lr_distortion
from d2crealsr.registration.refine import Refinement, refine
from d2crealsr.registration.sift import CONVERGED_HR_PX, NEAR_ENOUGH_LR_PX, register
from d2crealsr.registration.swapped import look_for_swap
from d2crealsr.settings import AlignSettings
from d2crealsr.store.images import read_capture
from d2crealsr.types import Alignment, AlignmentFailure, Crop, Photometry, ResidualField, Size, Stage

if TYPE_CHECKING:
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.imaging.photometry import Brightness
    from d2crealsr.types import Image

__all__ = ["align_pair"]

_FIRST_TONE = "srgb"
"""Tone curve that features are looked for with while the camera's is not known; they hardly depend on it."""

_LENS_ROUNDS = 2
"""How often the LR lens' distortion is looked for in what is left."""

_MAX_REFINEMENT_LR_PX = 3.0
"""Direct refinement that moves an estimate further than this has gone to another optimum and is not believed."""


def align_pair(
    hr: Image | Path | str, lr: Image | Path | str, *, settings: AlignSettings | None = None, **changes: Any
) -> Alignment | AlignmentFailure:
    """Align one HR capture to one LR capture.

    Parameters
    ----------
    hr, lr : (H, W, 3) ndarray of uint8 or uint16, or path
        The captures, RGB; their sizes, aspects and cameras may differ. Paths are read with orientation flags applied.
    settings : AlignSettings, optional
        What decides the result; its defaults otherwise.
    **changes
        Single settings by name, as ``scale=4`` or ``iters=2``.

    Returns
    -------
    Alignment or AlignmentFailure
        An estimate with the published images, its evidence and QA's verdict; or the reason why there is no estimate.

    Raises
    ------
    SettingsError
        When a setting is out of its range, or asks for a lens profile.

    Examples
    --------
    >>> import numpy as np
    >>> blank = np.full((400, 600, 3), 200, dtype=np.uint8)
    >>> align_pair(blank, blank, scale=8).reason
    'low_texture'
    """
    settings = dataclasses.replace(settings or AlignSettings(), **changes)
    if settings.lens_profile != "none":
        raise SettingsError(
            f"lens_profile: got {settings.lens_profile!r}, which is looked up for files by build(); "
            "give k1 as undistort_hr and undistort_lr"
        )
    try:
        hr_image, lr_image = _loaded(hr, convert=True), _loaded(lr, convert=settings.convert_lr_profile)
    except ImageError as error:
        return AlignmentFailure(reason=error.reason, message=str(error))
    for side, image in (("HR", hr_image), ("LR", lr_image)):
        if min(image.shape[:2]) < cropping.MIN_SIDE:
            size = f"{image.shape[1]}x{image.shape[0]}"
            return AlignmentFailure(
                reason="too_small",
                message=f"{side} has {size} pixels, at least {cropping.MIN_SIDE} a side needed; reshoot it",
            )
    tone = _FIRST_TONE if settings.tone == "auto" else settings.tone
    source = degrade.reduced(hr_image, settings.scale, tone)
    registered = register(
        source,
        lr_image,
        scale=settings.scale,
        iters=settings.iters,
        tone=tone,
        settled_hr_px=_settled_hr_px(settings),
    )
    if isinstance(registered, AlignmentFailure):
        return look_for_swap(registered, hr_image, lr_image, scale=settings.scale, tone=tone)
    start = geometry.CaptureMapping(
        H_hr_to_lr=registered.H_hr_to_lr,
        hr_size=_size_of(hr_image),
        lr_size=_size_of(lr_image),
    )
    if settings.undistort_hr or settings.undistort_lr:
        start = start.with_lenses(k1_hr=settings.undistort_hr, k1_lr=settings.undistort_lr)
    settings = dataclasses.replace(settings, tone=_tone(hr_image, lr_image, start, settings))
    if settings.tone != tone:
        source = degrade.reduced(hr_image, settings.scale, settings.tone)
    sift = _Estimate(start, registered.stages)
    estimate = _with_lr_lens(source, lr_image, sift, _refined(source, lr_image, sift, settings), settings)
    crop = cropping.choose_crop(estimate.mapping, settings.scale, settings.crop)
    if min(crop.width, crop.height) < cropping.MIN_SIDE:
        return _unpublishable(hr_image, estimate, crop, settings)
    aberration = measure_chromatic_aberration(source, estimate.mapping, crop)
    ca_k = aberration.believed() if settings.correct_ca else (0.0, 0.0)
    if any(ca_k):
        # The mapping was right for all colours together; from now on green stands for all of them.
        source = without_aberration(source, ca_k)
        estimate = _refined(source, lr_image, sift._replace(mapping=estimate.mapping), settings)
        crop = cropping.choose_crop(estimate.mapping, settings.scale, settings.crop)
    estimate = estimate._replace(aberration=aberration, ca_k=ca_k)
    return _published(hr_image, lr_image, source, estimate, crop, settings)


def _tone(hr: Image, lr: Image, mapping: CaptureMapping, settings: AlignSettings) -> str:
    """The tone curve asked for, or the likeliest."""
    if settings.tone != "auto":
        return settings.tone
    crop = cropping.choose_crop(mapping, settings.scale, settings.crop)
    if min(crop.width, crop.height) < cropping.MIN_SIDE:
        return _FIRST_TONE
    return tone.likeliest_tone(hr, _cut(lr, crop), mapping, crop, settings.scale)


def _settled_hr_px(settings: AlignSettings) -> float:
    """When SIFT iterations have done their part."""
    if settings.refine == "none":
        return CONVERGED_HR_PX
    return NEAR_ENOUGH_LR_PX * settings.scale


class _Estimate(NamedTuple):
    """Where HR lies in LR, how that was found, and, after direct refinement, how sure it is.

    ``aberration`` is the HR lens' as measured, ``ca_k`` what of it (red, blue) is corrected.
    """

    mapping: CaptureMapping
    stages: tuple[Stage, ...]
    refinement: Refinement | None = None
    aberration: ChromaticAberration | None = None
    ca_k: tuple[float, float] = (0.0, 0.0)


def _refined(source: LinearReduced, lr: Image, sift: _Estimate, settings: AlignSettings) -> _Estimate:
    """The SIFT estimate refined directly; as it was, with a failed stage, where refinement does not hold."""
    if settings.refine == "none":
        return sift
    last = next(stage for stage in reversed(sift.stages) if stage.stopped != "failed")
    found = refine(
        source, lr, sift.mapping, sigma_hr_px=last.sigma_blur_hr_px, model=settings.refine, tone=settings.tone
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
    return _Estimate(found.mapping, (*sift.stages, stage), found)


def _with_lr_lens(
    source: LinearReduced, lr: Image, sift: _Estimate, refined: _Estimate, settings: AlignSettings
) -> _Estimate:
    """The estimate with the LR lens' distortion, where a card off the middle of LR shows that there is some.

    It is found in what refinement leaves, and refined again with it.
    """
    if settings.refine != "radial" or settings.undistort_lr or refined.refinement is None:
        return refined
    for _ in range(_LENS_ROUNDS):
        crop = cropping.choose_crop(refined.mapping, settings.scale, settings.crop)
        if min(crop.width, crop.height) < cropping.MIN_SIDE or not can_show(crop, refined.mapping, settings.scale):
            return refined
        lr_crop = LrCrop.of(_cut(lr, crop), crop, settings.scale, settings.tone)
        sigma = lr_crop.blur(source, refined.mapping)
        fitted = lr_crop.brightness(lr_crop.seen(source, refined.mapping, sigma), refined.mapping)
        field = lr_crop.residuals(Look.of(source, sigma, fitted, settings.tone), refined.mapping)
        found = measure_lr_distortion(field, crop, refined.mapping, settings.scale)
        if not found.k1:
            return refined
        k1_hr, k1_lr = refined.mapping.k1_hr, refined.mapping.k1_lr + found.k1
        bent = refined.mapping.with_lenses(k1_hr=k1_hr, k1_lr=k1_lr)
        again = _refined(source, lr, sift._replace(mapping=bent), settings)
        if again.refinement is None:
            return refined
        refined = again
    return refined


def _published(
    hr: Image,
    lr: Image,
    source: LinearReduced,
    estimate: _Estimate,
    crop: Crop,
    settings: AlignSettings,
) -> Alignment:
    """Photometry, the one warp, and the evidence, for an estimate whose crop is worth publishing."""
    mapping = estimate.mapping
    lr_part = _cut(lr, crop)
    lr_crop = LrCrop.of(lr_part, crop, settings.scale, settings.tone)
    sigma = lr_crop.blur(source, mapping)
    before = lr_crop.seen(source, mapping, sigma)
    fitted = lr_crop.brightness(before, mapping)
    light = _photometry(fitted, settings.tone) if settings.brightness else Photometry(tone=settings.tone)
    published = warp.warp_hr(hr, mapping, crop, settings.scale, light, settings.interpolation, ca_k=estimate.ca_k)

    look = Look.of(source, sigma, fitted, settings.tone)
    field = lr_crop.residuals(look, mapping)
    shape = name_shape(field, crop, mapping.hr_centre_in_lr)
    lr_lens = measure_lr_distortion(field, crop, mapping, settings.scale)
    looked_at = degrade.reduced(published, settings.scale, settings.tone)
    H_published_to_lr = warp.grid_to_lr(crop, settings.scale)
    grid = geometry.CaptureMapping(H_hr_to_lr=H_published_to_lr, hr_size=_size_of(published), lr_size=mapping.lr_size)
    statistics = {
        **evidence.plausibility(mapping, crop, settings.scale),
        **evidence.matching(estimate.stages),
        **_uncertainty(estimate, crop, settings, lr_lens, shape),
        "residual_p50_hr_px": residuals.percentile(field, 50),
        "residual_p95_hr_px": residuals.percentile(field, 95),
        "residual_local_hr_px": residuals.worst_neighbourhood(field),
        "residual_side_hr_px": residuals.worst_side(field),
        "residual_shape_hr_px": shape.hr_px,
        "residual_worst_hr_px": shape.worst_hr_px,
        "off_centre_hr_px": lr_lens.hr_px,
        "zncc": lr_crop.zncc(look, mapping),
        "zncc_block_p50": residuals.typical_zncc(field),
        "textured_fraction": residuals.measured_share(field),
        "content_differs_fraction": lr_crop.differing(look, mapping),
        **_fringes(estimate.aberration, crop, settings.scale),
        "brightness_error_before": lr_crop.brightness_error(before),
        "brightness_error_after": lr_crop.brightness_error(lr_crop.seen(looked_at, grid, sigma)),
        "sharpness_ratio": sharpness.ratio(looked_at, lr_crop.luma),
        "clipped_fraction": 1 - float(lr_crop.valid.mean()),
    }
    final = evidence.Left(statistics["residual_p50_hr_px"], statistics["zncc"], fitted.gain[1])
    return Alignment(
        scale=settings.scale,
        H_hr_to_lr=mapping.H_hr_to_lr,
        k1_hr=mapping.k1_hr,
        k1_lr=mapping.k1_lr,
        crop=crop,
        photometry=light,
        hr=published,
        lr=lr_part,
        residuals=field,
        stages=tuple(evidence.with_evidence(stage, lr_crop, source, look, mapping, final) for stage in estimate.stages),
        statistics=statistics,
        reasons=verdict.judge(statistics, settings),
        residual_shape=shape.name or "",
        ca_k=estimate.ca_k,
    )


def _fringes(aberration: ChromaticAberration | None, crop: Crop, scale: int) -> dict[str, float]:
    """Displacement of red and blue at the crop's corner, as the lens made it."""
    if aberration is None:
        return {}
    ca_r, ca_b = aberration.at(float(np.hypot(crop.width, crop.height)) / 2 * scale)
    return {"ca_r_hr_px": ca_r, "ca_b_hr_px": ca_b}


def _unpublishable(hr: Image, estimate: _Estimate, crop: Crop, settings: AlignSettings) -> Alignment:
    """An estimate whose crop is too small to publish or to measure anything in."""
    mapping = estimate.mapping
    statistics = {**evidence.plausibility(mapping, crop, settings.scale), **evidence.matching(estimate.stages)}
    nothing = opencv.as_image(np.empty((0, 0, 3), dtype=hr.dtype))
    empty = np.empty(0)
    return Alignment(
        scale=settings.scale,
        H_hr_to_lr=mapping.H_hr_to_lr,
        k1_hr=mapping.k1_hr,
        k1_lr=mapping.k1_lr,
        crop=crop,
        photometry=Photometry(tone=settings.tone),
        hr=nothing,
        lr=nothing,
        residuals=ResidualField(
            points_lr=empty.reshape(0, 2), shifts_hr_px=empty.reshape(0, 2), weights=empty, zncc=empty
        ),
        stages=estimate.stages,
        statistics=statistics,
        reasons=verdict.judge(statistics, settings),
    )


def _uncertainty(
    estimate: _Estimate, crop: Crop, settings: AlignSettings, lr_lens: LrDistortion, shape: Shape
) -> dict[str, float]:
    """Predicted standard error over the crop: nan where refinement failed, nothing where none was asked for.

    To what noise does to the fit comes, squared, what the fit is seen to leave: the residual field's pattern, by which
    a bowed card shows; the fringes of red and blue that are not corrected, which pull luma away from green; and off
    the middle of LR, where its lens matters, what is not known of that lens.
    """
    if estimate.refinement is None:
        return {"sigma_hr_px": float("nan")} if estimate.stages[-1].stage == "direct" else {}
    grid = geometry.central_grid(Size(crop.width * settings.scale, crop.height * settings.scale), share=1.0)
    p_hr = warp.published_positions(grid.reshape(-1, 2), estimate.mapping, crop, settings.scale)
    parts = [estimate.refinement.standard_error(p_hr), shape.pattern_hr_px]
    if estimate.aberration is not None and not any(estimate.ca_k):
        from_centre = p_hr - geometry.frame_centre(estimate.mapping.hr_size)
        parts.append(estimate.aberration.of_luma * float(np.sqrt(np.mean(np.sum(from_centre**2, axis=1)))))
    if not settings.undistort_lr and can_show(crop, estimate.mapping, settings.scale):
        parts.append(lr_lens.error_hr_px)
    return {"sigma_hr_px": float(np.linalg.norm(parts))}


def _photometry(fitted: Brightness, tone: str) -> Photometry:
    field_x, field_y, field_r2 = fitted.field
    return Photometry(
        tone=tone, gain=fitted.gain, offset=fitted.offset, field_x=field_x, field_y=field_y, field_r2=field_r2
    )


def _loaded(image: Image | Path | str, *, convert: bool) -> Image:
    if isinstance(image, (str, Path)):
        return read_capture(Path(image), convert=convert).pixels
    return opencv.as_image(image)


def _cut(lr: Image, crop: Crop) -> Image:
    return opencv.as_image(np.ascontiguousarray(lr[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]))


def _size_of(image: Image) -> Size:
    return Size(image.shape[1], image.shape[0])
