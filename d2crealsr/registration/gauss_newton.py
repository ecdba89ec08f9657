"""Robust Gauss–Newton on the parameters of :mod:`.prediction`, and how sure its result is.

Lucas & Kanade 1981; Baker & Matthews 2004, doi:10.1023/B:VISI.0000011205.11775.fd; Tukey's biweight on the residuals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from d2crealsr.registration.prediction import GEOMETRY, Observation, Parameters, Predictor

if TYPE_CHECKING:
    from d2crealsr.types import Array

__all__ = ["Fit", "LensModel", "covariance", "gauss_newton"]

Float32 = NDArray[np.float32]
LensModel: TypeAlias = Literal["homography", "radial"]

_MAX_STEPS = 15
_NEAR_HR_PX = 0.03
"""After a smaller step than this the Jacobian is kept."""

_CHUNK_PIXELS = 16_384
_DIVERGED = 0.1
"""A step beyond this share of the HR half-diagonal: the fit has run away."""

_TUKEY = 4.685
"""Residuals beyond this many robust σ are ignored: Tukey's biweight at 95 % efficiency."""

_GAIN_PRIOR = 0.03
"""Relative standard deviation with which the channels' gains are held to those fitted channel by channel: in a picture
of few colours, luma alone cannot tell them apart."""

_LENS_PRIOR = 0.01
"""Standard deviation of the HR lens' k1 about where it begins: without texture the lens stays what it was taken for."""

_CORRELATION = 16.0
"""LR pixels that together weigh as one independent observation against a prior: residuals of neighbours are alike."""

_CLUSTER_LR_PX = 16
"""Side of the blocks whose residuals are taken as correlated when the error is predicted."""


class System(NamedTuple):
    """Normal equations ``matrix · step = vector`` and what they come from: Jacobian (SIZE, N), residuals (N,), their
    weights (N,) and robust σ."""

    matrix: Array
    vector: Array
    jacobian: Float32
    residual: Float32
    weight: Float32
    spread: float


class Fit(NamedTuple):
    """Parameters, whether they have settled, and the normal equations next to them."""

    parameters: Parameters
    converged: bool
    system: System


def gauss_newton(
    predictor: Predictor,
    observation: Observation,
    start: Parameters,
    prior: Parameters,
    model: LensModel,
    settled_hr_px: float,
) -> Fit | None:
    """Iterate to the parameters that predict an observation best; None when they run away.

    Near the optimum the Jacobian hardly changes and is kept; the residuals, which say where the optimum is, are not.
    """
    if not observation.trusted.any():  # black and white alone: nothing in LR is within its range
        return None
    outline = observation.positions[[0, 0, -1, -1], [0, -1, 0, -1]]
    now, where = start, start.mapping.lr_to_hr(outline)
    system = _normal_equations(predictor, now, observation)
    for _ in range(_MAX_STEPS):
        now = now.moved(_step(system, now, prior, model), predictor.unit, predictor.smallest_blur)
        before, where = where, now.mapping.lr_to_hr(outline)
        moved = float(np.linalg.norm(where - before, axis=1).max())
        if not moved < _DIVERGED * predictor.unit.length:
            return None
        if moved < settled_hr_px:
            return Fit(now, True, system)
        if moved < _NEAR_HR_PX:
            system = _looked_at_again(system, predictor, now, observation)
        else:
            system = _normal_equations(predictor, now, observation)
    return Fit(now, False, system)


def _normal_equations(predictor: Predictor, parameters: Parameters, observation: Observation) -> System:
    prediction = predictor.predict(parameters, observation)
    residual = observation.luma.ravel() - prediction.luma
    weight, spread = _weights(residual, observation)
    matrix = np.zeros((len(prediction.jacobian),) * 2)
    for first in range(0, len(residual), _CHUNK_PIXELS):  # in double precision, a few pixels at a time
        part = slice(first, first + _CHUNK_PIXELS)
        jacobian = prediction.jacobian[:, part].astype(np.float64)
        matrix += (jacobian * weight[part]) @ jacobian.T
    vector = (prediction.jacobian @ (weight * residual)).astype(np.float64)
    return System(matrix, vector, prediction.jacobian, residual, weight, spread)


def _looked_at_again(system: System, predictor: Predictor, parameters: Parameters, observation: Observation) -> System:
    """The normal equations with residuals and weights of new parameters, and the old Jacobian."""
    residual = observation.luma.ravel() - predictor.luma(parameters, observation)
    weight, spread = _weights(residual, observation)
    vector = (system.jacobian @ (weight * residual)).astype(np.float64)
    return System(system.matrix, vector, system.jacobian, residual, weight, spread)


def _weights(residual: Float32, observation: Observation) -> tuple[Float32, float]:
    """Tukey's biweight of residuals, (N,), 0 where LR is not to be trusted, and their robust σ."""
    trusted = observation.trusted.ravel()
    spread = 1.4826 * float(np.median(np.abs(residual[trusted]))) + 1e-9
    weight = np.clip(1 - (residual / np.float32(_TUKEY * spread)) ** 2, 0, None) ** 2
    return np.where(trusted, weight, np.float32(0)), spread


def _step(system: System, now: Parameters, prior: Parameters, model: LensModel) -> Array:
    """Solve the normal equations, with gains and lens held to the prior's."""
    matrix, vector = system.matrix.copy(), system.vector.copy()
    held = np.array([GEOMETRY - 1, GEOMETRY + 1, GEOMETRY + 2, GEOMETRY + 3])
    precision = _CORRELATION * system.spread**2 / np.array([_LENS_PRIOR, *(_GAIN_PRIOR * prior.gain)]) ** 2
    matrix[held, held] += precision
    vector[held] += precision * np.array([prior.mapping.k1_hr - now.mapping.k1_hr, *(prior.gain - now.gain)])
    return _solved(matrix, vector, model)


def _solved(matrix: Array, right: Array, model: LensModel) -> Array:
    """``matrix⁻¹ · right``, right being (SIZE,) or (SIZE, K); what is not fitted is left out and stays 0.

    Parameters are brought to one size first, so that none drowns in rounding. NaN where nothing decides them.
    """
    free = np.array([model == "radial" or i != GEOMETRY - 1 for i in range(len(matrix))])
    inner = matrix[np.ix_(free, free)]
    size = np.sqrt(np.diag(inner)) + 1e-12
    scaled = inner / np.outer(size, size) + 1e-9 * np.eye(len(size))
    solution: Array = np.zeros_like(right)
    try:
        solution[free] = (np.linalg.solve(scaled, (right[free].T / size).T).T / size).T
    except np.linalg.LinAlgError:  # no pixel has a say, as in a picture of black and white alone
        solution[free] = np.nan
    return solution


def covariance(system: System, observation: Observation, model: LensModel) -> Array:
    """Covariance of the geometric parameters, (9, 9), by the cluster-robust sandwich.

    Residuals are alike within a block and unlike between blocks (Liang & Zeger 1986, doi:10.1093/biomet/73.1.13); what
    the textbook formula takes for independent is measured instead.
    """
    column, row = (observation.positions.reshape(-1, 2) // _CLUSTER_LR_PX).astype(int).T
    cluster = np.unique(row * (column.max() + 1) + column, return_inverse=True)[1]
    score = system.weight * system.residual
    scores: Array = np.stack([np.bincount(cluster, weights=slope * score) for slope in system.jacobian])
    spread = _solved(system.matrix, scores, model)
    of_geometry: Array = (spread @ spread.T)[:GEOMETRY, :GEOMETRY]
    return of_geometry
