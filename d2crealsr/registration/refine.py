"""Direct refinement: the mapping under which HR predicts LR's pixels best, by robust Gauss–Newton.

All parameters of :mod:`.prediction` are estimated together (Lucas & Kanade 1981; Baker & Matthews 2004,
doi:10.1023/B:VISI.0000011205.11775.fd) with Tukey's biweight on the residuals. Once that has settled, what the LR
camera's demosaic adds to the prediction is subtracted from the observation and the fit is made again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from d2crealsr.imaging import geometry, photometry
from d2crealsr.registration.demosaic import PHASES, Phase, find_phase, through_mosaic
from d2crealsr.registration.prediction import GEOMETRY, Observation, Parameters, Prediction, Predictor
from d2crealsr.types import Crop

if TYPE_CHECKING:
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array, Image

__all__ = ["LensModel", "Refinement", "refine"]

LensModel: TypeAlias = Literal["homography", "radial"]

_MAX_STEPS = 15
_ENOUGH_PIXELS = 20_000
_ROUGHLY_HR_PX = 0.05
_SETTLED_HR_PX = 0.004
"""The fit comes near the optimum with some of the pixels and settles with all; at the end no corner moves by more."""

_DIVERGED = 0.1
"""A step beyond this share of the HR half-diagonal: the fit has run away."""

_TUKEY = 4.685
"""Residuals beyond this many robust σ are ignored: Tukey's biweight at 95 % efficiency."""

_INSET = 2.5
"""Blur widths that the fit keeps from the HR frame's border, where blurring has nothing to blur with."""

_GAIN_PRIOR = 0.03
"""Relative standard deviation with which the channels' gains are held to those fitted channel by channel: in a picture
of few colours, luma alone cannot tell them apart."""

_LENS_PRIOR = 0.01
"""Standard deviation of the HR lens' k1 about where it begins: without texture the lens stays what it was taken for."""

_CORRELATION = 16.0
"""LR pixels that together weigh as one independent observation against a prior: residuals of neighbours are alike."""

_CLUSTER_LR_PX = 16
"""Side of the blocks whose residuals are taken as correlated when the error is predicted."""

_ERROR_CALIBRATION = 1.8
"""Factor on predicted errors: rms true over rms predicted error of 20 half-size scenes of tuning seeds (1.7 … 1.85 by
kind of card). What remains of correlation beyond the blocks."""


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """A refined mapping.

    Attributes
    ----------
    mapping : CaptureMapping
    sigma_blur_hr_px : float
        The fitted blur; without what the demosaic adds where a phase was found.
    phase : str or None
        Colour filter phase of the LR sensor with which the demosaic was modelled.
    converged : bool
        Whether the last step was below the threshold.
    covariance : (9, 9) ndarray
        Of the geometric parameters, in the HR capture's unit frame.
    """

    mapping: CaptureMapping
    sigma_blur_hr_px: float
    phase: Phase | None
    converged: bool
    covariance: Array

    def standard_error(self, points_hr: Array) -> float:
        """Predicted standard error at positions in the HR capture, (N, 2): root of the mean trace, in HR px."""
        unit = geometry.UnitFrame.of(self.mapping.hr_size)
        moves = _displacements(unit.of_points(points_hr))
        variance = np.einsum("nij,jk,nik->n", moves, self.covariance, moves)
        return _ERROR_CALIBRATION * unit.length * float(np.sqrt(np.mean(variance)))


class _Fit(NamedTuple):
    """Parameters and whether they have settled."""

    parameters: Parameters
    converged: bool


def refine(
    hr: LinearReduced, lr: Image, start: CaptureMapping, *, sigma_hr_px: float, model: LensModel, tone: str
) -> Refinement | None:
    """Refine a mapping that is right to a few LR px over all of LR that HR covers.

    Parameters
    ----------
    hr : LinearReduced
        The HR capture, reduced, in linear light.
    lr : (h, w, 3) ndarray
        The LR capture.
    start : CaptureMapping
        Where to begin.
    sigma_hr_px : float
        Blur to begin with.
    model : {"homography", "radial"}
        Whether the radial distortion of the HR lens is fitted too.
    tone : str
        Tone curve of both captures.

    Returns
    -------
    Refinement or None
        None when the fit diverges or too few pixels are there to fit.
    """
    region = _covered(start, sigma_hr_px)
    if min(region.width, region.height) < _CLUSTER_LR_PX:
        return None
    whole = Observation.of(lr, region, tone)
    some = whole.thinned(_stride(region))
    predictor = Predictor(hr, tone)
    begin = _with_brightness(Parameters(start, sigma_hr_px, np.ones(3), np.zeros(5), 0.0), predictor, some)
    fit = _gauss_newton(predictor, some, begin, begin, model, _ROUGHLY_HR_PX)
    if fit is None:
        return None
    phase = _phase_of(predictor, fit.parameters, whole)
    if phase is not None:
        undone = _without_demosaic(predictor, fit.parameters, whole, phase)
        fit = _gauss_newton(predictor, undone.thinned(_stride(region)), fit.parameters, begin, model, _ROUGHLY_HR_PX)
        if fit is None:
            return None
        whole = _without_demosaic(predictor, fit.parameters, whole, phase)
    fit = _gauss_newton(predictor, whole, fit.parameters, begin, model, _SETTLED_HR_PX)
    if fit is None:
        return None
    return Refinement(
        mapping=fit.parameters.mapping,
        sigma_blur_hr_px=fit.parameters.sigma,
        phase=phase,
        converged=fit.converged,
        covariance=_covariance(predictor.predict(fit.parameters, whole), whole, model),
    )


def _stride(region: Crop) -> int:
    """Odd step that leaves enough of a region's pixels to come close to the optimum with."""
    return 1 + 2 * int(np.sqrt(region.width * region.height / _ENOUGH_PIXELS) // 2)


def _covered(mapping: CaptureMapping, sigma_hr_px: float) -> Crop:
    """The upright rectangle of LR inside what HR covers, less a margin for the blur."""
    outline = np.sort(mapping.hr_to_lr(geometry.corners(mapping.hr_size, inset=_INSET * sigma_hr_px)), axis=0)
    left, top = np.ceil(np.maximum(outline[1], 0)).astype(int)
    right, bottom = np.floor(np.minimum(outline[2], np.array(mapping.lr_size) - 1)).astype(int) + 1
    return Crop(int(left), int(top), int(right - left), int(bottom - top))


def _with_brightness(parameters: Parameters, predictor: Predictor, observation: Observation) -> Parameters:
    """The parameters with gains fitted channel by channel."""
    light = photometry.fit_brightness(predictor.unlit(parameters, observation), observation.rgb, observation.trusted)
    return replace(parameters, gain=np.array(light.gain))


def _gauss_newton(
    predictor: Predictor,
    observation: Observation,
    start: Parameters,
    prior: Parameters,
    model: LensModel,
    settled_hr_px: float,
) -> _Fit | None:
    """Iterate to the parameters that predict an observation best; None when they run away."""
    outline = observation.positions[[0, 0, -1, -1], [0, -1, 0, -1]]
    now, where = start, start.mapping.lr_to_hr(outline)
    for _ in range(_MAX_STEPS):
        system = _normal_equations(predictor.predict(now, observation), observation)
        now = now.moved(_step(system, now, prior, model), predictor.unit, predictor.smallest_blur)
        before, where = where, now.mapping.lr_to_hr(outline)
        moved = float(np.linalg.norm(where - before, axis=1).max())
        if not moved < _DIVERGED * predictor.unit.length:
            return None
        if moved < settled_hr_px:
            return _Fit(now, True)
    return _Fit(now, False)


class _System(NamedTuple):
    """Normal equations ``matrix · step = vector``, and what they come from: weighted Jacobian, residuals, robust σ."""

    matrix: Array
    vector: Array
    weighted: Array
    residual: Array
    spread: float


def _normal_equations(prediction: Prediction, observation: Observation) -> _System:
    residual, trusted = observation.luma.ravel() - prediction.luma, observation.trusted.ravel()
    spread = 1.4826 * float(np.median(np.abs(residual[trusted]))) + 1e-9
    weight = np.where(trusted, np.clip(1 - (residual / (_TUKEY * spread)) ** 2, 0, None) ** 2, 0)
    weighted = prediction.jacobian * weight[:, None]
    return _System(weighted.T @ prediction.jacobian, weighted.T @ residual, weighted, residual, spread)


def _step(system: _System, now: Parameters, prior: Parameters, model: LensModel) -> Array:
    """Solve the normal equations, with gains and lens held to the prior's."""
    matrix, vector = system.matrix.copy(), system.vector.copy()
    held = np.array([GEOMETRY - 1, GEOMETRY + 1, GEOMETRY + 2, GEOMETRY + 3])
    precision = _CORRELATION * system.spread**2 / np.array([_LENS_PRIOR, *(_GAIN_PRIOR * prior.gain)]) ** 2
    matrix[held, held] += precision
    vector[held] += precision * np.array([prior.mapping.k1_hr - now.mapping.k1_hr, *(prior.gain - now.gain)])
    return _solved(matrix, vector, model)


def _solved(matrix: Array, right: Array, model: LensModel) -> Array:
    """``matrix⁻¹ · right``, right being (SIZE,) or (SIZE, K); what is not fitted is left out and stays 0.

    Parameters are brought to one size first, so that none drowns in rounding.
    """
    free = np.array([model == "radial" or i != GEOMETRY - 1 for i in range(len(matrix))])
    inner = matrix[np.ix_(free, free)]
    size = np.sqrt(np.diag(inner)) + 1e-12
    scaled = inner / np.outer(size, size) + 1e-9 * np.eye(len(size))
    solution: Array = np.zeros_like(right)
    solution[free] = (np.linalg.solve(scaled, (right[free].T / size).T).T / size).T
    return solution


def _phase_of(predictor: Predictor, parameters: Parameters, observation: Observation) -> Phase | None:
    """The colour filter phase under which the demosaic explains most of what the prediction leaves."""
    linear, trusted = predictor.linear(parameters, observation), observation.trusted
    left = (observation.luma - predictor.encoded_luma(linear))[trusted]
    added = {phase: _added_by_demosaic(predictor, linear, observation.region, phase)[trusted] for phase in PHASES}
    return find_phase(added, left)


def _without_demosaic(
    predictor: Predictor, parameters: Parameters, observation: Observation, phase: Phase
) -> Observation:
    """The observation less what the demosaic adds to its prediction."""
    linear = predictor.linear(parameters, observation)
    return replace(
        observation, luma=observation.luma - _added_by_demosaic(predictor, linear, observation.region, phase)
    )


def _added_by_demosaic(predictor: Predictor, linear: NDArray[np.float32], region: Crop, phase: Phase) -> Array:
    """What the demosaic adds to predicted luma, (h, w)."""
    seen = through_mosaic(linear, phase, (region.x, region.y))
    return predictor.encoded_luma(seen) - predictor.encoded_luma(linear)


def _covariance(prediction: Prediction, observation: Observation, model: LensModel) -> Array:
    """Covariance of the geometric parameters, (9, 9), by the cluster-robust sandwich.

    Residuals are alike within a block and unlike between blocks (Liang & Zeger 1986, doi:10.1093/biomet/73.1.13); what
    the textbook formula takes for independent is measured instead.
    """
    system = _normal_equations(prediction, observation)
    column, row = (observation.positions.reshape(-1, 2) // _CLUSTER_LR_PX).astype(int).T
    cluster = np.unique(row * (column.max() + 1) + column, return_inverse=True)[1]
    scores = np.zeros((cluster.max() + 1, len(system.matrix)))
    np.add.at(scores, cluster, system.weighted * system.residual[:, None])
    spread = _solved(system.matrix, scores.T, model)
    covariance: Array = (spread @ spread.T)[:GEOMETRY, :GEOMETRY]
    return covariance


def _displacements(points: Array) -> Array:
    """How the geometric parameters move unit-frame points (N, 2): (N, 2, 9)."""
    x, y = points.T
    nought, one, r2 = np.zeros_like(x), np.ones_like(x), x**2 + y**2
    dx = np.stack([x, y, one, nought, nought, nought, -x * x, -x * y, -x * r2], axis=1)
    dy = np.stack([nought, nought, nought, x, y, one, -x * y, -y * y, -y * r2], axis=1)
    return np.stack([dx, dy], axis=1)
