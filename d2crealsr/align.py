"""Align one pair: register, refine, match the brightness, warp once, measure the residual, judge."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from d2crealsr import opencv
from d2crealsr.errors import ImageError, SettingsError
from d2crealsr.imaging import degrade, geometry
from d2crealsr.imaging.card_frame import within_picture
from d2crealsr.imaging.comparison import LrCrop
from d2crealsr.imaging.crop import MIN_SIDE, cut, place
from d2crealsr.imaging.estimate import Estimate
from d2crealsr.imaging.photometry import Photometry
from d2crealsr.imaging.warp import warp_hr
from d2crealsr.quality import evidence, verdict
from d2crealsr.quality.shape import name_shape
from d2crealsr.registration import tone as tones
from d2crealsr.registration.demosaic import phase_of
from d2crealsr.registration.locate import Located, locate, registration_statistics
from d2crealsr.registration.points import checked_points, start_from_points
from d2crealsr.registration.sift import register
from d2crealsr.registration.swapped import look_for_swap
from d2crealsr.settings import AlignSettings, tones_by_camera
from d2crealsr.store.images import CaptureImage, read_capture
from d2crealsr.types import AlignmentFailure, ResidualField, Size, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.imaging.placement import Placement
    from d2crealsr.registration.points import PointPairs
    from d2crealsr.registration.sift import Registration
    from d2crealsr.types import Crop, Image, Matrix

__all__ = ["Alignment", "LocatedPair", "align_pair", "locate_pair"]

_FIRST_TONE = "srgb"
"""Tone curve for finding features while that of the camera is unknown. Features hardly depend on it."""

_SHOWN = ("n_inliers", "residual_p50_hr_px", "residual_p95_hr_px", "sigma_hr_px", "zncc", "sharpness_ratio")
"""Statistics that a notebook shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alignment:
    """An estimate for one pair, with its evidence and QA's verdict.

    Attributes
    ----------
    estimate : Estimate
        Where HR lies in LR, and how its brightness is matched. Its parts are also attributes of the alignment.
    hr : (scale·height, scale·width, 3) ndarray
        Published HR, warped once, at the depth of the capture.
    lr : (height, width, 3) ndarray
        Published LR, which is only cropped.
    reasons : tuple of str
        Reason codes for which QA rejects the pair; empty for an accepted pair.
    statistics : mapping
        The statistics columns of the manifest by name (``n_inliers``, ``zncc``, ``residual_p95_hr_px``, …).
    residual_shape : str
        A name of :data:`d2crealsr.store.shapes.RESIDUAL_SHAPES`; empty if no block has weight.
    started_from : {"sift", "points"}
        What registration started from: its own search by SIFT, or points that were given.
    """

    estimate: Estimate
    hr: Image
    lr: Image
    residuals: ResidualField
    stages: tuple[Stage, ...]
    statistics: Mapping[str, float]
    reasons: tuple[str, ...] = ()
    residual_shape: str = ""
    started_from: Literal["sift", "points"] = "sift"

    @property
    def accepted(self) -> bool:
        """Whether QA accepts the pair."""
        return not self.reasons

    @property
    def H_hr_to_lr(self) -> Matrix:
        """Homography from pixel centres of the (upright, ideal) HR capture to those of the LR capture, (3, 3)."""
        return self.estimate.placement.mapping.H_hr_to_lr

    @property
    def k1_hr(self) -> float:
        """Radial distortion coefficient of the HR lens."""
        return self.estimate.placement.mapping.k1_hr

    @property
    def k1_lr(self) -> float:
        """Radial distortion coefficient of the LR lens."""
        return self.estimate.placement.mapping.k1_lr

    @property
    def crop(self) -> Crop:
        """The published rectangle of the LR capture."""
        return self.estimate.placement.crop

    @property
    def scale(self) -> int:
        """HR pixels per LR pixel."""
        return self.estimate.placement.scale

    @property
    def photometry(self) -> Photometry:
        """The matching of the published HR to LR's brightness."""
        return self.estimate.light

    @property
    def ca_k(self) -> tuple[float, float]:
        """Lateral chromatic aberration of red and blue that was corrected in the published HR."""
        return self.estimate.ca_k

    def _repr_html_(self) -> str:
        """How Jupyter shows it: HR and LR in turn, the residual field, and numbers."""
        from d2crealsr.imaging.notebook_view import pair_html

        verdict = "accepted" if self.accepted else f"rejected: {', '.join(self.reasons)}"
        size = f"{self.crop.width}x{self.crop.height} LR px"
        numbers = {"scale": f"x{self.scale}", "crop": size, "shape of the residuals": self.residual_shape or "none"}
        numbers |= {name: f"{self.statistics[name]:.4g}" for name in _SHOWN if name in self.statistics}
        title = f"Alignment, {verdict}"
        return pair_html(self.hr, self.lr, self.residuals, title=title, numbers=numbers)


def align_pair(
    hr: Image | Path | str | CaptureImage,
    lr: Image | Path | str | CaptureImage,
    *,
    settings: AlignSettings | None = None,
    points: PointPairs = (),
    **changes: Any,
) -> Alignment | AlignmentFailure:
    """Align one HR capture to one LR capture.

    Parameters
    ----------
    hr, lr : (H, W, 3) ndarray of uint8 or uint16, path, or CaptureImage
        The captures in RGB. Their sizes, aspect ratios and cameras may differ. Files are turned upright on reading. A
        capture that tells its tone curve, as camera RAW and files of linear light do, keeps it whatever the settings
        say. If both are camera RAW, the white balance of HR is used for both.
    settings : AlignSettings, optional
        Settings of the alignment; the defaults if not given.
    points : sequence of (hr_x, hr_y, lr_x, lr_y) or (N, 4) ndarray, optional
        At least four corresponding points, from which registration starts instead of searching HR by SIFT. They are
        pixel centres of the upright captures, and errors of a few LR px do no harm.
    **changes
        Single settings by name, such as ``scale=4`` or ``iters=2``.

    Returns
    -------
    Alignment or AlignmentFailure
        An estimate with the published images, its evidence and QA's verdict, or the reason why there is no estimate.

    Raises
    ------
    SettingsError
        When a setting is of another type or out of its range, or asks for a lens profile; when a capture is no image
        of the kinds above; or when the points are not four finite numbers each, or determine no mapping.

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
    if settings.tone.endswith(".json") or tones_by_camera(settings.tone):
        raise SettingsError(
            f"tone: got {settings.tone:.80}, whose curves build() looks up by camera; give a name, or HR/LR for two"
        )
    points = checked_points(points)
    try:
        hr_image = _loaded("hr", hr, convert=True)
        balanced_as = Path(hr) if isinstance(hr, (str, Path)) else None
        lr_image = _loaded("lr", lr, convert=settings.convert_lr_profile, balanced_as=balanced_as)
    except ImageError as error:
        return AlignmentFailure(reason=error.reason, message=str(error))
    for side, image in (("HR", hr_image), ("LR", lr_image)):
        if min(Size.of(image.pixels)) < MIN_SIDE:
            size = "{}x{}".format(*Size.of(image.pixels))
            message = f"{side} has {size} pixels, at least {MIN_SIDE} a side needed; reshoot it"
            return AlignmentFailure(reason="too_small", message=message)
    found = _aligned(hr_image, lr_image, settings, points)
    return dataclasses.replace(found, started_from="points") if isinstance(found, Alignment) and len(points) else found


def _loaded(
    name: str, image: Image | Path | str | CaptureImage, *, convert: bool, balanced_as: Path | None = None
) -> CaptureImage:
    if isinstance(image, (str, Path)):
        return read_capture(Path(image), convert=convert, balanced_as=balanced_as)
    if isinstance(image, CaptureImage):
        return image
    if not isinstance(image, np.ndarray):
        raise SettingsError(f"{name}: got {image!r:.80}, expected a path, an array of pixels or a CaptureImage")
    try:
        return CaptureImage(opencv.as_image(image))
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from error


def _aligned(
    hr: CaptureImage, lr: CaptureImage, settings: AlignSettings, points: PointPairs
) -> Alignment | AlignmentFailure:
    """:func:`align_pair` for two images in memory."""
    found = locate_pair(hr, lr, settings, points)
    if isinstance(found, AlignmentFailure):
        return found
    as_shot = Photometry(tone=found.lr.tone, hr_tone="" if found.hr.tone == found.lr.tone else found.hr.tone)
    return _published(found.hr.pixels, found.lr.pixels, found.located, as_shot, settings)


class LocatedPair(NamedTuple):
    """Where HR lies in LR, and the captures with the tone curves that were used."""

    located: Located
    hr: CaptureImage
    lr: CaptureImage


def locate_pair(
    hr: CaptureImage, lr: CaptureImage, settings: AlignSettings, points: PointPairs = ()
) -> LocatedPair | AlignmentFailure:
    """The first half of :func:`align_pair`: find and refine the mapping, and publish and judge nothing."""
    # 1. Register: SIFT between LR and HR at LR's resolution gives the homography H_hr_to_lr.
    tone = _FIRST_TONE if settings.tone == "auto" else settings.tone
    toned_hr, toned_lr = _toned(hr, lr, tone)
    source = degrade.reduced(hr.pixels, settings.scale, toned_hr.tone)
    registered = _registered(source, toned_lr, settings, points)
    if isinstance(registered, AlignmentFailure):
        return look_for_swap(registered, toned_hr, toned_lr, scale=settings.scale)
    start = geometry.CaptureMapping(
        H_hr_to_lr=registered.H_hr_to_lr, hr_size=Size.of(hr.pixels), lr_size=Size.of(lr.pixels)
    )
    if settings.undistort_hr or settings.undistort_lr:
        start = start.with_lenses(k1_hr=settings.undistort_hr, k1_lr=settings.undistort_lr)
    # 2. Refine: the mapping and the lenses under which HR predicts LR's pixels best, in the light they are stored in.
    if settings.tone == "auto" and (tone := _likeliest_tone(hr, lr, start, settings)) != _FIRST_TONE:
        toned_hr, toned_lr = _toned(hr, lr, tone)
        source = degrade.reduced(hr.pixels, settings.scale, toned_hr.tone)
    found = Located(source, start, registered.stages, lr_phase=phase_of(lr.phase))
    return LocatedPair(locate(found, lr.pixels, toned_lr.tone, settings), toned_hr, toned_lr)


def _toned(hr: CaptureImage, lr: CaptureImage, tone: str) -> tuple[CaptureImage, CaptureImage]:
    """Captures with the curve that a setting names, or with HR's and LR's if it names two as ``HR/LR``."""
    of_hr, _, of_lr = tone.partition("/")
    return hr.toned(of_hr), lr.toned(of_lr or of_hr)


def _published(hr: Image, lr: Image, located: Located, as_shot: Photometry, settings: AlignSettings) -> Alignment:
    """The pair that a mapping publishes, what is measured on it, and QA's verdict."""
    placement = place(located.mapping, settings)
    if settings.scale > 1:  # captures of one size need not show a card
        placement = dataclasses.replace(
            placement, crop=within_picture(lr, placement.crop, located.mapping, located.source)
        )
    if placement.crop.side < MIN_SIDE:
        return _unpublishable(hr, located, placement, as_shot, settings)
    # 3. Photometry: the blur under which HR looks most like LR, then lr = gain·field·hr + offset in linear light.
    lr_crop = LrCrop.of(lr, placement.crop, as_shot.tone, scale=placement.scale)
    lr_crop, look = lr_crop.with_look(located.source, located.mapping)
    light = dataclasses.replace(look.light, hr_tone=as_shot.hr_tone) if settings.brightness else as_shot
    # 4. Warp: HR is resampled once, onto the published grid p_lr = crop + (u + ½)/scale − ½.
    estimate = Estimate(placement=placement, light=light, ca_k=located.ca_k)
    published = warp_hr(hr, estimate, settings.interpolation)
    # 5. Measure: the shift left in each block (Lucas & Kanade), its shape, and what else QA goes by.
    field = lr_crop.residuals(look, located.mapping)
    shape = name_shape(field, placement.crop, located.mapping.hr_centre_in_lr)
    pair = evidence.PublishedPair(
        placement=placement,
        capture=hr,
        published=published,
        lr_crop=lr_crop,
        look=look,
        light=light,
        field=field,
        shape=shape,
    )
    statistics = {
        **evidence.plausibility(placement),
        **evidence.matching(located.stages),
        **registration_statistics(located, placement, field, shape.pattern_hr_px, settings),
        **{name: value for measure in evidence.MEASURES for name, value in measure(pair).items()},
    }
    stages = tuple(evidence.with_evidence(stage, pair, statistics) for stage in located.stages)
    # 6. Judge: each statistic against its threshold.
    return Alignment(
        estimate=estimate,
        hr=published,
        lr=cut(lr, placement.crop),
        residuals=field,
        stages=stages,
        statistics=statistics,
        reasons=verdict.judge(statistics, settings),
        residual_shape=shape.name or "",
    )


def _registered(
    source: LinearReduced, lr: CaptureImage, settings: AlignSettings, points: PointPairs
) -> Registration | AlignmentFailure:
    """The registration by SIFT, which starts from points if there are any; their position is then not searched."""
    start = None
    if len(points):
        start = start_from_points(points, source.full_size, Size.of(lr.pixels), scale=settings.scale)
    if isinstance(start, AlignmentFailure):
        return start
    return register(
        source,
        lr.pixels,
        scale=settings.scale,
        iters=settings.iters,
        tone=lr.tone,
        then_refined=settings.refine != "none",
        start=start,
    )


def _likeliest_tone(hr: CaptureImage, lr: CaptureImage, mapping: CaptureMapping, settings: AlignSettings) -> str:
    """The most likely tone curve, judged by the published part; the first one if that part is too small."""
    placement = place(mapping, settings)
    return _FIRST_TONE if placement.crop.side < MIN_SIDE else tones.likeliest_tone(hr, lr, placement)


def _unpublishable(
    hr: Image, located: Located, placement: Placement, light: Photometry, settings: AlignSettings
) -> Alignment:
    """The result for an estimate whose crop is too small to publish or to measure."""
    statistics = {**evidence.plausibility(placement), **evidence.matching(located.stages)}
    nothing, empty = opencv.as_image(np.empty((0, 0, 3), dtype=hr.dtype)), np.empty(0)
    return Alignment(
        estimate=Estimate(placement=placement, light=light),
        hr=nothing,
        lr=nothing,
        residuals=ResidualField(
            points_lr=empty.reshape(0, 2), shifts_hr_px=empty.reshape(0, 2), weights=empty, zncc=empty
        ),
        stages=located.stages,
        statistics=statistics,
        reasons=verdict.judge(statistics, settings),
    )
