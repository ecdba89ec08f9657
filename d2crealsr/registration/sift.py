"""Estimate a homography between two captures by SIFT: roughly in a search window, then again at matched resolution.

The paper's recipe (§4.1 "D2CRealSR") is: register roughly, crop to the area that both show, match, register again.
Here, HR is brought to LR's resolution before features are detected, which avoids matching a sharp image with a blurred
one. Homographies are composed, so no image is resampled twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from d2crealsr.imaging import degrade, geometry
from d2crealsr.registration import features
from d2crealsr.registration.lr_view import LrView, footprint, inside, window, zoom_for
from d2crealsr.settings import scale_advice
from d2crealsr.types import AlignmentFailure, Crop, Size, Stage

if TYPE_CHECKING:
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.opencv import Keypoints
    from d2crealsr.types import Array, Image, Matrix, StageName

__all__ = [
    "MIN_INLIERS",
    "MIN_KEYPOINTS",
    "Registration",
    "is_plausible",
    "register",
]

Float32 = NDArray[np.float32]

MIN_KEYPOINTS = 24
"""Smallest number of keypoints in an image. With fewer there is too little texture for registration."""

MIN_INLIERS = 12
"""Smallest number of matches that must agree on a homography. Fewer could agree by chance."""

_CONVERGED_HR_PX = 0.02
"""Iterations stop when the mean movement of the estimate over the central part of HR is below this, in HR px."""

_NEAR_ENOUGH_LR_PX = 0.5
"""The same limit in LR px if direct refinement follows, which reaches the optimum even from much further away."""

_ROUGH_PIXELS = (400_000, 600_000)
_MAX_FINE_PIXELS = 1_000_000
"""Largest LR image, in pixels, in which keypoints are detected. It limits time and memory (24 MP would take 5.9 GB). HR
is first searched in smaller images, which suffice for most scenes."""

_ROUGH_KEYPOINTS = 2000
"""Number of HR keypoints for the rough search, the strongest ones. LR gets four times as many; HR covers a quarter."""

_QUICK_PIXELS = 120_000
_QUICK_KEYPOINTS = 1000
"""Sizes of the same search if direct refinement follows. Its result is off by .1 to .4 HR px, and the refinement
reaches the optimum from 3 LR px."""

_QUICK_ZOOM = 0.25
"""Smallest zoom of that search. With a smaller one, keypoints are too uncertain in LR px."""

_SHARPEST_LR_PX = 0.5
_BLUR_WITHIN_LR_PX = 0.05
"""Smallest blur of LR, in px, from which the refinement starts after that search, and how accurate it is."""

_SURELY = 100
"""Number of matches that must agree in both registrations of the quick search. With fewer, registration starts anew
with all keypoints."""

_PLAUSIBLE_SCALE = 2.0
"""Largest factor between the scale of a rough estimate and the nominal one. Beyond it the estimate is rejected."""

_OTHER_SCALE = 1.5
"""Factor between the measured and the nominal scale from which on the failure reports another scale."""

Stopped: TypeAlias = Literal["", "converged", "failed"]

_ROUGH_THRESHOLD_LR_PX = 1.5
_FINE_THRESHOLD_LR_PX = 0.5
_SEARCH_RADIUS_LR_PX = 2.5


@dataclass(frozen=True)
class Registration:
    """A homography between two captures, and the stages by which it was found."""

    H_hr_to_lr: Matrix
    stages: tuple[Stage, ...]


class _Fit(NamedTuple):
    """The result of matching: the homography (None if too few matches agree) and the counts for the stage."""

    H_hr_to_lr: Matrix | None
    counts: dict[str, int]
    rmse_lr_px: float


def register(
    hr: LinearReduced,
    lr: Image,
    *,
    scale: int,
    iters: int,
    tone: str,
    then_refined: bool = False,
    start: Registration | None = None,
) -> Registration | AlignmentFailure:
    """Estimate the homography from HR to LR capture by SIFT: first roughly, then at most ``iters − 1`` times again.

    Parameters
    ----------
    hr : LinearReduced
        The HR capture, reduced, in linear light.
    lr : (h, w, 3) ndarray
        The LR capture, uint8 or uint16, whole frame or a crop of it.
    scale : int
        Nominal HR px per LR px.
    iters : int
        Largest number of SIFT registrations, including the rough one.
    tone : str
        Tone curve of the captures.
    then_refined : bool
        Whether direct refinement follows, for which an estimate within a few LR px is enough.
    start : Registration, optional
        A rough estimate that stands in for the first registration, such as one from points.

    Returns
    -------
    Registration or AlignmentFailure
        The failure is ``low_texture`` if an image has too few keypoints, ``too_few_matches`` if too few matches agree,
        and ``scale_mismatch`` if they agree on a scale far from the nominal one.
    """
    if then_refined and iters > 1 and start is None and (quick := _quickly(hr, lr, scale, tone)):
        return quick
    settled_hr_px = _NEAR_ENOUGH_LR_PX * scale if then_refined else _CONVERGED_HR_PX
    rough = _rough(hr, lr, scale, tone) if start is None else (start.H_hr_to_lr, start.stages[0])
    if isinstance(rough, AlignmentFailure):
        return rough
    H, first = rough
    stages = [first]
    if iters > 1:
        view = LrView.of(lr, footprint(H, hr.full_size, Size.of(lr)), scale, tone, _MAX_FINE_PIXELS)
        while len(stages) < iters and not stages[-1].stopped:
            H, stage = _registered_again(hr, view, H, len(stages) + 1, scale, settled_hr_px)
            stages.append(stage)
    return Registration(H, tuple(stages))


def _quickly(hr: LinearReduced, lr: Image, scale: int, tone: str) -> Registration | None:
    """Two registrations in the reduced middle of LR, the second with HR mapped to it by the first.

    Keypoints of LR are detected once. None if few matches agree or the second registration moves the estimate. The
    blur of the second stage is that of LR itself, without the reduction.
    """
    middle = window(geometry.frame_centre(Size.of(lr)), hr.full_size, Size.of(lr), scale)
    if zoom_for(middle, scale, _QUICK_PIXELS) < _QUICK_ZOOM:
        return None
    view = LrView.of(lr, middle, scale, tone, _QUICK_PIXELS, 4 * _QUICK_KEYPOINTS)
    found = _locate(hr, view, scale, _QUICK_KEYPOINTS)
    if isinstance(found, AlignmentFailure) or found[1].n_inliers < _SURELY:
        return None
    here = view.of_part(footprint(found[0], hr.full_size, Size.of(lr)))
    near = _NEAR_ENOUGH_LR_PX * scale
    H, second = _registered_again(hr, here, found[0], 2, scale, near, _BLUR_WITHIN_LR_PX)
    if second.stopped != "converged" or second.n_inliers < _SURELY:
        return None
    blur = np.sqrt(max(second.sigma_blur_hr_px**2 - (scale * view.blur_lr_px) ** 2, (_SHARPEST_LR_PX * scale) ** 2))
    return Registration(H, (found[1], replace(second, sigma_blur_hr_px=float(blur))))


def _rough(hr: LinearReduced, lr: Image, scale: int, tone: str) -> tuple[Matrix, Stage] | AlignmentFailure:
    """Search HR in the middle of LR. If that fails, search the reduced whole frame, then again around the result."""
    lr_size = Size.of(lr)
    middle, whole = window(geometry.frame_centre(lr_size), hr.full_size, lr_size, scale), Crop(0, 0, *lr_size)
    found = _found_in(hr, lr, middle, scale, tone)
    if not isinstance(found, AlignmentFailure) or middle == whole:
        return found
    somewhere = _found_in(hr, lr, whole, scale, tone)
    if isinstance(somewhere, AlignmentFailure):
        return _clearest(found, somewhere)
    place = geometry.project(somewhere[0], geometry.frame_centre(hr.full_size))
    return _found_in(hr, lr, window(place, hr.full_size, lr_size, scale), scale, tone)


def _found_in(
    hr: LinearReduced, lr: Image, part: Crop, scale: int, tone: str
) -> tuple[Matrix, Stage] | AlignmentFailure:
    """Search HR in a part of LR, at increasing resolution."""
    fewer, more = _ROUGH_PIXELS
    found = _locate(hr, LrView.of(lr, part, scale, tone, fewer, 4 * _ROUGH_KEYPOINTS), scale, _ROUGH_KEYPOINTS)
    if not isinstance(found, AlignmentFailure):
        return found
    again = _locate(hr, LrView.of(lr, part, scale, tone, more, 4 * _ROUGH_KEYPOINTS), scale, _ROUGH_KEYPOINTS)
    return _clearest(again, found) if isinstance(again, AlignmentFailure) else again


def _clearest(failure: AlignmentFailure, other: AlignmentFailure) -> AlignmentFailure:
    """The more informative of two failures: another scale explains why nothing else was found."""
    return other if other.reason == "scale_mismatch" else failure


def _locate(hr: LinearReduced, view: LrView, scale: int, max_keypoints: int) -> tuple[Matrix, Stage] | AlignmentFailure:
    """One rough registration: match all of HR with a view of LR without knowledge of the position."""
    sigma = scale * max(1.0, 1 / view.zoom)
    H_hr_to_small = geometry.scaling(view.zoom / scale)
    small_size = Size(*(max(8, round(side * view.zoom / scale)) for side in hr.full_size))
    keypoints = features.detect(hr.on_grid(hr.blurred(hr.luma, sigma), H_hr_to_small, small_size), max_keypoints)
    for name, found in (("HR", keypoints), ("LR", view.keypoints)):
        if len(found.points) < MIN_KEYPOINTS:
            message = f"{name}: {len(found.points)} keypoints, at least {MIN_KEYPOINTS} needed; shoot more texture"
            statistics = {"n_keypoints_hr": len(keypoints.points), "n_keypoints_lr": len(view.keypoints.points)}
            return AlignmentFailure(reason="low_texture", message=message, statistics=statistics)
    fit = _fit(
        keypoints, view, features.match_anywhere(keypoints, view.keypoints), H_hr_to_small, _ROUGH_THRESHOLD_LR_PX
    )
    if advice := _other_scale(fit, hr.full_size, scale):
        return AlignmentFailure(reason="scale_mismatch", message=advice, statistics=dict(fit.counts))
    if fit.H_hr_to_lr is None or not is_plausible(fit.H_hr_to_lr, hr.full_size, scale):
        what = f"{fit.counts['n_inliers']} of {fit.counts['n_matches']} matches agree"
        where = (
            f", at least {MIN_INLIERS} needed" if fit.H_hr_to_lr is None else ", but on no position a camera can have"
        )
        message = f"{what}{where}; check that both captures show one card"
        return AlignmentFailure(reason="too_few_matches", message=message, statistics=dict(fit.counts))
    return fit.H_hr_to_lr, _stage(1, "rough", fit, hr, sigma)


def _registered_again(
    hr: LinearReduced,
    view: LrView,
    H_hr_to_lr: Matrix,
    iteration: int,
    scale: int,
    settled_hr_px: float,
    blur_within_lr_px: float = 0.01,
) -> tuple[Matrix, Stage]:
    """Register HR again, after mapping it to LR's grid and blur with the present estimate."""
    size = Size.of(view.luma)
    H_hr_to_view = geometry.compose(view.H_lr_to_view, H_hr_to_lr)
    p_hr = geometry.project(geometry.inverse(H_hr_to_view), geometry.pixel_centres(size))
    sigma = degrade.estimate_blur(hr, view.luma, p_hr, scale, within_lr_px=blur_within_lr_px)
    warped = hr.on_grid(hr.blurred(hr.luma, sigma), H_hr_to_view, size)
    keypoints = inside(features.detect(warped), hr.holds(p_hr, margin_hr_px=scale))
    matches = features.match_nearby(keypoints, view.keypoints, _SEARCH_RADIUS_LR_PX * view.zoom)
    fit = _fit(keypoints, view, matches, H_hr_to_view, _FINE_THRESHOLD_LR_PX)
    if fit.H_hr_to_lr is None:
        return H_hr_to_lr, _stage(iteration, "sift", fit, hr, sigma, stopped="failed")
    central = geometry.central_grid(hr.full_size)
    moved = geometry.project(fit.H_hr_to_lr, central) - geometry.project(H_hr_to_lr, central)
    update = scale * np.linalg.norm(moved, axis=-1)
    stopped: Stopped = "converged" if update.mean() < settled_hr_px else ""
    return fit.H_hr_to_lr, _stage(iteration, "sift", fit, hr, sigma, update, stopped)


def _fit(
    keypoints: Keypoints, view: LrView, matches: features.Matches, H_hr_to_image: Matrix, threshold_lr_px: float
) -> _Fit:
    """The homography on which matches between an image made from HR and a view of LR agree."""
    source, target = keypoints.points[matches.hr], view.keypoints.points[matches.lr]
    consensus = features.agree_on_homography(source, target, keypoints.sizes[matches.hr], threshold_lr_px * view.zoom)
    counts = {
        "n_keypoints_hr": len(keypoints.points),
        "n_keypoints_lr": len(view.keypoints.points),
        "n_matches": len(source),
        "n_inliers": 0 if consensus is None else int(consensus.inliers.sum()),
    }
    if consensus is None or counts["n_inliers"] < MIN_INLIERS:
        return _Fit(None, counts, float("nan"))
    H_hr_to_lr = geometry.compose(geometry.inverse(view.H_lr_to_view), consensus.H, H_hr_to_image)
    return _Fit(H_hr_to_lr, counts, consensus.rmse / view.zoom)


def _stage(
    iteration: int,
    name: StageName,
    fit: _Fit,
    hr: LinearReduced,
    sigma: float,
    update: Array | None = None,
    stopped: Stopped = "",
) -> Stage:
    H = fit.H_hr_to_lr
    return Stage(
        iteration=iteration,
        stage=name,
        H_hr_to_lr=H,
        scale_effective=float("nan") if H is None else geometry.scale_effective(H, geometry.frame_centre(hr.full_size)),
        sigma_blur_hr_px=sigma,
        n_keypoints_hr=fit.counts["n_keypoints_hr"],
        n_keypoints_lr=fit.counts["n_keypoints_lr"],
        n_matches=fit.counts["n_matches"],
        n_inliers=fit.counts["n_inliers"],
        reprojection_rmse_lr_px=fit.rmse_lr_px,
        update_mean_hr_px=float("nan") if update is None else float(update.mean()),
        update_max_hr_px=float("nan") if update is None else float(update.max()),
        stopped=stopped,
    )


def is_plausible(H_hr_to_lr: Matrix, hr_size: Size, scale: int) -> bool:
    """Whether a homography is possible at all: not mirrored, not folded, and roughly of the nominal scale."""
    ratio = geometry.scale_effective(H_hr_to_lr, geometry.frame_centre(hr_size)) / scale
    perspective = geometry.perspective_ratio(H_hr_to_lr, hr_size)
    return 1 / _PLAUSIBLE_SCALE < ratio < _PLAUSIBLE_SCALE and perspective < _PLAUSIBLE_SCALE


def _other_scale(fit: _Fit, hr_size: Size, scale: int) -> str:
    """Advice if most matches agree on a position at a clearly different scale; otherwise empty.

    Scales nearer to the nominal one are not failures. QA judges them by thresholds that are options.
    """
    agree = fit.counts["n_inliers"]
    if fit.H_hr_to_lr is None or agree < fit.counts["n_matches"] / 2:
        return ""
    effective = geometry.scale_effective(fit.H_hr_to_lr, geometry.frame_centre(hr_size))
    near = not np.isfinite(effective) or 1 / _OTHER_SCALE < effective / scale < _OTHER_SCALE
    if near or not is_plausible(fit.H_hr_to_lr, hr_size, max(round(effective), 1)):
        return ""
    return scale_advice(effective)
