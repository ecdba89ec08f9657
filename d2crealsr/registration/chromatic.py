"""Lateral chromatic aberration: how differently the HR lens magnifies red and blue compared with green.

It is measured between the channels of the HR capture, because LR has an eighth of the detail, and even less in its
colours (mosaic, JPEG). A printed fringe, in a photograph that shows the aberration of its own lens, looks the same.

Convention: the content of green at x is at ``c + (x − c)·(1 + k_r)`` in red, where c is the centre of the HR capture.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import geometry, photometry
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.placement import Placement
    from d2crealsr.types import Array

__all__ = ["ChromaticAberration", "measure_chromatic_aberration", "without_aberration"]

Float32 = NDArray[np.float32]

_FINE_HR_PX, _COARSE_HR_PX = 4.0, 10.0
"""Detail is the difference of two Gaussians of these σ: coarser than mosaic and chroma subsampling, finer than shading.
"""
_BLOCK_HR_PX = 96
_HARDLY_CLIPPED = 0.01
_LEAST_SHARE = 0.25
"""Pixels count if clipped pixels have less than the first share in their blur; a block counts if more than the second
share of its pixels do."""
_SLOPE = np.array([[-1 / 60, 9 / 60, -45 / 60, 0, 45 / 60, -9 / 60, 1 / 60]], np.float32)
"""Derivative that is accurate up to a quarter of the sampling rate. Plain differences are 12 % too small here."""
_TUKEY = 4.685
_ROUNDS = 10
_ENOUGH_BLOCKS = 8.0
_RELATED = 0.8
"""The fit needs blocks of at least the first total weight. In half of them green must explain the variance of red or
blue except for less than the second share."""
_ERROR_CALIBRATION = 2.5
"""Factor on standard errors: robust spread of true over predicted errors of 20 half-size captures of tuning seeds."""
_SIGNIFICANT = 4.0
"""Number of standard errors from which on an aberration is accepted as real."""
_PRIOR = 5e-4
"""Prior standard deviation of the aberration of lenses: half a pixel at 1000 px from the centre."""
_KNOWN = 1.25e-4
"""Largest standard error at which an aberration that was not found counts as absent."""
_LARGEST = 3e-3
"""Largest plausible aberration. Beyond it, something else was measured."""


class ChromaticAberration(NamedTuple):
    """Magnification k of red and blue relative to green, less 1: green content at x is at ``c + (x − c)·(1 + k)``.

    It is nan if a channel has too little light or texture. Errors are standard errors.
    """

    k_r: float
    k_b: float
    error_r: float
    error_b: float

    def at(self, distance_hr_px: float) -> tuple[float, float]:
        """Displacement of red and blue in HR px at a distance from the centre of HR; positive means outwards."""
        return self.k_r * distance_hr_px, self.k_b * distance_hr_px

    @property
    def of_luma(self) -> float:
        """Magnification of luma relative to green, from the accepted magnifications of red and blue."""
        red, blue = self.believed()
        return float(photometry.LUMA[0] * red + photometry.LUMA[2] * blue)

    def believed(self) -> tuple[float, float]:
        """The correction (k_r, k_b), shrunk towards a perfect lens according to its uncertainty; 0 if it may be noise.

        Both colours are corrected or neither. The captures are aligned by luma, in which the fringes of red and blue
        often cancel; one of them alone would not.
        """
        red, blue = _believed(self.k_r, self.error_r), _believed(self.k_b, self.error_b)
        known = np.isfinite([self.k_r, self.k_b]).all() and max(self.error_r, self.error_b) < _KNOWN
        return (red, blue) if known else (0.0, 0.0)


def _believed(k: float, error: float) -> float:
    if not abs(k) > _SIGNIFICANT * error or abs(k) > _LARGEST:
        return 0.0
    return k * _PRIOR**2 / (_PRIOR**2 + error**2)


def measure_chromatic_aberration(hr: LinearReduced, placement: Placement) -> ChromaticAberration:
    """Fit the magnification of red and blue relative to green over the published part of HR.

    In each block, ``red ≈ gain·(green − k·(radius · slope of green)) + offset``. The blocks are then averaged robustly:
    printed colours differ between blocks, whereas the effect of the lens is the same in all.

    Parameters
    ----------
    hr : LinearReduced
        The HR capture.
    placement : Placement
        Placement of the published pair.
    """
    left, top, columns, rows, side = _blocks(hr, placement)
    if columns * rows < _ENOUGH_BLOCKS:
        return ChromaticAberration(*(float("nan"),) * 4)
    part = np.s_[top : top + rows * side, left : left + columns * side]

    def cut_up(image: Float32) -> Float32:
        return image.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(rows * columns, side * side)

    shown = None if hr.clipped is None else cut_up(_unclipped(hr.clipped, hr.factor, part))

    def blocks(image: Float32) -> Array:
        parts = cut_up(image)
        if shown is None:
            return cast("Array", parts - parts.mean(axis=1, keepdims=True, dtype=np.float64))
        count = np.maximum(shown.sum(axis=1, keepdims=True, dtype=np.float64), 1)
        return cast("Array", shown * (parts - np.sum(shown * parts, axis=1, keepdims=True, dtype=np.float64) / count))

    red, green, blue = (_detail(np.ascontiguousarray(hr.rgb[..., c]), hr.factor, part) for c in range(3))
    offset = geometry.pixel_centres(Size(columns * side, rows * side)) + np.array([left, top]) - _centre(hr)
    radial = opencv.filter2d(green, _SLOPE) * offset[..., 0].astype(np.float32)
    radial += opencv.filter2d(green, np.ascontiguousarray(_SLOPE.T)) * offset[..., 1].astype(np.float32)
    basis = blocks(green), blocks(radial)
    count = np.full(rows * columns, side**2) if shown is None else shown.sum(axis=1)
    (k_r, error_r), (k_b, error_b) = (_magnification(blocks(channel), *basis, count) for channel in (red, blue))
    return ChromaticAberration(k_r, k_b, error_r, error_b)


def without_aberration(hr: LinearReduced, ca_k: tuple[float, float]) -> LinearReduced:
    """The reduced HR capture, with red and blue moved to where green has the same content."""
    planes = [np.ascontiguousarray(hr.rgb[..., c]) for c in range(3)]
    size = Size.of(hr.luma)
    for channel, k in ((0, ca_k[0]), (2, ca_k[1])):
        x, y = _centre(hr)
        outwards = geometry.compose(
            geometry.translation(x, y), np.diag([1 + k, 1 + k, 1]), geometry.translation(-x, -y)
        )
        planes[channel] = opencv.warp(planes[channel], outwards, size, "lanczos4")
    rgb = np.stack(planes, axis=-1)
    return replace(hr, rgb=rgb, luma=photometry.luma(rgb))


def _centre(hr: LinearReduced) -> Array:
    """Centre of the HR frame on the reduced grid."""
    return (geometry.frame_centre(hr.full_size) - (hr.factor - 1) / 2) / hr.factor


def _blocks(hr: LinearReduced, placement: Placement) -> tuple[int, int, int, int, int]:
    """Left, top, columns, rows and side, in reduced px, of square blocks over the published part of HR."""
    crop = placement.crop
    corners = geometry.corners(Size(crop.width, crop.height)) + np.array([crop.x, crop.y])
    p = placement.mapping.lr_to_hr(corners) / hr.factor
    low = np.maximum(np.floor(p.min(axis=0)), 0)
    high = np.minimum(np.ceil(p.max(axis=0)), np.array([hr.luma.shape[1], hr.luma.shape[0]]))
    side = -(-_BLOCK_HR_PX // hr.factor)
    columns, rows = np.maximum((high - low) // side, 0).astype(int)
    left, top = (low + (high - low - side * np.array([columns, rows])) // 2).astype(int)
    return int(left), int(top), int(columns), int(rows), side


def _detail(channel: Float32, factor: int, part: tuple[slice, slice]) -> Float32:
    """A band of spatial frequencies of a channel, on a part of it."""
    inner = np.ascontiguousarray(channel[part])
    return opencv.blur(inner, _FINE_HR_PX / factor) - opencv.blur(inner, _COARSE_HR_PX / factor)


def _unclipped(clipped: Float32, factor: int, part: tuple[slice, slice]) -> Float32:
    """1 where :func:`_detail` sees no clipped pixels, else 0, (h, w). Clipping moves edges of the channels apart."""
    around = opencv.blur(np.ascontiguousarray(clipped[part]), _COARSE_HR_PX / factor)
    return (around < _HARDLY_CLIPPED).astype(np.float32)


def _magnification(
    target: Array, value: Array, radial: Array, count: NDArray[np.floating] | NDArray[np.integer]
) -> tuple[float, float]:
    """k of a channel and its standard error from blocks (B, N) with zero mean; nan if there are too few.

    ``count`` (B,) is the number of pixels of each block that are not clipped; the values of the others are 0.
    """
    vv, rr, vr = (np.sum(a * b, axis=1) for a, b in ((value, value), (radial, radial), (value, radial)))
    tv, tr, tt = (np.sum(target * other, axis=1) for other in (value, radial, target))
    determinant = vv * rr - vr**2
    solvable = (determinant > 1e-6 * vv * rr) & (count > _LEAST_SHARE * target.shape[1])
    determinant[~solvable] = 1.0
    gain, slope = (tv * rr - tr * vr) / determinant, (tr * vv - tv * vr) / determinant
    solvable &= gain > 0
    gain[~solvable] = 1.0
    left = np.maximum(tt - gain * tv - slope * tr, 0)
    variance = left / np.maximum(count - 3, 1) * vv / determinant / gain**2
    weights = np.where(solvable, 1 / np.maximum(variance, 1e-18), 0.0)
    if np.count_nonzero(weights) < _ENOUGH_BLOCKS or np.median(left[solvable] / tt[solvable]) > _RELATED:
        return float("nan"), float("nan")
    return _robust_mean(-slope / gain, weights)


def _robust_mean(values: Array, precision: Array) -> tuple[float, float]:
    """Mean by Tukey's biweight of values with known relative precision, and its standard error from their scatter."""
    weights = precision
    for _ in range(_ROUNDS):
        mean = float(np.sum(weights * values) / np.sum(weights))
        apart = np.sqrt(precision) * (values - mean)
        spread = 1.4826 * float(np.median(np.abs(apart[precision > 0]))) + 1e-12
        weights = precision * np.clip(1 - (apart / (_TUKEY * spread)) ** 2, 0, None) ** 2
    if np.sum(weights) ** 2 < _ENOUGH_BLOCKS * np.sum(weights**2):
        return float("nan"), float("nan")
    error = float(np.sqrt(np.sum((weights * (values - mean)) ** 2)) / np.sum(weights))
    return mean, _ERROR_CALIBRATION * error
