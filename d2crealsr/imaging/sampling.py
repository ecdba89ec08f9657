"""Read an image between its pixels: linearly where it is smooth, by a cubic spline where it is as sharp as a capture.

Linear interpolation moves fine detail towards the nearer pixel, and blurs it most half-way between two pixels. This
does not matter at scales above 1, where HR is blurred to LR's resolution and has more pixels than LR. At scale 1 it
does: if the captures are shifted by the same fraction of a pixel everywhere, the errors of all pixels agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv

if TYPE_CHECKING:
    from d2crealsr.types import Array

__all__ = ["SPLINE_REACH", "Kernel", "Sampled", "at_spline", "spline_coefficients"]

Float32 = NDArray[np.float32]
Kernel: TypeAlias = Literal["linear", "spline"]

_POLE = np.sqrt(3) - 2
"""Pole of the recursive filter whose impulse response the prefilter is."""
SPLINE_REACH = 10
"""Taps of the prefilter on each side. Those that are left out are below 1e-6."""

_STEP: dict[Kernel, float] = {"linear": 1.0, "spline": 0.5}
"""Distance in reduced px of the samples from which derivatives are taken."""


def spline_coefficients(image: Float32) -> Float32:
    """Coefficients of the cubic spline that passes through all pixels, (H, W) or (H, W, C); mirrored at the borders.

    References
    ----------
    M. Unser, "Splines: a perfect fit for signal and image processing", 1999, doi:10.1109/79.799930.
    """
    distance = np.abs(np.arange(-SPLINE_REACH, SPLINE_REACH + 1))
    return opencv.separable(image, (6 * _POLE / (_POLE**2 - 1) * _POLE**distance).astype(np.float32))


def at_spline(coefficients: Float32, x: Float32, y: Float32) -> Float32:
    """A cubic spline at positions (h, w) in px of its image.

    The four coefficients along an axis are read as two linear samples between them (Sigg & Hadwiger, "Fast third-order
    texture filtering", GPU Gems 2, 2005), which four calls of :func:`opencv.remap` do for both axes.
    """
    (left, right, to_right), (above, below, to_below) = _pairs(x), _pairs(y)
    if coefficients.ndim == 3:
        to_right, to_below = (
            np.repeat(part[..., None], coefficients.shape[2], axis=2) for part in (to_right, to_below)
        )

    def between(rows: Float32) -> Float32:
        return _mixed(opencv.remap(coefficients, left, rows), opencv.remap(coefficients, right, rows), to_right)

    return _mixed(between(above), between(below), to_below)


def _mixed(first: Float32, second: Float32, to_second: Float32) -> Float32:
    """``first + to_second·(second − first)``, in the memory of the second."""
    second -= first
    second *= to_second
    second += first
    return second


def _pairs(x: Float32) -> tuple[Float32, Float32, Float32]:
    """Along one axis: the positions of both linear samples, and the weight of the second."""
    start: Float32 = np.floor(x)
    t: Float32 = x - start
    square, rest = t * t, 1 - t
    w0, w3 = rest * rest * rest / 6, square * t / 6
    w1 = (t / 2 - 1) * square + np.float32(2 / 3)
    second = cast("Float32", 1 - w0 - w1)
    first, last = cast("Float32", w1 / (w0 + w1)), cast("Float32", w3 / second)
    return start - 1 + first, start + 1 + last, second


@dataclass(frozen=True)
class Sampled:
    """An image on a grid that is ``factor`` times coarser than that of the HR capture, to be read between its pixels.

    Attributes
    ----------
    nodes : (H, W) or (H, W, C) ndarray
        The pixels, or the coefficients of their spline.
    factor : int
    kernel : {"linear", "spline"}
    """

    nodes: Float32
    factor: int
    kernel: Kernel

    @classmethod
    def of(cls, image: Float32, factor: int, kernel: Kernel) -> Sampled:
        """Prepare an image."""
        return cls(image if kernel == "linear" else spline_coefficients(image), factor, kernel)

    def at(self, p_hr: Array) -> Float32:
        """Values at positions (h, w, 2) in the full-resolution HR capture."""
        return self._at(*self._grid(p_hr))

    def with_derivatives(self, p_hr: Array) -> tuple[Float32, Float32, Float32, Float32]:
        """Values, derivatives in x and y, and Laplacian at positions (h, w, 2), per full-resolution px.

        They are differences between neighbours. Filtering the whole image first would give the same.
        """
        x, y = self._grid(p_hr)
        step = np.float32(_STEP[self.kernel])
        value, right, left = (self._at(x + move, y) for move in (np.float32(0), step, -step))
        below, above = (self._at(x, y + move) for move in (step, -step))
        dx, dy = cast("Float32", right - left), cast("Float32", below - above)
        laplacian = cast("Float32", right + left + below + above - 4 * value)
        dx *= 1 / (2 * _STEP[self.kernel] * self.factor)
        dy *= 1 / (2 * _STEP[self.kernel] * self.factor)
        laplacian *= 1 / (_STEP[self.kernel] * self.factor) ** 2
        return value, dx, dy, laplacian

    def _grid(self, p_hr: Array) -> tuple[Float32, Float32]:
        grid = ((p_hr - (self.factor - 1) / 2) / self.factor).astype(np.float32)
        return np.ascontiguousarray(grid[..., 0]), np.ascontiguousarray(grid[..., 1])

    def _at(self, x: Float32, y: Float32) -> Float32:
        if self.kernel == "spline":
            return at_spline(self.nodes, x, y)
        return cast("Float32", opencv.remap(self.nodes, x, y))
