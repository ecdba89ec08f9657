"""Distortion of the LR lens, which is visible if the card lies off the middle of the LR frame.

In the middle, the distortion of either lens has the same effect, and the fitted HR lens accounts for both. Off the
middle, the LR lens bends the card in a way that neither a homography nor the HR lens can follow. The remaining
distortion is measured in the residual field.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from d2crealsr.imaging import geometry, photometry
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.imaging.placement import Placement
    from d2crealsr.types import Array, Crop, ResidualField

__all__ = ["LrDistortion", "can_show", "measure_lr_distortion"]

_SIGNIFICANT = 5.0
"""Number of standard errors from which on a distortion is accepted as real."""
_NEGLIGIBLE_HR_PX = 0.05
_LARGEST = 0.15
_STRONG = 0.05
"""k1 of a strongly distorting lens."""
_STEP = 1e-3
_TERMS = 9
_SPARE = 20
"""Number of terms for a homography and the HR lens, and the degrees of freedom that must remain after fitting them."""


class LrDistortion(NamedTuple):
    """Radial distortion of the LR lens that a mapping does not include.

    Attributes
    ----------
    k1 : float
        To be added to the mapping's ``k1_lr``; 0 if it may be noise.
    hr_px : float
        Displacement by it that a homography and the HR lens cannot follow, root mean square over the crop, in HR px.
    error_hr_px : float
        Displacement by one standard error of ``k1``, root mean square over the crop, in HR px, after fitting homography
        and HR lens over the whole HR frame; nan if the field does not determine it.
    """

    k1: float
    hr_px: float
    error_hr_px: float


def measure_lr_distortion(field: ResidualField, placement: Placement) -> LrDistortion:
    """Measure the distortion of the LR lens in a residual field, by robust least squares.

    Parameters
    ----------
    field : ResidualField
        Residual field of ``placement.mapping``.
    placement : Placement
    """
    used = field.weights > 0
    points, root = field.points_lr[used], np.repeat(np.sqrt(field.weights[used]), 2)
    if 2 * len(points) < _SPARE + _TERMS:
        return _NOTHING_KNOWN
    others, lens = _others(points, placement), _effect(points, placement)
    design = np.column_stack([others, lens]) * root[:, None]
    design /= np.linalg.norm(design, axis=0) + 1e-30
    target = field.shifts_hr_px[used].ravel() * root
    solution = photometry.robust_least_squares(design, target.astype(np.float32))
    if solution is None:
        return _NOTHING_KNOWN
    left = target - design @ solution
    spread = 1.4826 * float(np.median(np.abs(left))) * np.sqrt(len(target) / (len(target) - design.shape[1]))
    error = spread * float(np.sqrt(np.linalg.inv(design.T @ design)[-1, -1]))
    unit = float(np.linalg.norm(lens * root))
    k1, error_hr_px = float(solution[-1]) / unit, error / unit * _unfitted_hr_px(placement)
    hr_px = abs(k1) * _own_hr_px(placement)
    believed = abs(float(solution[-1])) > _SIGNIFICANT * error and abs(k1) <= _LARGEST and hr_px > _NEGLIGIBLE_HR_PX
    return LrDistortion(k1, hr_px, error_hr_px) if believed else LrDistortion(0.0, 0.0, error_hr_px)


_NOTHING_KNOWN = LrDistortion(0.0, 0.0, float("nan"))


def can_show(placement: Placement) -> bool:
    """Whether the card is far enough off the middle of LR for a strongly distorting lens to matter."""
    return _STRONG * _own_hr_px(placement) > _NEGLIGIBLE_HR_PX


def _own_hr_px(placement: Placement) -> float:
    """Displacement by a ``k1_lr`` of 1 that homography and HR lens cannot follow: root mean square over the crop."""
    grid = _grid(placement.crop)
    return _left_hr_px(grid, grid, placement)


def _unfitted_hr_px(placement: Placement) -> float:
    """The same displacement if homography and HR lens are fitted over the whole HR frame, as refinement does."""
    mapping = placement.mapping
    frame = mapping.hr_to_lr(geometry.central_grid(mapping.hr_size, share=1.0).reshape(-1, 2))
    return _left_hr_px(_grid(placement.crop), frame, placement)


def _left_hr_px(at: Array, fitted_over: Array, placement: Placement) -> float:
    both = np.concatenate([at, fitted_over])
    others, effect = _others(both, placement), _effect(both, placement)
    fit = slice(2 * len(at), None)
    left = effect - others @ np.linalg.lstsq(others[fit], effect[fit], rcond=None)[0]
    return float(np.sqrt(2 * np.mean(left[: 2 * len(at)] ** 2)))


def _grid(crop: Crop) -> Array:
    """Points over the crop, in LR px, (N, 2)."""
    inside = geometry.central_grid(Size(crop.width, crop.height), share=1.0).reshape(-1, 2)
    points: Array = inside + np.array([crop.x, crop.y])
    return points


def _effect(points_lr: Array, placement: Placement) -> Array:
    """Residual at (N, 2) points, flattened, if the true ``k1_lr`` is larger by 1 than the mapping's, to first order."""
    mapping = placement.mapping
    bent = dataclasses.replace(mapping, k1_lr=mapping.k1_lr + _STEP)
    seen: Array = placement.scale * (mapping.hr_to_lr(bent.lr_to_hr(points_lr)) - points_lr) / _STEP
    return seen.ravel()


def _others(points_lr: Array, placement: Placement) -> Array:
    """Displacements that a homography and the HR lens can cause at (N, 2) points, (2N, 9), scaled to about 1."""
    centre = placement.mapping.hr_centre_in_lr
    offset = (points_lr - centre) / (np.abs(points_lr - centre).max() + 1e-12)
    x, y = offset.T
    zero, one, r2 = np.zeros_like(x), np.ones_like(x), x**2 + y**2
    parts = [(one, zero), (zero, one), (x, zero), (y, zero), (zero, x), (zero, y)]
    parts += [(x * x, x * y), (x * y, y * y), (x * r2, y * r2)]
    return np.stack([np.stack(part, axis=1).ravel() for part in parts], axis=1)
