"""Covariance of a fit: the sandwich estimator, with the matrix by which the optimum of the fit truly moves.

Pixels are weighted by Tukey's biweight. The matrix of the weighted steps is too large for a covariance, and the error
that it predicts too small, for three reasons:

- The optimum of a robust loss moves further, as if each pixel counted by the slope of its influence. For pure noise
  this is 0.76 in the mean, where the weight is 0.92. It is less where residuals are larger than elsewhere, as they are
  where there is texture (Huber, "Robust Statistics", 1981, section 6.3).
- Demosaicing takes away a part of LR's detail, which depends on where the detail lies on the sensor. The fit subtracts
  its effect as it is for the mapping that was found so far, so a wrong mapping changes the residual by less than the
  slope of the prediction says.
- At scale 1, HR is as noisy as LR, and its noise is no texture. Products of a slope of the prediction and one of the
  observation leave it out, because their noise is independent.
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

__all__ = ["covariance", "curvature", "slopes_of_residual"]

_CLUSTER_LR_PX = 16
"""Side of the blocks within which residuals are assumed to be correlated. Above scale 1, larger blocks give the same
error, less precisely."""
_SAME_SCALE_CLUSTER_LR_PX = 32
"""Side of the blocks that are tried as well at scale 1, where errors along a line of text are correlated over more
pixels. The larger error counts."""
_ENOUGH_BLOCKS = 4
"""Number of the larger blocks for each fitted parameter without which these blocks are not used."""

_ROUNDING = 1e-6
"""Negative curvature up to this is a rounding error."""


def covariance(fit: Fit, observation: LrPart, model: LensModel, matrix: Array) -> Array:
    """Covariance of the geometric parameters, (9, 9), by the cluster-robust sandwich estimator.

    Residuals are correlated within a block of LR and independent between blocks (Liang & Zeger 1986,
    doi:10.1093/biomet/73.1.13).

    Parameters
    ----------
    fit : Fit
        The fit, at its optimum.
    observation : LrPart
        What was fitted.
    model : {"homography", "radial"}
    matrix : (SIZE, SIZE) ndarray
        From :func:`curvature`.
    """
    found = [_sandwich(fit.system.scores(observation, _CLUSTER_LR_PX), matrix, model)]
    if observation.softened_by:
        coarse = fit.system.scores(observation, _SAME_SCALE_CLUSTER_LR_PX)
        if coarse.shape[1] >= _ENOUGH_BLOCKS * len(coarse):
            found.append(_sandwich(coarse, matrix, model))
    return max(found, key=lambda covariance: float(np.trace(covariance)))


def curvature(
    predictor: Predictor, fit: Fit, observation: LrPart, model: LensModel, slopes: NDArray[np.float32] | None
) -> Array:
    """Derivatives, by the parameters, of the sums over pixels that are 0 at the optimum, (SIZE, SIZE).

    Parameters
    ----------
    predictor : Predictor
    fit : Fit
    observation : LrPart
    model : {"homography", "radial"}
    slopes : (N, 2) ndarray or None
        What the slopes of the observation, per LR px, have beyond those of the prediction.

    Returns
    -------
    (SIZE, SIZE) ndarray
        The matrix of the weighted steps if no minimum is left otherwise.
    """
    matrix = _curvature(predictor, fit, observation, slopes)
    return matrix if _is_minimum(matrix, model) else fit.system.matrix


def slopes_of_residual(system: System, observation: LrPart) -> NDArray[np.float32]:
    """Derivatives of the residual by position in LR, per px, (N, 2); 0 next to pixels that are not trusted."""
    residual, trusted = system.residual.reshape(observation.encoded.shape), observation.trusted
    slopes = np.zeros((*residual.shape, 2), np.float32)
    inner = slopes[1:-1, 1:-1]
    inner[..., 0] = (residual[1:-1, 2:] - residual[1:-1, :-2]) / 2
    inner[..., 1] = (residual[2:, 1:-1] - residual[:-2, 1:-1]) / 2
    inner *= (trusted[1:-1, 2:] & trusted[1:-1, :-2] & trusted[2:, 1:-1] & trusted[:-2, 1:-1])[..., None]
    return slopes.reshape(-1, 2)


def _curvature(predictor: Predictor, fit: Fit, observation: LrPart, added_slopes: NDArray[np.float32] | None) -> Array:
    """Second derivatives of the robust loss, (SIZE, SIZE)."""
    system, mapping, unit = fit.system, fit.parameters.mapping, predictor.unit
    counted = _influence_slope(system, observation)
    added = None if added_slopes is None else added_slopes @ _local(mapping) * unit.length
    p_lr = observation.positions.reshape(-1, 2)
    matrix: Array = np.zeros((len(system.jacobian),) * 2)
    for first in range(0, len(p_lr), CHUNK_PIXELS):
        part = slice(first, first + CHUNK_PIXELS)
        predicted = system.jacobian[:, part].astype(np.float64)
        observed = predicted.copy()
        if added is not None:
            at = unit.of_points(mapping.lr_to_hr(p_lr[part]))
            observed[:GEOMETRY] += _geometry_columns(*added[part].T, *at.T)
        matrix += (predicted * counted[part]) @ observed.T
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
    relative: NDArray[np.float32] | float = 1.0
    if observation.softened_by:
        relative = relative_spread(system.residual, observation.encoded.ravel(), trusted)
    square = (system.residual / (TUKEY * system.spread * relative)) ** 2
    slope: Array = np.where(trusted & (square < 1), (1 - square) * (1 - 5 * square) / relative**2, 0.0)
    return slope


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
