"""Direct refinement: the mapping under which HR best predicts LR's pixels, by robust Gauss–Newton.

All parameters of :mod:`.prediction` are estimated together. After convergence, the change that the LR camera's
demosaicing causes in the prediction is subtracted from the observation, and the fit is repeated.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from d2crealsr.imaging import geometry, photometry
from d2crealsr.imaging.lr_part import LrPart
from d2crealsr.registration.covariance import covariance, curvature, slopes_of_residual
from d2crealsr.registration.demosaic import PHASES, Phase, find_phase, through_mosaic
from d2crealsr.registration.gauss_newton import Fit, LensModel, gauss_newton
from d2crealsr.registration.prediction import FIELD, Parameters, Predictor
from d2crealsr.types import Crop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array, Image

__all__ = ["LensModel", "Refinement", "covered", "less_demosaic", "refine", "with_brightness"]

Float32 = NDArray[np.float32]

_ENOUGH_PIXELS = 20_000
_ROUGHLY_HR_PX = 0.05
_SETTLED_HR_PX = 0.004
"""The fit starts with some of the pixels and converges with all of them. It ends when no corner moves by more than
this."""

_MIN_SIDE_LR_PX = 16
"""Smallest side of the part of LR from which a mapping is fitted."""

_PHASE_SIDE = 256
"""Side of the part of LR in which the phase of the colour filter is recognised."""

_CLEARLY_WORSE = 1.1
"""Ratio of the residuals' robust σ, with demosaicing accounted for and without, from which the recognised phase is
dropped. What a rough fit leaves of black squares or text can be similar to demosaicing: the ratio is then 1.25 to 1.4,
and the error doubles. For half-size scenes with a filter it is .84 to 1.05, but for three of 45 it is 1.1 to 1.3, and
the error of these is smaller without the phase."""

_INNER_SHARE = 0.5
"""Share of the HR frame that the upright rectangle inside it must hold, if the mapping is to be fitted in it."""

_INSET = 2.5
"""Distance of the fit from the border of the HR frame, in widths of the blur, which needs pixels on all sides."""

_SOFTENING_LR_PX = 0.7
"""Blur of LR, in px, before it is compared at scale 1. The blur of HR, which is fitted, follows. At scale 1 the colour
filter of HR has the pitch of LR's, and the error of its demosaicing is fixed to HR's pixels: it pulls the estimate
towards the nearest shift by whole pixels, by up to .03 px. That error is fine detail, which the blur removes."""

_DEMOSAIC_ROUNDS = 2
"""Number of times that demosaicing is predicted again and the fit is repeated with all pixels."""

_SHIFT_LR_PX = 0.25
"""Shift of the prediction by which the slopes of demosaicing are measured: a part of the finest detail in LR."""

_SAME_SCALE_CALIBRATION = 1.1
"""Factor on predicted errors at scale 1. The ratio for 40 tuning seeds is .94 for images moved by arithmetic and 1.06
for simulated cameras (1.0 … 1.5 by kind of card), where demosaicing adds errors that noise does not explain."""


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """A refined mapping.

    Attributes
    ----------
    mapping : CaptureMapping
    sigma_blur_hr_px : float
        The fitted blur, without that of demosaicing if a phase was found.
    phase : str or None
        Colour filter phase of the LR sensor for which demosaicing was modelled.
    converged : bool
        Whether the last step was below the threshold.
    covariance : (9, 9) ndarray
        Covariance of the geometric parameters, in the HR capture's unit frame.
    calibration : float
        Factor on the standard errors that the covariance implies.
    """

    mapping: CaptureMapping
    sigma_blur_hr_px: float
    phase: Phase | None
    converged: bool
    covariance: Array
    calibration: float = 1.0

    def standard_error(self, points_hr: Array) -> float:
        """Predicted standard error at positions in the HR capture, (N, 2): root of the mean trace, in HR px."""
        unit = geometry.UnitFrame.of(self.mapping.hr_size)
        moves = _displacements(unit.of_points(points_hr))
        variance = np.einsum("nij,jk,nik->n", moves, self.covariance, moves)
        return self.calibration * unit.length * float(np.sqrt(np.mean(variance)))


def refine(
    hr: LinearReduced,
    lr: Image,
    start: CaptureMapping,
    *,
    sigma_hr_px: float,
    model: LensModel,
    tone: str,
    phase: Phase | None = None,
) -> Refinement | None:
    """Refine a mapping with errors of a few LR px, using all of LR that HR covers.

    Parameters
    ----------
    hr : LinearReduced
        The HR capture, reduced, in linear light.
    lr : (h, w, 3) ndarray
        The LR capture.
    start : CaptureMapping
        Initial mapping.
    sigma_hr_px : float
        Initial blur.
    model : {"homography", "radial"}
        Whether the radial distortion of the HR lens is fitted too.
    tone : str
        Tone curve of both captures.
    phase : Phase, optional
        Colour filter phase of the LR sensor, if it is known; otherwise all are tried. Either way the change by
        demosaicing is subtracted only if it explains the residual of the prediction.

    Returns
    -------
    Refinement or None
        None if the fit diverges or there are too few pixels.
    """
    whole, softened_by = covered(hr, lr, start, sigma_hr_px, tone), 0.0
    if whole is None:
        return None
    if hr.kernel == "spline":
        whole, softened_by = whole.softened(_SOFTENING_LR_PX), _SOFTENING_LR_PX
    sigma = float(np.hypot(sigma_hr_px, softened_by))
    whole = whole.compared_with(hr, start, sigma)
    some = whole.thinned(_stride(whole.crop))
    predictor = Predictor(hr, tone)
    begin = with_brightness(Parameters(start, sigma, np.ones(3), np.zeros(FIELD), 0.0), predictor, some)
    fitted = functools.partial(gauss_newton, predictor, prior=begin, model=model)
    fit = fitted(some, begin, settled_hr_px=_ROUGHLY_HR_PX)
    if fit is None:
        return None
    whole = whole.compared_with(hr, fit.parameters.mapping, fit.parameters.sigma)
    phases = PHASES if phase is None else (phase,)
    phase, undone = (None, whole) if softened_by else _without_demosaic(predictor, fit.parameters, whole, phases)
    if phase is not None:
        without = fitted(undone.thinned(_stride(whole.crop)), fit.parameters, settled_hr_px=_ROUGHLY_HR_PX)
        if without is None:
            return None
        if without.system.spread < _CLEARLY_WORSE * fit.system.spread:
            fit, undone = without, less_demosaic(predictor, predictor.linear(without.parameters, whole), whole, phase)
        else:  # what the rough fit left was like demosaicing only by chance
            phase, undone = None, whole
    fit = fitted(undone, fit.parameters, settled_hr_px=_SETTLED_HR_PX if phase is None else _ROUGHLY_HR_PX)
    if fit is None:
        return None
    if phase is not None:
        fit, undone = _near_optimum(fitted, predictor, fit, whole, phase)
    matrix = curvature(predictor, fit, undone, model, _added_slopes(predictor, fit, whole, phase))
    return Refinement(
        mapping=fit.parameters.mapping,
        sigma_blur_hr_px=float(np.sqrt(max(fit.parameters.sigma**2 - softened_by**2, 0))),
        phase=phase,
        converged=fit.converged,
        covariance=covariance(fit, undone, model, matrix),
        calibration=_SAME_SCALE_CALIBRATION if softened_by else 1.0,
    )


def _stride(region: Crop) -> int:
    """Odd step at which enough pixels of a region remain to approach the optimum."""
    return 1 + 2 * int(np.sqrt(region.width * region.height / _ENOUGH_PIXELS) // 2)


def covered(hr: LinearReduced, lr: Image, mapping: CaptureMapping, sigma_hr_px: float, tone: str) -> LrPart | None:
    """The part of LR that HR covers, less a margin for a blur of HR; None if it is too small.

    It is the upright rectangle inside the HR frame as LR sees it. In a turned frame that rectangle is small, and for a
    frame of 3:2 it vanishes at 34° and 56°. The part is then the rectangle around the frame, of which only the pixels
    inside the frame are trusted.
    """
    margin_hr_px = _INSET * sigma_hr_px
    outline = mapping.hr_to_lr(geometry.corners(mapping.hr_size, inset=margin_hr_px))
    ordered = np.sort(outline, axis=0)
    is_turned = bool(np.prod(ordered[2] - ordered[1]) < _INNER_SHARE * _area(outline))
    low, high = (ordered[0], ordered[3]) if is_turned else (ordered[1], ordered[2])
    left, top = np.ceil(np.maximum(low, 0)).astype(int)
    right, bottom = np.floor(np.minimum(high, np.array(mapping.lr_size) - 1)).astype(int) + 1
    region = Crop(int(left), int(top), int(right - left), int(bottom - top))
    if min(region.width, region.height) < _MIN_SIDE_LR_PX:
        return None
    part = LrPart.of(lr, region, tone)
    if not is_turned:
        return part
    inside = hr.holds(mapping.lr_to_hr(part.positions), margin_hr_px=margin_hr_px)
    return replace(part, valid=part.valid & inside)


def _area(outline: Array) -> float:
    """Area of a quadrilateral with corners (4, 2) in order."""
    first, second = outline[2] - outline[0], outline[3] - outline[1]
    return abs(float(first[0] * second[1] - first[1] * second[0])) / 2


def with_brightness(parameters: Parameters, predictor: Predictor, observation: LrPart) -> Parameters:
    """The parameters, with gains fitted to each channel."""
    light = photometry.fit_brightness(predictor.unlit(parameters, observation), observation.rgb, observation.trusted)
    return replace(parameters, gain=np.array(light.gain))


def _without_demosaic(
    predictor: Predictor, parameters: Parameters, observation: LrPart, phases: Iterable[Phase]
) -> tuple[Phase | None, LrPart]:
    """The observation less the change that demosaicing causes in its prediction. It is unchanged if no colour filter
    phase explains the residual of the prediction."""
    linear = predictor.linear(parameters, observation)
    phase = _phase_of(predictor, linear, predictor.encoded_luma(linear), observation, phases)
    return phase, observation if phase is None else less_demosaic(predictor, linear, observation, phase)


def less_demosaic(predictor: Predictor, linear: Float32, observation: LrPart, phase: Phase) -> LrPart:
    """The observation less the change that demosaicing of this phase causes in its prediction, linear RGB."""
    added = _mosaiced(predictor, linear, observation, phase) - predictor.encoded_luma(linear)
    return replace(observation, encoded=observation.encoded - added)


def _phase_of(
    predictor: Predictor, linear: Float32, luma: Float32, observation: LrPart, phases: Iterable[Phase]
) -> Phase | None:
    """The phase whose demosaicing best explains the residual of the prediction in the middle part."""
    height, width = luma.shape
    top, left = max(0, height - _PHASE_SIDE) // 2, max(0, width - _PHASE_SIDE) // 2
    middle = np.s_[top : top + _PHASE_SIDE, left : left + _PHASE_SIDE]
    here = replace(observation, crop=Crop(observation.crop.x + left, observation.crop.y + top, 0, 0))
    trusted, unexplained = observation.trusted[middle], (observation.encoded - luma)[middle]
    if not trusted.any():
        return None
    added = {phase: _mosaiced(predictor, linear[middle], here, phase) - luma[middle] for phase in phases}
    return find_phase({phase: change[trusted] for phase, change in added.items()}, unexplained[trusted])


def _mosaiced(predictor: Predictor, linear: Float32, observation: LrPart, phase: Phase) -> Float32:
    """Encoded luma of predicted linear RGB after the camera's demosaicing, (h, w)."""
    return predictor.encoded_luma(through_mosaic(linear, phase, (observation.crop.x, observation.crop.y)))


def _near_optimum(
    fitted: Callable[..., Fit | None], predictor: Predictor, fit: Fit, whole: LrPart, phase: Phase
) -> tuple[Fit, LrPart]:
    """The fit after demosaicing was predicted again near it, and what was fitted."""
    for _ in range(_DEMOSAIC_ROUNDS):
        linear = predictor.linear(fit.parameters, whole)
        undone = less_demosaic(predictor, linear, whole, phase)
        near = fit.system.predicting(predictor.encoded_luma(linear).ravel(), undone)
        fit = fitted(undone, fit.parameters, settled_hr_px=_SETTLED_HR_PX, near=near) or fit
    return fit, undone


def _added_slopes(predictor: Predictor, fit: Fit, whole: LrPart, phase: Phase | None) -> Float32 | None:
    """What the slopes of the observation have beyond those of the prediction, per LR px, (N, 2)."""
    if whole.softened_by:
        return slopes_of_residual(fit.system, whole)
    if phase is None:
        return None

    def added(shift: Array) -> Float32:
        """What demosaicing adds if the scene is shifted on the sensor, (N,)."""
        linear = predictor.linear(fit.parameters, replace(whole, positions=whole.positions + shift))
        return (_mosaiced(predictor, linear, whole, phase) - predictor.encoded_luma(linear)).ravel()

    differences = [added(shift) - added(-shift) for shift in _SHIFT_LR_PX * np.eye(2)]
    return np.asarray(np.stack(differences, axis=1) / (2 * _SHIFT_LR_PX), np.float32)


def _displacements(points: Array) -> Array:
    """Movement of points (N, 2) in the unit frame by each geometric parameter, (N, 2, 9)."""
    by_lens = -points * np.sum(points**2, axis=1, keepdims=True)
    return np.concatenate([geometry.homography_terms(*points.T, *points.T), by_lens[..., None]], axis=2)
