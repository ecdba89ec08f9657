"""The residual field: how far HR, degraded to LR's resolution, still lies from LR, block by block.

No estimate optimises these numbers: they are measured on the published pixels, against the LR pixels as they are.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from d2crealsr.imaging import geometry
from d2crealsr.types import ResidualField, Size

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array, Crop

__all__ = ["measure", "percentile"]

Float32 = NDArray[np.float32]

_ROUNDS = 4
_SETTLED_LR_PX = 0.001
_HALF_X, _HALF_Y = np.array([0.5, 0.0]), np.array([0.0, 0.5])
_TRUSTED_HR_PX = 0.2
"""Standard error of a block's shift at which its weight is one half, in HR px."""
_USELESS_HR_PX = 2.0
"""Standard error above which a block says nothing."""


class _Block(NamedTuple):
    """One measurement: shift in LR px, its standard error in LR px, and the correlation once it is taken out."""

    shift: Array
    error: float
    zncc: float


def measure(
    hr: LinearReduced, mapping: CaptureMapping, lr_luma: Float32, crop: Crop, sigma_hr_px: float, scale: int
) -> ResidualField:
    """Measure the shift left in each block of a crop, by least squares on shift, gain and offset (Lucas & Kanade 1981).

    Parameters
    ----------
    hr : LinearReduced
        The published HR, or any HR of which the mapping is to be judged.
    mapping : CaptureMapping
        How it lies on the LR capture.
    lr_luma : (crop.height, crop.width) ndarray
        LR in linear light over the crop.
    crop : Crop
        The part of the LR capture that is looked at.
    sigma_hr_px : float
        Blur that makes HR look like LR.
    scale : int

    Returns
    -------
    ResidualField
        Shifts are positive where HR has the content further right or down than LR.
    """
    blurred = hr.blurred(hr.luma, sigma_hr_px)
    margin = int(np.ceil(2 * sigma_hr_px / scale)) + 1
    points, shifts, errors, correlations = [], [], [], []
    for left, top, size in _blocks(Size(crop.width, crop.height), margin):
        p_lr = geometry.pixel_centres(size) + np.array([crop.x + left, crop.y + top])
        patch = lr_luma[top : top + size.height, left : left + size.width]
        block = _measure_block(lambda p: hr.at(blurred, mapping.lr_to_hr(p)), p_lr, patch)
        points.append(p_lr.mean(axis=(0, 1)))
        shifts.append(block.shift * scale)
        errors.append(block.error * scale)
        correlations.append(block.zncc)
    error = np.array(errors, dtype=np.float64)
    weights = np.where(error < _USELESS_HR_PX, 1 / (1 + (error / _TRUSTED_HR_PX) ** 2), 0.0)
    return ResidualField(
        points_lr=np.array(points, dtype=np.float64).reshape(-1, 2),
        shifts_hr_px=np.array(shifts, dtype=np.float64).reshape(-1, 2),
        weights=weights,
        zncc=np.array(correlations, dtype=np.float64),
    )


def percentile(field: ResidualField, q: float) -> float:
    """The q-th percentile (0 … 100) of the residual's length in HR px, blocks counted by weight; nan without any."""
    if not field.weights.any():
        return float("nan")
    lengths = np.linalg.norm(field.shifts_hr_px, axis=1)
    order = np.argsort(lengths)
    share = (np.cumsum(field.weights[order]) - field.weights[order] / 2) / field.weights.sum()
    return float(np.interp(q / 100, share, lengths[order]))


def _blocks(size: Size, margin: int) -> list[tuple[int, int, Size]]:
    """Blocks of about 24 LR px (less in small crops) that cover a crop within a margin: left, top, size."""
    side = int(np.clip(min(size) // 5, 12, 24))
    columns = _edges(size.width, margin, side)
    rows = _edges(size.height, margin, side)
    return [
        (int(x0), int(y0), Size(int(x1 - x0), int(y1 - y0)))
        for y0, y1 in itertools.pairwise(rows)
        for x0, x1 in itertools.pairwise(columns)
    ]


def _edges(length: int, margin: int, side: int) -> NDArray[np.intp]:
    inner = max(length - 2 * margin, 1)
    return np.rint(np.linspace(margin, margin + inner, max(1, round(inner / side)) + 1)).astype(np.intp)


def _measure_block(hr_at: Callable[[Array], Float32], p_lr: Array, lr: Float32) -> _Block:
    """Shift of HR against one LR block: ``lr(x) ≈ gain·hr(x + shift) + offset``, refined until it settles."""
    target = lr.ravel().astype(np.float64)
    shift = np.zeros(2)
    spread = float(np.sum((target - target.mean()) ** 2))
    nothing = _Block(np.zeros(2), float("inf"), 0.0)

    def sampled(offset: Array) -> Array:
        return hr_at(p_lr + offset).ravel().astype(np.float64)

    for _ in range(_ROUNDS):
        value = sampled(shift)
        slope_x = sampled(shift + _HALF_X) - sampled(shift - _HALF_X)
        slope_y = sampled(shift + _HALF_Y) - sampled(shift - _HALF_Y)
        design = np.stack([slope_x, slope_y, value, np.ones_like(value)], axis=1)
        normal = design.T @ design
        if spread <= 0 or np.linalg.cond(normal) > 1e12:
            return nothing
        solution = np.linalg.solve(normal, design.T @ target)
        if solution[2] <= 0:
            return nothing
        step = solution[:2] / solution[2]
        shift = shift + np.clip(step, -1, 1)
        if np.linalg.norm(step) < _SETTLED_LR_PX:
            break
    unexplained = float(np.sum((target - design @ solution) ** 2))
    variance = unexplained / max(len(target) - 4, 1) * np.linalg.inv(normal)
    error = float(np.sqrt(max(variance[0, 0] + variance[1, 1], 0))) / solution[2]
    return _Block(shift, error, float(np.sqrt(max(0.0, 1 - unexplained / spread))))
