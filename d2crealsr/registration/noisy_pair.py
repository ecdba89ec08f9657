"""Covariance of a fit at scale 1, where HR is as noisy as LR.

The matrix of :func:`.gauss_newton.covariance` is too large there, and the error that it predicts too small, for two
reasons. It takes HR's noise for texture, and on smooth cards most of the slope of HR may be noise. And it is the matrix
of weighted steps. The optimum of a robust loss moves further, as if each pixel counted by the slope of its influence,
which for pure noise is 0.76 in the mean where the weight is 0.92 (Huber, "Robust Statistics", 1981, section 6.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from d2crealsr.imaging import geometry
from d2crealsr.registration.gauss_newton import CHUNK_PIXELS, TUKEY, solved
from d2crealsr.registration.noise import relative_spread
from d2crealsr.registration.prediction import GEOMETRY

if TYPE_CHECKING:
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.imaging.lr_part import LrPart
    from d2crealsr.registration.gauss_newton import Fit, LensModel, System
    from d2crealsr.registration.prediction import Predictor
    from d2crealsr.types import Array

__all__ = ["noisy_covariance"]

_CLUSTERS_LR_PX = (16, 32)
"""Sides of the blocks within which residuals are assumed to be correlated. Noise is correlated over a few pixels, and
errors along a line of text over more. The larger error counts."""
_ENOUGH_BLOCKS = 4
"""Number of the larger blocks for each fitted parameter without which these blocks are not used."""

_ROUNDING = 1e-6
"""Negative curvature up to this is a rounding error."""


def noisy_covariance(predictor: Predictor, fit: Fit, observation: LrPart, model: LensModel) -> Array:
    """Covariance of the geometric parameters, (9, 9), by the sandwich estimator of a robust fit to noisy captures.

    The matrix has products of a slope of the prediction and one of the observation. Both captures show the same
    texture, and their noise is independent. If they show nothing in common, it is that of the weighted steps.
    """
    matrix = _curvature(predictor, fit, observation)
    if not _is_minimum(matrix, model):
        matrix = fit.system.matrix
    fine, coarse = (fit.system.scores(observation, side) for side in _CLUSTERS_LR_PX)
    enough = coarse.shape[1] >= _ENOUGH_BLOCKS * len(coarse)
    found = [_sandwich(scores, matrix, model) for scores in ((fine, coarse) if enough else (fine,))]
    return max(found, key=lambda covariance: float(np.trace(covariance)))


def _curvature(predictor: Predictor, fit: Fit, observation: LrPart) -> Array:
    """Second derivatives of the robust loss, (SIZE, SIZE)."""
    system = fit.system
    mapping, unit = fit.parameters.mapping, predictor.unit
    slopes = _slopes_of_residual(system, observation) @ _local(mapping) * unit.length
    curvature = _influence_slope(system, observation)
    p_hr = mapping.lr_to_hr(observation.positions).reshape(-1, 2)
    matrix: Array = np.zeros((len(system.jacobian),) * 2)
    for first in range(0, len(p_hr), CHUNK_PIXELS):
        part = slice(first, first + CHUNK_PIXELS)
        predicted = system.jacobian[:, part].astype(np.float64)
        observed = predicted.copy()
        observed[:GEOMETRY] += _geometry_columns(*slopes[part].T, *unit.of_points(p_hr[part]).T)
        matrix += (predicted * curvature[part]) @ observed.T
    return (matrix + matrix.T) / 2


def _is_minimum(matrix: Array, model: LensModel) -> bool:
    """Whether second derivatives (SIZE, SIZE) are those of a minimum with regard to the geometric parameters."""
    size = np.diag(matrix)[:GEOMETRY]
    if not (np.diag(matrix) > 0).all():
        return False
    inverse = solved(matrix, np.eye(len(matrix)), model)[:GEOMETRY, :GEOMETRY] * np.sqrt(np.outer(size, size))
    return bool(np.isfinite(inverse).all() and np.linalg.eigvalsh(inverse)[0] > -_ROUNDING)


def _influence_slope(system: System, observation: LrPart) -> Array:
    """Derivative of each residual's influence on the fit, by the residual, (N,); negative for large ones."""
    trusted = observation.trusted.ravel()
    relative = relative_spread(system.residual, observation.encoded.ravel(), trusted)
    square = (system.residual / (TUKEY * system.spread * relative)) ** 2
    slope: Array = np.where(trusted & (square < 1), (1 - square) * (1 - 5 * square) / relative**2, 0.0)
    return slope


def _slopes_of_residual(system: System, observation: LrPart) -> NDArray[np.float32]:
    """Derivatives of the residual by position in LR, per px, (N, 2); 0 next to pixels that are not trusted."""
    residual, trusted = system.residual.reshape(observation.encoded.shape), observation.trusted
    slopes = np.zeros((*residual.shape, 2), np.float32)
    inner = slopes[1:-1, 1:-1]
    inner[..., 0] = (residual[1:-1, 2:] - residual[1:-1, :-2]) / 2
    inner[..., 1] = (residual[2:, 1:-1] - residual[:-2, 1:-1]) / 2
    inner *= (trusted[1:-1, 2:] & trusted[1:-1, :-2] & trusted[2:, 1:-1] & trusted[:-2, 1:-1])[..., None]
    return slopes.reshape(-1, 2)


def _local(mapping: CaptureMapping) -> Array:
    """Derivatives of the position in LR by that in HR, at the centre of HR, (2, 2)."""
    centre = geometry.frame_centre(mapping.hr_size)
    moved = [mapping.hr_to_lr(centre + half) - mapping.hr_to_lr(centre - half) for half in np.eye(2) / 2]
    return np.stack(moved, axis=1)


def _geometry_columns(by_x: Array, by_y: Array, x: Array, y: Array) -> Array:
    """Derivatives by the geometric parameters at points in the unit frame, (9, N), from those by position."""
    radial = by_x * x + by_y * y
    return np.stack(
        [by_x * x, by_x * y, by_x, by_y * x, by_y * y, by_y, -x * radial, -y * radial, -radial * (x**2 + y**2)]
    )


def _sandwich(scores: Array, matrix: Array, model: LensModel) -> Array:
    """Covariance of the geometric parameters from the scores of independent blocks, (SIZE, blocks).

    With few blocks the residuals are too small, because the parameters adapt to them; the factor makes up for it.
    """
    fitted, blocks = scores.shape
    moved = solved(matrix, scores, model)
    of_geometry: Array = (moved @ moved.T)[:GEOMETRY, :GEOMETRY]
    of_geometry *= blocks / max(blocks - fitted, blocks / 2)
    return of_geometry
