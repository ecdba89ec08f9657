"""The residual field: how far HR, degraded to LR's resolution, still lies from LR, block by block.

No estimate optimises these numbers: they are measured on the published pixels, against the LR pixels as they are.
"""

from __future__ import annotations

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
_SINGULAR = 1e12
"""Condition number beyond which a block's texture fixes no shift."""
_HALF_X, _HALF_Y = np.array([0.5, 0.0]), np.array([0.0, 0.5])
_TRUSTED_HR_PX = 0.2
"""Standard error of a block's shift at which its weight is one half, in HR px."""
_USELESS_HR_PX = 2.0
"""Standard error above which a block says nothing."""


class _Blocks(NamedTuple):
    """Equal blocks of a crop: ``rows`` × ``columns`` of them, each ``height`` × ``width`` LR px, from (left, top)."""

    left: int
    top: int
    rows: int
    columns: int
    height: int
    width: int

    @property
    def positions(self) -> Array:
        """Pixel centres in the crop, (rows·columns, height·width, 2)."""
        dense = geometry.pixel_centres(Size(self.columns * self.width, self.rows * self.height))
        return self.split(dense + np.array([self.left, self.top]))

    def split(self, image: Array) -> Array:
        """An image over the blocks' pixels, (rows·height, columns·width, …) → (rows·columns, height·width, …)."""
        rest = image.shape[2:]
        parts = image.reshape(self.rows, self.height, self.columns, self.width, *rest).swapaxes(1, 2)
        return parts.reshape(self.rows * self.columns, self.height * self.width, *rest)


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
    blocks = _blocks(Size(crop.width, crop.height), margin=int(np.ceil(2 * sigma_hr_px / scale)) + 1)
    bottom, right = blocks.top + blocks.rows * blocks.height, blocks.left + blocks.columns * blocks.width
    target = blocks.split(lr_luma[blocks.top : bottom, blocks.left : right].astype(np.float64))
    p_lr = blocks.positions + np.array([crop.x, crop.y])
    blurred = hr.blurred(hr.luma, sigma_hr_px)
    shift, error, zncc = _fit_blocks(lambda p: hr.at(blurred, mapping.lr_to_hr(p)).astype(np.float64), p_lr, target)
    weights = np.where(error * scale < _USELESS_HR_PX, 1 / (1 + (error * scale / _TRUSTED_HR_PX) ** 2), 0.0)
    return ResidualField(points_lr=p_lr.mean(axis=1), shifts_hr_px=shift * scale, weights=weights, zncc=zncc)


def percentile(field: ResidualField, q: float) -> float:
    """The q-th percentile (0 … 100) of the residual's length in HR px, blocks counted by weight; nan without any."""
    if not field.weights.any():
        return float("nan")
    lengths = np.linalg.norm(field.shifts_hr_px, axis=1)
    order = np.argsort(lengths)
    share = (np.cumsum(field.weights[order]) - field.weights[order] / 2) / field.weights.sum()
    return float(np.interp(q / 100, share, lengths[order]))


def _blocks(size: Size, margin: int) -> _Blocks:
    """Equal blocks of about 24 LR px (less in small crops) that cover a crop but for a margin and less than a block."""
    side = int(np.clip(min(size) // 5, 12, 24))
    columns, rows = (max(1, round((length - 2 * margin) / side)) for length in size)
    width, height = (max(1, length - 2 * margin) // n for length, n in zip(size, (columns, rows), strict=True))
    left, top = (size.width - columns * width) // 2, (size.height - rows * height) // 2
    return _Blocks(left, top, rows, columns, height, width)


def _fit_blocks(hr_at: Callable[[Array], Array], p_lr: Array, target: Array) -> tuple[Array, Array, Array]:
    """Shift (B, 2) of HR against each LR block, its standard error (B,), both in LR px, and the correlation left (B,).

    ``lr(x) ≈ gain·hr(x + shift) + offset``, refined until every block has settled; a block that fixes no shift has an
    infinite error and a correlation of 0.
    """
    shift = np.zeros((len(target), 2))
    spread = np.sum((target - target.mean(axis=1, keepdims=True)) ** 2, axis=1)
    for _ in range(_ROUNDS):
        p = p_lr + shift[:, None]
        slopes = [hr_at(p + half) - hr_at(p - half) for half in (_HALF_X, _HALF_Y)]
        value = hr_at(p)
        design = np.stack([*slopes, value, np.ones_like(value)], axis=2)
        normal = design.swapaxes(1, 2) @ design
        solvable = np.linalg.cond(normal) < _SINGULAR
        normal[~solvable] = np.eye(4)
        solution = np.linalg.solve(normal, np.einsum("bni,bn->bi", design, target)[..., None])[..., 0]
        solvable &= (solution[:, 2] > 0) & (spread > 0)
        gain = np.where(solvable, solution[:, 2], 1.0)
        step = np.where(solvable[:, None], solution[:, :2] / gain[:, None], 0.0)
        shift += np.clip(step, -1, 1)
        if np.abs(step).max() < _SETTLED_LR_PX:
            break
    unexplained = np.sum((target - np.einsum("bni,bi->bn", design, solution)) ** 2, axis=1)
    inverse = np.linalg.inv(normal)
    variance = unexplained / max(target.shape[1] - 4, 1) * (inverse[:, 0, 0] + inverse[:, 1, 1])
    error = np.where(solvable, np.sqrt(np.maximum(variance, 0)) / gain, np.inf)
    zncc = np.sqrt(np.clip(1 - unexplained / np.maximum(spread, 1e-30), 0, 1))
    return np.where(solvable[:, None], shift, 0.0), error, np.where(solvable, zncc, 0.0)
