"""HR degraded to look like LR: blurred to LR's resolution in linear light and sampled on LR's grid.

Only estimation and QA use these copies. They are never published.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from d2crealsr import opencv
from d2crealsr.imaging import geometry, photometry
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.types import Array, Image, Matrix

__all__ = ["LinearReduced", "estimate_blur", "reduced", "sample", "sample_with_derivatives", "zncc"]

Float32 = NDArray[np.float32]

_MAX_BLUR_LR_PX = 4.0
_MIN_PIXELS = 256
_HARDLY_CLIPPED = 0.1
"""Share of the light of an LR pixel that may come from clipped HR pixels if the LR pixel is to be trusted."""
_ENOUGH_PIXELS = 50_000
"""Number of evenly spread pixels that suffice to fit a single number."""


@dataclass(frozen=True)
class LinearReduced:
    """An HR image in linear light, averaged over ``factor`` × ``factor`` pixels.

    Attributes
    ----------
    rgb : (H // factor, W // factor, 3) ndarray
    luma : (H // factor, W // factor) ndarray
    factor : int
    clipped : (H // factor, W // factor) ndarray or None
        Share of clipped pixels among those averaged; None if no pixel of the image is clipped.
    """

    rgb: Float32
    luma: Float32
    factor: int
    clipped: Float32 | None = None

    def blurred(self, channel: Float32, sigma_hr_px: float) -> Float32:
        """A blurred channel. Together with the averaging, the blur is a Gaussian of ``sigma_hr_px``."""
        variance = sigma_hr_px**2 - (self.factor**2 - 1) / 12
        return opencv.blur(channel, float(np.sqrt(max(variance, 0))) / self.factor)

    def on_grid(self, blurred: Float32, H_hr_to_grid: Matrix, size: Size) -> Float32:
        """Sample a (blurred) channel on a grid, to which ``H_hr_to_grid`` maps full-resolution HR pixels."""
        H_grid_to_reduced = geometry.compose(
            geometry.inverse(geometry.scaling(self.factor)), geometry.inverse(H_hr_to_grid)
        )
        sampled: Float32 = opencv.warp(blurred, H_grid_to_reduced, size, "linear")
        return sampled

    def at(self, blurred: Float32, p_hr: Array) -> Float32:
        """Sample a (blurred) channel at positions in full-resolution HR, (h, w, 2), with linear interpolation."""
        return sample(blurred, self.factor, p_hr)

    def holds(self, p_hr: Array, *, margin_hr_px: float) -> NDArray[np.bool_]:
        """Whether positions (..., 2) lie inside HR, at least a margin away from its border."""
        high = np.array(self.full_size) - 1 - margin_hr_px
        inside: NDArray[np.bool_] = np.all((p_hr >= margin_hr_px) & (p_hr <= high), axis=-1)
        return inside

    def shows(self, p_hr: Array, sigma_hr_px: float) -> NDArray[np.bool_] | None:
        """Whether LR pixels at positions (h, w, 2) in HR see no clipped part of HR; None if no part is clipped.

        What a clipped pixel would have shown is unknown, and an LR pixel receives light from all HR pixels within its
        blur. ``sigma_hr_px`` is the standard deviation of this blur.
        """
        if self.clipped is None:
            return None
        shown: NDArray[np.bool_] = self.at(self.blurred(self.clipped, sigma_hr_px), p_hr) < _HARDLY_CLIPPED
        return shown

    def clipped_fraction(self, p_hr: Array) -> float:
        """Share of clipped pixels at positions (h, w, 2), 0 … 1."""
        return 0.0 if self.clipped is None else float(self.at(self.clipped, p_hr).mean())

    @property
    def full_size(self) -> Size:
        """Size of the full-resolution image, as far as the reduced image covers it."""
        return Size(self.luma.shape[1] * self.factor, self.luma.shape[0] * self.factor)


def sample(image: Float32, factor: int, p_hr: Array) -> Float32:
    """Sample a reduced image at positions in the full-resolution one, (h, w, 2), with linear interpolation."""
    grid = ((p_hr - (factor - 1) / 2) / factor).astype(np.float32)
    sampled: Float32 = opencv.remap(image, np.ascontiguousarray(grid[..., 0]), np.ascontiguousarray(grid[..., 1]))
    return sampled


def sample_with_derivatives(image: Float32, factor: int, p_hr: Array) -> tuple[Float32, Float32, Float32, Float32]:
    """As :func:`sample`, with the derivatives in x and y and the Laplacian at the positions, per full-resolution px.

    They are differences between neighbours one reduced pixel away. Filtering the whole image first would give the same.
    """
    grid = ((p_hr - (factor - 1) / 2) / factor).astype(np.float32)
    x, y = np.ascontiguousarray(grid[..., 0]), np.ascontiguousarray(grid[..., 1])
    value, right, left = (opencv.remap(image, x + step, y) for step in (np.float32(0), np.float32(1), np.float32(-1)))
    below, above = (opencv.remap(image, x, y + step) for step in (np.float32(1), np.float32(-1)))
    dx, dy = cast("Float32", right - left), cast("Float32", below - above)
    laplacian = right + left + below + above - 4 * value
    dx *= 1 / (2 * factor)
    dy *= 1 / (2 * factor)
    laplacian *= 1 / factor**2
    return value, dx, dy, laplacian


def reduced(hr: Image, scale: int, tone: str) -> LinearReduced:
    """HR reduced to about twice the sampling of LR, in linear light. Estimation needs no more of it."""
    factor = max(1, scale // 2)
    rgb = photometry.reduced_linear(hr, factor, tone)
    return LinearReduced(rgb, photometry.luma(rgb), factor, photometry.reduced_clipping(hr, factor))


def zncc(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Zero-mean normalised cross-correlation of two arrays of the same shape, −1 … 1; 0 if one is constant."""
    a, b = a.astype(np.float64) - a.mean(), b.astype(np.float64) - b.mean()
    norm = float(np.sqrt(np.sum(a**2) * np.sum(b**2)))
    return float(np.sum(a * b)) / norm if norm > 0 else 0.0


def estimate_blur(hr: LinearReduced, lr_luma: Float32, p_hr: Array, scale: int) -> float:
    """σ of the Gaussian blur, in HR px, for which HR is most similar to LR (highest zncc in linear light).

    Parameters
    ----------
    hr : LinearReduced
    lr_luma : (h, w) ndarray
        A part of LR in linear light.
    p_hr : (h, w, 2) ndarray
        Positions of its pixels in HR.
    scale : int
        HR px per LR px. σ is searched up to four LR px.
    """
    every = max(1, int(np.sqrt(lr_luma.size / _ENOUGH_PIXELS)))
    lr_luma, p_hr = lr_luma[::every, ::every], p_hr[::every, ::every]
    inside = hr.holds(p_hr, margin_hr_px=2 * scale)
    shown = hr.shows(p_hr, scale)
    if shown is not None:
        inside &= shown
    if inside.sum() < _MIN_PIXELS:
        return float(scale)

    def unlikeness(sigma: float) -> float:
        return -zncc(hr.at(hr.blurred(hr.luma, sigma), p_hr)[inside], lr_luma[inside])

    bounds = (0.0, _MAX_BLUR_LR_PX * scale)
    found = minimize_scalar(unlikeness, bounds=bounds, method="bounded", options={"xatol": 0.01 * scale})
    return float(found.x)
