"""Look for the period that digital enlargement leaves in the second differences of a capture.

An enlarged picture is computed from fewer pixels. Where a new pixel lies between the old ones decides how strongly it
was smoothed, so the mean second difference goes up and down with the period of the enlargement.

References
----------
A. C. Gallagher, "Detection of Linear and Cubic Interpolation in JPEG Compressed Images", CRV 2005,
doi:10.1109/CRV.2005.33.
M. Kirchner, "Fast and Reliable Resampling Detection by Spectral Analysis of Fixed Linear Predictor Residue", MM&Sec
2008, doi:10.1145/1411328.1411333.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from d2crealsr import opencv
from d2crealsr.imaging import photometry

if TYPE_CHECKING:
    from d2crealsr.types import Array, Crop, Image

__all__ = ["enlarged_by"]

_MOST_ALONG, _MOST_ACROSS = 2048, 512
"""Px of the part that are looked at: along the direction of the differences, and across it."""
_STRONG_LEVELS = 8.0
"""Second difference, in levels of 255, from which an edge counts no more: it is the picture's own."""
_TREND_PX = 33
"""Px over which the mean second difference is averaged to remove what changes slowly."""

_JPEG_PX = 8
_INSIDE = np.arange(1, _JPEG_PX - 1)
"""Side of JPEG's blocks, and the positions in a block that are looked at: those on its border are JPEG's own."""
_LONGEST = 16.0
_LINES = 8192
"""Longest period in px, and the length to which the series are padded for their spectra."""

_STRENGTH, _OVER_OTHERS = 0.06, 10.0
"""A period is seen where its amplitude, as a share of the mean second difference, and as a multiple of the median of
all frequencies, reaches these."""
_STRENGTH_IN_BLOCKS = 0.27
"""The same share for periods of 8 and 4 px, which JPEG's blocks have as well, although weakly inside the blocks."""
_BESIDE_PX = 6
"""Frequencies this close to those of the blocks, in periods over the length of the series, are theirs as well."""


def enlarged_by(capture: Image, part: Crop, expected: float) -> float:
    """The factor by which a capture was enlarged digitally; nan where no period is seen.

    A period says that a factor is likely. That there is none says little: smooth kernels, sharpening and compression
    hide it, and a factor of exactly 2 leaves none.

    Parameters
    ----------
    capture : (H, W, 3) ndarray
        The capture as it was read, before it is resampled.
    part : Crop
        The rectangle to look at, in px of the capture.
    expected : float
        About the factor that the detail of the capture suggests. It decides between the two factors that leave the
        same period, as 3 and 1.5 do.
    """
    series = [_relative(*_series(capture, part, axis)) for axis in (0, 1)]
    blocks = np.array(
        [[relative[positions % _JPEG_PX == at].mean() for at in _INSIDE] for relative, positions in series]
    )
    swing = np.sqrt(2) * blocks.std(axis=1)
    if np.sqrt(swing.prod()) >= _STRENGTH_IN_BLOCKS:
        left, middle, right = blocks.reshape(2, 3, 2).mean(axis=(0, 2))
        return 4.0 if middle < min(left, right) else 8.0
    # A print has its periods in one direction, or different ones in both; an enlargement has the same in both.
    strength = np.sqrt(np.prod([_spectrum(*one, block) for one, block in zip(series, blocks, strict=True)], axis=0))
    frequencies = np.arange(len(strength)) / _LINES
    in_blocks = frequencies * _JPEG_PX
    beside = np.abs(in_blocks - np.rint(in_blocks)) < _JPEG_PX * _BESIDE_PX / min(len(one[0]) for one in series)
    looked_at = (frequencies > 1 / _LONGEST) & ~beside
    if not looked_at.any():
        return float("nan")
    strength, frequencies = strength[looked_at], frequencies[looked_at]
    best = int(strength.argmax())
    if strength[best] < max(_STRENGTH, _OVER_OTHERS * float(np.median(strength))):
        return float("nan")
    factors = 1 / frequencies[best], 1 / (1 - frequencies[best])
    return float(min(factors, key=lambda factor: abs(np.log(factor / expected))))


def _series(capture: Image, part: Crop, axis: int) -> tuple[Array, Array]:
    """Mean second difference along an axis (1: x) at positions 1, 2, … of a central strip, and these positions."""
    x, y = _middle(part.x, part.width, axis == 1), _middle(part.y, part.height, axis == 0)
    pixels = capture[y, x] if axis == 1 else capture[y, x].swapaxes(0, 1)
    luma = 255 * photometry.encoded_luma(opencv.as_image(np.ascontiguousarray(pixels)))
    second = np.abs(luma[:, :-2] - 2 * luma[:, 1:-1] + luma[:, 2:])
    mean: Array = np.minimum(second, _STRONG_LEVELS).mean(axis=0, dtype=np.float64)
    return mean, np.arange(len(mean)) + 1 + (x if axis == 1 else y).start


def _middle(first: int, length: int, along: bool) -> slice:
    """The middle of a side of the part: as much as is looked at along the differences, or across them."""
    used = min(length, _MOST_ALONG if along else _MOST_ACROSS)
    start = first + (length - used) // 2
    return slice(start, start + used)


def _relative(series: Array, positions: Array) -> tuple[Array, Array]:
    """A series divided by its trend, less 1, and 0 on the borders of JPEG's blocks; and its positions."""
    inside = np.isin(positions % _JPEG_PX, _INSIDE)
    around = np.ones(_TREND_PX)
    trend = np.convolve(series * inside, around, "same") / np.maximum(np.convolve(inside, around, "same"), 1)
    return np.where(inside, series / np.maximum(trend, 1e-3) - 1, 0), positions


def _spectrum(relative: Array, positions: Array, block: Array) -> Array:
    """Amplitude at frequencies 0, 1/_LINES, … of a series without what all blocks have in common."""
    common = np.zeros(_JPEG_PX)
    common[_INSIDE] = block
    window = np.hanning(len(relative)) * np.isin(positions % _JPEG_PX, _INSIDE)
    spectrum = np.fft.rfft((relative - common[positions % _JPEG_PX]) * window, _LINES)
    amplitude: Array = 2 * np.abs(spectrum) / float(window.sum())
    return amplitude
