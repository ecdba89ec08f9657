"""HR degraded to look like LR: blurred to LR's resolution in linear light and sampled on LR's grid.

Only estimation and QA use these copies. They are never published.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from d2crealsr import opencv
from d2crealsr.imaging import geometry, photometry
from d2crealsr.imaging.channels import all_of
from d2crealsr.imaging.sampling import Kernel, Sampled
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.types import Array, Image, Matrix

__all__ = ["LinearReduced", "estimate_blur", "reduced", "zncc"]

Float32 = NDArray[np.float32]

_MAX_BLUR_LR_PX = 4.0
_KERNEL_REACH = 4.0
"""Radius of the kernel of a blur, in σ."""
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
    kernel : {"linear", "spline"}
        How it is read between its pixels.
    """

    rgb: Float32
    luma: Float32
    factor: int
    clipped: Float32 | None = None
    kernel: Kernel = "linear"

    def blurred(self, channel: Float32, sigma_hr_px: float) -> Float32:
        """A blurred channel. Together with the averaging, the blur is a Gaussian of ``sigma_hr_px``.

        Callers must not change it: the last blur of all colours is kept where HR is reduced, as several parts of an
        alignment need the same one.
        """
        if channel is not self.rgb or self.factor == 1:
            return self._blurred(channel, sigma_hr_px)
        if sigma_hr_px not in self._last_blur:
            self._last_blur.clear()
            self._last_blur[sigma_hr_px] = self._blurred(channel, sigma_hr_px)
        return self._last_blur[sigma_hr_px]

    def _blurred(self, channel: Float32, sigma_hr_px: float) -> Float32:
        variance = sigma_hr_px**2 - (self.factor**2 - 1) / 12
        return opencv.blur(channel, float(np.sqrt(max(variance, 0))) / self.factor)

    @cached_property
    def _last_blur(self) -> dict[float, Float32]:
        return {}

    def on_grid(self, blurred: Float32, H_hr_to_grid: Matrix, size: Size) -> Float32:
        """Sample a (blurred) channel on a grid, to which ``H_hr_to_grid`` maps full-resolution HR pixels."""
        H_grid_to_reduced = geometry.compose(
            geometry.inverse(geometry.scaling(self.factor)), geometry.inverse(H_hr_to_grid)
        )
        sampled: Float32 = opencv.warp(blurred, H_grid_to_reduced, size, "linear")
        return sampled

    def at(self, blurred: Float32, p_hr: Array) -> Float32:
        """Sample a (blurred) channel at positions in full-resolution HR, (h, w, 2)."""
        return self.sampled(blurred).at(p_hr)

    def sampled(self, blurred: Float32) -> Sampled:
        """A (blurred) channel, prepared for being sampled several times."""
        return Sampled.of(blurred, self.factor, self.kernel)

    def holds(self, p_hr: Array, *, margin_hr_px: float) -> NDArray[np.bool_]:
        """Whether positions (..., 2) lie inside HR, at least a margin away from its border."""
        high = np.array(self.full_size) - 1 - margin_hr_px
        return all_of((p_hr >= margin_hr_px) & (p_hr <= high))

    def shows(self, p_hr: Array, sigma_hr_px: float) -> NDArray[np.bool_] | None:
        """Whether LR pixels at positions (h, w, 2) in HR see no clipped part of HR; None if no part is clipped.

        What a clipped pixel would have shown is unknown, and an LR pixel receives light from all HR pixels within its
        blur. ``sigma_hr_px`` is the standard deviation of this blur.
        """
        if self.clipped is None:
            return None
        seen = Sampled.of(self.blurred(self.clipped, sigma_hr_px), self.factor, "linear").at(p_hr)
        shown: NDArray[np.bool_] = seen < _HARDLY_CLIPPED
        return shown

    def clipped_fraction(self, p_hr: Array) -> float:
        """Share of clipped pixels at positions (h, w, 2), 0 … 1."""
        if self.clipped is None:
            return 0.0
        return float(Sampled.of(self.clipped, self.factor, "linear").at(p_hr).mean())

    @property
    def full_size(self) -> Size:
        """Size of the full-resolution image, as far as the reduced image covers it."""
        return Size(self.luma.shape[1] * self.factor, self.luma.shape[0] * self.factor)


def reduced(hr: Image, scale: int, tone: str, *, with_clipping: bool = True) -> LinearReduced:
    """HR reduced to about twice the sampling of LR, in linear light. Estimation needs no more of it.

    At scale 1 there is no such reserve, so HR is then read by a spline. Without ``with_clipping`` no pixel counts as
    clipped.
    """
    factor = max(1, scale // 2)
    rgb = photometry.reduced_linear(hr, factor, tone)
    kernel: Kernel = "spline" if scale == 1 else "linear"
    clipped = photometry.reduced_clipping(hr, factor) if with_clipping else None
    return LinearReduced(rgb, photometry.luma(rgb), factor, clipped, kernel)


def zncc(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Zero-mean normalised cross-correlation of two arrays of the same shape, −1 … 1; 0 if one is constant."""
    a, b = a.astype(np.float64) - a.mean(), b.astype(np.float64) - b.mean()
    norm = float(np.sqrt(np.sum(a**2) * np.sum(b**2)))
    return float(np.sum(a * b)) / norm if norm > 0 else 0.0


def estimate_blur(hr: LinearReduced, lr_luma: Float32, p_hr: Array, scale: int, *, within_lr_px: float = 0.01) -> float:
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
    within_lr_px : float
        Error of σ, in LR px, up to which it is searched.
    """
    every = max(1, int(np.sqrt(lr_luma.size / _ENOUGH_PIXELS)))
    lr_luma, p_hr = lr_luma[::every, ::every], p_hr[::every, ::every]
    inside = hr.holds(p_hr, margin_hr_px=2 * scale)
    shown = hr.shows(p_hr, scale)
    if shown is not None:
        inside &= shown
    if inside.sum() < _MIN_PIXELS:
        return float(scale)

    part, origin_hr = _around(hr, p_hr[inside], _MAX_BLUR_LR_PX * scale)
    at, seen = p_hr - origin_hr, lr_luma[inside]

    def unlikeness(sigma: float) -> float:
        return -zncc(hr.at(hr.blurred(part, sigma), at)[inside], seen)

    bounds = (0.0, _MAX_BLUR_LR_PX * scale)
    found = minimize_scalar(unlikeness, bounds=bounds, method="bounded", options={"xatol": within_lr_px * scale})
    return float(found.x)


def _around(hr: LinearReduced, p_hr: Array, sigma_hr_px: float) -> tuple[Float32, Array]:
    """The part of HR's luma that blurs up to σ bring to positions (N, 2), and its origin in HR px."""
    reach = _KERNEL_REACH * sigma_hr_px + 2 * hr.factor
    low, high = p_hr.min(axis=0) - reach, p_hr.max(axis=0) + reach
    left, top = np.clip(low // hr.factor, 0, None).astype(int)
    right, bottom = np.clip(high // hr.factor + 1, [left + 1, top + 1], np.array(hr.luma.shape[::-1])).astype(int)
    return np.ascontiguousarray(hr.luma[top:bottom, left:right]), hr.factor * np.array([left, top])
