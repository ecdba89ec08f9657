"""Measure on the pixels alone how far published pixels are displaced from their true positions.

This module judges the code that makes pairs, so it shares nothing with it: no homography, no OpenCV, no matching. It
compares a published image with the noise-free picture that it should show. In each block the published values are
regressed on the value, the slopes and the curvature of the true picture (Lucas & Kanade 1981). The noise-free picture
provides the regressors, because noise there would bias the slopes. Gain, offset, their ramps, and a difference in
sharpness are fitted too, because each of them would look a little like a shift.

Convention: a shift is where the published image has the content minus where the true picture has it, (x, y), in px of
both. ``published(x) = true(x − shift)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

if TYPE_CHECKING:
    from d2crealsr.types import Array, Image

__all__ = ["PixelShift", "ShiftField", "fourier_shift", "linear_luma", "measure_shift"]

Plane: TypeAlias = NDArray[np.float32]

_BLOCK = 64
"""Side of a block in px: about a hundred independent samples after the filter, yet small enough for one shift."""
_FILTER_SIGMAS = (8.0, 2.0, 2.0, 2.0)
"""σ in px of the Gaussian filter on both images, in each round. The first round finds shifts of several px; the last
rounds determine the result."""
_CLIPPED = 250 / 255
_LARGEST_STEP = 16.0
"""Largest movement of a block in one round, in px: twice the filter of the first round."""
_LEAST_SLOPE = 1e-5
"""Root mean square slope, in linear light per px, below which a block has only rounding errors and no texture."""
_BLOCKS_AT_ONCE = 256
"""Number of blocks whose regressions are in memory at the same time, about 150 MB."""
_REC709 = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftField:
    """A shift that changes smoothly over an image: a quadratic of the position.

    Attributes
    ----------
    coefficients : (6, 2) ndarray
        Coefficients of 1, x, y, x², xy, y² of the normalised position, in px.
    centre : (2,) ndarray
        Point at which the normalised position is 0, in px.
    unit : float
        Unit of the normalised position, in px.
    """

    coefficients: Array
    centre: Array
    unit: float

    def at(self, points: Array) -> Array:
        """Shift at (..., 2) points of the published image, in px."""
        return _quadratic((points - self.centre) / self.unit) @ self.coefficients

    def over(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Shift along x and along y at all positions of a grid; ``x`` is (W,), ``y`` is (H, 1), the results (H, W)."""
        u, v = (x - self.centre[0]) / self.unit, (y - self.centre[1]) / self.unit
        along_x, along_y = (
            (a + b * u + d * u * u) + (c + e * u + f * v) * v for a, b, c, d, e, f in self.coefficients.T
        )
        return along_x, along_y


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelShift:
    """Result of :func:`measure_shift`.

    Attributes
    ----------
    field : ShiftField
        The shift over the published image.
    error : float
        Standard error of the mean of the field in px, estimated from the scatter of the blocks.
    noise : float
        Robust standard deviation of the part that the true picture does not explain, unfiltered, in linear light.
    """

    field: ShiftField
    error: float
    noise: float


def linear_luma(image: Image) -> Plane:
    """Luminance of an (H, W, 3) sRGB image in linear light on [0, 1] (IEC 61966-2-1, Rec. 709 weights)."""
    levels = np.iinfo(image.dtype).max
    encoded = np.arange(levels + 1, dtype=np.float64) / levels
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    parts = [(linear * weight).astype(np.float32)[image[..., c]] for c, weight in enumerate(_REC709)]
    return cast("Plane", parts[0] + parts[1] + parts[2])


def clipped(image: Image) -> NDArray[np.bool_]:
    """Where any channel of an (H, W, 3) image is saturated or almost saturated."""
    return cast("NDArray[np.bool_]", image.max(axis=2) >= _CLIPPED * np.iinfo(image.dtype).max)


def measure_shift(
    published: Plane, true: Plane, offset: tuple[float, float], *, masked: NDArray[np.bool_] | None = None
) -> PixelShift:
    """Shift of a published image against the true picture.

    Parameters
    ----------
    published : (H, W) ndarray
        Published image in linear light, at least 128×128.
    true : (H', W') ndarray
        The noise-free picture in linear light. It should extend beyond the published image on all sides.
    offset : (float, float)
        Position (x, y) in px of the published image's pixel (0, 0) in the true picture, if there were no shift.
    masked : (H, W) ndarray of bool, optional
        Pixels to ignore, such as saturated ones.

    Returns
    -------
    PixelShift

    Raises
    ------
    ValueError
        When the published image has fewer than 2×2 blocks.
    """
    height, width = published.shape
    if min(height, width) < 2 * _BLOCK:
        raise ValueError(f"published image is {width}x{height}, at least {2 * _BLOCK} px a side are needed")
    points = _block_centres(width, height)
    field = ShiftField(
        coefficients=np.zeros((6, 2)), centre=np.array([(width - 1) / 2, (height - 1) / 2]), unit=max(width, height) / 2
    )
    error = float("nan")
    keep = _undisturbed(published.shape, masked)
    filtered_sigma = -1.0
    for sigma in _FILTER_SIGMAS:
        if sigma != filtered_sigma:
            smooth = ndimage.gaussian_filter(published, sigma, mode="reflect")
            spline = ndimage.spline_filter(ndimage.gaussian_filter(true, sigma, mode="reflect"), order=3)
            filtered_sigma = sigma
        shown = _sample(spline, field, offset, (height, width))
        steps, variances = _block_steps(smooth, shown, keep)
        field, error = _fit_field(field, points, field.at(points) + steps, variances)
    return PixelShift(field=field, error=error, noise=_noise(published, true, field, offset, keep))


def fourier_shift(image: Plane, shift: tuple[float, float]) -> Plane:
    """Move the content of an image by (x, y) px. The result is exact for frequencies below the Nyquist frequency.

    The image is first mirrored on all sides, so that its borders do not cause ringing.
    """
    mirrored = np.pad(image, [(0, image.shape[0]), (0, image.shape[1])], mode="symmetric")
    fy = np.fft.fftfreq(mirrored.shape[0])[:, None]
    fx = np.fft.rfftfreq(mirrored.shape[1])[None, :]
    turned = np.fft.rfft2(mirrored) * np.exp(-2j * np.pi * (fx * shift[0] + fy * shift[1]))
    moved = np.fft.irfft2(turned, s=mirrored.shape)
    return cast("Plane", moved[: image.shape[0], : image.shape[1]].astype(np.float32))


def _undisturbed(shape: tuple[int, ...], masked: NDArray[np.bool_] | None) -> Plane:
    """1 where the filter reaches neither a masked pixel nor beyond the border, else 0."""
    reach = int(4 * _FILTER_SIGMAS[-1])
    seen = np.ones(shape, bool) if masked is None else ~masked
    square = np.ones((2 * reach + 1, 1), bool)
    for structure in (square, square.T):
        seen = ndimage.binary_erosion(seen, structure)
    return cast("Plane", seen.astype(np.float32))


def _block_centres(width: int, height: int) -> Array:
    """Centres of the complete blocks, (N, 2), row by row. Remaining pixels are divided equally between the borders."""
    x = _first(width) + (_BLOCK - 1) / 2 + _BLOCK * np.arange(width // _BLOCK)
    y = _first(height) + (_BLOCK - 1) / 2 + _BLOCK * np.arange(height // _BLOCK)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _first(length: int) -> int:
    return length % _BLOCK // 2


def _sample(spline: NDArray[Any], field: ShiftField, offset: tuple[float, float], shape: tuple[int, int]) -> Plane:
    """The true picture, displaced by the shift found so far and sampled on the published image's pixels."""
    x, y = np.arange(shape[1], dtype=np.float64), np.arange(shape[0], dtype=np.float64)[:, None]
    shift_x, shift_y = field.over(x, y)
    at = [y + offset[1] - shift_y, x + offset[0] - shift_x]
    return cast("Plane", ndimage.map_coordinates(spline, at, np.float32, order=3, mode="reflect", prefilter=False))


def _blocks(plane: NDArray[np.floating[Any]]) -> Array:
    """An (H, W) plane as (N, _BLOCK²) blocks, float64."""
    height, width = plane.shape
    top, left = _first(height), _first(width)
    rows, columns = height // _BLOCK, width // _BLOCK
    inner = plane[top : top + rows * _BLOCK, left : left + columns * _BLOCK]
    split = inner.reshape(rows, _BLOCK, columns, _BLOCK).transpose(0, 2, 1, 3)
    return split.reshape(rows * columns, _BLOCK * _BLOCK).astype(np.float64)


def _block_steps(published: Plane, shown: Plane, keep: Plane) -> tuple[Array, Array]:
    """Remaining shift of each block, (N, 2) in px, and its variance, (N,) in px²; infinite if it is unknown."""
    slope_y, slope_x = (np.asarray(np.gradient(shown, axis=axis), np.float32) for axis in (0, 1))
    planes = [_blocks(plane) for plane in (published, shown, slope_x, slope_y, ndimage.laplace(shown), keep)]
    parts = range(0, len(planes[0]), _BLOCKS_AT_ONCE)
    results = [_regress(*(plane[start : start + _BLOCKS_AT_ONCE] for plane in planes)) for start in parts]
    return np.concatenate([steps for steps, _ in results]), np.concatenate([variance for _, variance in results])


def _regress(target: Array, value: Array, dx: Array, dy: Array, curvature: Array, weight: Array) -> tuple[Array, Array]:
    """Weighted regression of each block's target on the picture and its derivatives; planes are (N, _BLOCK²)."""
    ramp = (np.arange(_BLOCK) - (_BLOCK - 1) / 2) / _BLOCK
    x, y, one = np.tile(ramp, _BLOCK), np.repeat(ramp, _BLOCK), np.ones_like(value)
    design = np.stack([value, dx, dy, curvature, one, one * x, one * y, value * x, value * y], axis=1)
    weighted = design * weight[:, None]
    # Regressors are scaled to equal length, because the slopes of a smooth block are a thousandth of its values.
    products = weighted @ design.transpose(0, 2, 1)
    length = np.sqrt(np.einsum("nkk->nk", products)) + 1e-12
    normal = products / (length[:, :, None] * length[:, None]) + 1e-9 * np.eye(design.shape[1])
    inverse = np.linalg.inv(normal)
    solution = (inverse @ ((weighted @ target[..., None])[..., 0] / length)[..., None])[..., 0]
    explained = ((solution / length)[:, None] @ design)[:, 0]
    unexplained = np.einsum("np,np->n", weight, (target - explained) ** 2)
    freedom = np.maximum(weight.sum(axis=1) - design.shape[1], 1)
    gain, per_px = solution[:, 0] / length[:, 0], solution[:, 1:3] / length[:, 1:3]
    slopes = length[:, 1:3].min(axis=1) / np.sqrt(np.maximum(weight.sum(axis=1), 1))
    known = (weight.mean(axis=1) > 0.5) & (gain > 0) & (slopes > _LEAST_SLOPE)
    gain = np.where(known, gain, 1.0)
    steps = np.clip(-per_px / gain[:, None], -_LARGEST_STEP, _LARGEST_STEP)
    spread = np.einsum("nkk->nk", inverse)[:, 1:3] / length[:, 1:3] ** 2
    variances = spread.mean(axis=1) * unexplained / freedom / gain**2
    known &= np.isfinite(variances) & np.isfinite(steps).all(axis=1)
    return np.where(known[:, None], steps, 0.0), np.where(known, variances, np.inf)


def _quadratic(position: Array) -> Array:
    """1, x, y, x², xy, y² of (..., 2) positions, (..., 6)."""
    x, y = position[..., 0], position[..., 1]
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _fit_field(field: ShiftField, points: Array, shifts: Array, variances: Array) -> tuple[ShiftField, float]:
    """Fit a quadratic to the blocks' shifts, weighted by their accuracy, with Cauchy weights against outliers.

    With few blocks only the constant, or the constant and the slopes, are fitted. Returns the field and the standard
    error of its mean.
    """
    known = np.isfinite(variances)
    terms = 6 if known.sum() >= 24 else 3 if known.sum() >= 8 else 1
    if not known.any():
        return field, float("inf")
    design = _quadratic((points[known] - field.centre) / field.unit)[:, :terms]
    # Limit the weight of the best blocks: no error counts as below a hundredth of a pixel, or the median if smaller.
    spread = variances[known] + min(1e-4, float(np.median(variances[known])))
    weights = 1 / spread
    for _ in range(20):
        root = np.sqrt(weights)[:, None]
        solution = np.linalg.lstsq(design * root, shifts[known] * root, rcond=None)[0]
        distance = np.linalg.norm(shifts[known] - design @ solution, axis=1) / np.sqrt(spread)
        middle = max(float(np.median(distance)), 1e-9)
        weights = 1 / spread / (1 + (distance / (3 * middle)) ** 2)
    coefficients = np.zeros((6, 2))
    coefficients[:terms] = solution
    scatter = np.sum(weights * np.sum((shifts[known] - design @ solution) ** 2, axis=1)) / np.sum(weights) / 2
    effective = np.sum(weights) ** 2 / np.sum(weights**2)
    error = float(np.sqrt(max(scatter / effective, 1 / np.sum(weights))))
    return ShiftField(coefficients=coefficients, centre=field.centre, unit=field.unit), error


def _noise(published: Plane, true: Plane, field: ShiftField, offset: tuple[float, float], keep: Plane) -> float:
    """Robust standard deviation of the published image's finest detail, less that of the true picture."""
    shown = _sample(ndimage.spline_filter(true, order=3), field, offset, (published.shape[0], published.shape[1]))
    rest = published - shown * (float(published.mean()) / max(float(shown.mean()), 1e-9))
    # The second difference along both axes of white noise of deviation 1 has deviation 6.
    fine = ndimage.convolve(rest, np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32))[keep > 0]
    return float(1.4826 * np.median(np.abs(fine)) / 6) if fine.size else 0.0
