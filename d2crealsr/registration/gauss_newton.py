"""Robust Gauss–Newton iteration for the parameters of :mod:`.prediction`.

Lucas & Kanade 1981; Baker & Matthews 2004, doi:10.1023/B:VISI.0000011205.11775.fd; Tukey's biweight on the residuals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from d2crealsr.registration.noise import relative_spread
from d2crealsr.registration.prediction import GEOMETRY, Parameters, Predictor

if TYPE_CHECKING:
    from d2crealsr.imaging.lr_part import LrPart
    from d2crealsr.types import Array

__all__ = ["CHUNK_PIXELS", "TUKEY", "Fit", "LensModel", "System", "gauss_newton", "solved"]

Float32 = NDArray[np.float32]
LensModel: TypeAlias = Literal["homography", "radial"]

_MAX_STEPS = 15
_NEAR_HR_PX = 0.03
"""After a step smaller than this, the Jacobian is kept."""

CHUNK_PIXELS = 16_384
"""Number of pixels that are summed at a time in double precision."""

_DIVERGED = 0.1
"""Share of the HR half-diagonal. After a larger step the fit counts as diverged."""

TUKEY = 4.685
"""Number of robust σ beyond which residuals are ignored (Tukey's biweight with 95 % efficiency)."""

_GAIN_PRIOR = 0.03
"""Relative standard deviation of the prior on the channels' gains, whose mean are the gains fitted channel by channel.
In a picture of few colours, luma alone cannot separate the gains."""

_LENS_PRIOR = 0.01
"""Standard deviation of the prior on the HR lens' k1 about its initial value, which remains if there is no texture."""

_CORRELATION = 16.0
"""Number of LR pixels that count as one independent observation against a prior, because neighbours are correlated."""


class System(NamedTuple):
    """Normal equations ``matrix · step = vector`` with the Jacobian (SIZE, N), the residuals (N,), their weights (N,)
    and their robust σ."""

    matrix: Array
    vector: Array
    jacobian: Float32
    residual: Float32
    weight: Float32
    spread: float

    def predicting(self, luma: Float32, observation: LrPart) -> System:
        """The equations with the residuals and weights of another prediction (N,), but with the old Jacobian."""
        residual = observation.encoded.ravel() - luma
        weight, spread = _weights(residual, observation)
        vector = (self.jacobian @ (weight * residual)).astype(np.float64)
        return System(self.matrix, vector, self.jacobian, residual, weight, spread)

    def scores(self, observation: LrPart, side_lr_px: int) -> Array:
        """Sums of the weighted residuals times the Jacobian over blocks of LR, (SIZE, blocks)."""
        column, row = (observation.positions.reshape(-1, 2) // side_lr_px).astype(int).T
        number = row * (column.max() + 1) + column
        block = (np.cumsum(np.bincount(number) > 0) - 1)[number]  # without the numbers that no pixel has
        score = self.weight * self.residual
        sums: Array = np.stack([np.bincount(block, weights=slope * score) for slope in self.jacobian])
        return sums


class Fit(NamedTuple):
    """The fitted parameters, whether they have converged, and the normal equations near them."""

    parameters: Parameters
    converged: bool
    system: System


def gauss_newton(
    predictor: Predictor,
    observation: LrPart,
    start: Parameters,
    prior: Parameters,
    model: LensModel,
    settled_hr_px: float,
    near: System | None = None,
) -> Fit | None:
    """Iterate to the parameters that best predict an observation; None if the iteration diverges or cannot begin.

    Near the optimum the Jacobian hardly changes, so it is kept. The residuals, which determine the optimum, are always
    computed again. ``near`` are normal equations that hold at the start, if they are known.
    """
    # All of LR or of HR is clipped, or a channel of LR is black throughout, whose prior would have no width.
    if not observation.trusted.any() or not prior.gain.all():
        return None
    outline = observation.positions[[0, 0, -1, -1], [0, -1, 0, -1]]
    now, where = start, start.mapping.lr_to_hr(outline)
    system = near or _normal_equations(predictor, now, observation)
    for _ in range(_MAX_STEPS):
        now = now.moved(_step(system, now, prior, model), predictor.unit, predictor.smallest_blur)
        before, where = where, now.mapping.lr_to_hr(outline)
        moved = float(np.linalg.norm(where - before, axis=1).max())
        if not moved < _DIVERGED * predictor.unit.length:
            return None
        if moved < settled_hr_px:
            return Fit(now, True, system)
        if moved < _NEAR_HR_PX:
            system = system.predicting(predictor.luma(now, observation), observation)
        else:
            system = _normal_equations(predictor, now, observation)
    return Fit(now, False, system)


def _normal_equations(predictor: Predictor, parameters: Parameters, observation: LrPart) -> System:
    prediction = predictor.predict(parameters, observation)
    residual = observation.encoded.ravel() - prediction.luma
    weight, spread = _weights(residual, observation)
    matrix = np.zeros((len(prediction.jacobian),) * 2)
    for first in range(0, len(residual), CHUNK_PIXELS):  # double precision, in chunks of pixels
        part = slice(first, first + CHUNK_PIXELS)
        jacobian = prediction.jacobian[:, part].astype(np.float64)
        matrix += (jacobian * weight[part]) @ jacobian.T
    vector = (prediction.jacobian @ (weight * residual)).astype(np.float64)
    return System(matrix, vector, prediction.jacobian, residual, weight, spread)


def _weights(residual: Float32, observation: LrPart) -> tuple[Float32, float]:
    """Tukey's biweight of the residuals, (N,), which is 0 where LR or HR is clipped, and their robust σ.

    At scale 1, σ depends on the brightness, and pixels have weight in inverse proportion to their variance.
    """
    trusted = observation.trusted.ravel()
    spread = 1.4826 * float(np.median(np.abs(residual[trusted]))) + 1e-9
    if not observation.softened_by:
        weight = np.clip(1 - (residual / np.float32(TUKEY * spread)) ** 2, 0, None) ** 2
        return np.where(trusted, weight, np.float32(0)), spread
    relative = relative_spread(residual, observation.encoded.ravel(), trusted)
    weight = np.clip(1 - (residual / (np.float32(TUKEY * spread) * relative)) ** 2, 0, None) ** 2 / relative**2
    return np.where(trusted, weight, np.float32(0)), spread


def _step(system: System, now: Parameters, prior: Parameters, model: LensModel) -> Array:
    """Solve the normal equations, with a prior on the gains and the lens."""
    matrix, vector = system.matrix.copy(), system.vector.copy()
    held = np.array([GEOMETRY - 1, GEOMETRY + 1, GEOMETRY + 2, GEOMETRY + 3])
    precision = _CORRELATION * system.spread**2 / np.array([_LENS_PRIOR, *(_GAIN_PRIOR * prior.gain)]) ** 2
    matrix[held, held] += precision
    vector[held] += precision * np.array([prior.mapping.k1_hr - now.mapping.k1_hr, *(prior.gain - now.gain)])
    return solved(matrix, vector, model)


def solved(matrix: Array, right: Array, model: LensModel) -> Array:
    """``matrix⁻¹ · right`` for ``right`` of shape (SIZE,) or (SIZE, K). Parameters that are not fitted stay 0.

    The parameters are first scaled to similar magnitudes, to limit rounding errors. NaN if they are not determined.
    """
    free = np.array([model == "radial" or i != GEOMETRY - 1 for i in range(len(matrix))])
    inner = matrix[np.ix_(free, free)]
    size = np.sqrt(np.diag(inner)) + 1e-12
    scaled = inner / np.outer(size, size) + 1e-9 * np.eye(len(size))
    solution: Array = np.zeros_like(right)
    try:
        solution[free] = (np.linalg.solve(scaled, (right[free].T / size).T).T / size).T
    except np.linalg.LinAlgError:  # no pixel has any weight, for example if all are clipped
        solution[free] = np.nan
    return solution
