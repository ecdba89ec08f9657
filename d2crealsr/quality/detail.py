"""Measure up to which scale the published HR holds detail of its own.

A natural picture seen by a perfect lens has a power spectral density near 1/f³ (edges in all directions), so f³ times
the density is about level. A lens, a shake, a coarse print or the enlargement of a smaller picture end it: beyond the
frequency up to which detail was recorded, it falls steeply, whatever sharpening was done afterwards. That frequency is
the measured number. It is similar to the MTF50 of lens tests, but needs no test chart.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from d2crealsr.imaging import photometry
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.types import Array, Image

__all__ = ["detail_scale"]

_TILE_LR_PX = 16
"""Side of the tiles whose spectra are measured. The smallest crop holds nine that overlap by half."""
_MOST_TILES = 48
"""Tiles that suffice, which bounds time and memory for crops of any size."""

_LOWEST, _NYQUIST = 0.18, 0.5
"""Frequencies in cycles per LR px between which LR itself shows detail: the power there is the yardstick."""
_RINGS_PER_OCTAVE = 4

_QUIET = 0.1
"""Share of the tiles that show least. What is in them is taken for noise, because noise is everywhere and detail is
not."""
_ROUNDING = 0.1
"""Power of the rounding to 8 bits (1/12 squared levels) and a little more, which no tile is without."""

_LEFT = 0.25
"""Share of the yardstick at which detail ends: half the amplitude."""


class _Rings(NamedTuple):
    """Rings of spatial frequency: middle of each in cycles per LR px, (n,); ring of each FFT value; counts, (n,)."""

    frequencies: Array
    of_value: NDArray[np.intp]
    counts: NDArray[np.intp]


def detail_scale(published: Image, scale: int) -> float:
    """The scale up to which HR holds detail beyond its noise, in HR px per LR px: at most ``scale``.

    It is 1 if the detail ends where LR's own must end, at LR's Nyquist frequency, and 0 for a picture without detail.
    An ordinary lens records up to about half of the scale, so at ×2 it ends near 1.

    Parameters
    ----------
    published : (scale·h, scale·w, 3) ndarray
        The published HR, with at least 32 LR px a side. Grey pictures have three equal channels.
    scale : int

    Notes
    -----
    1. The spectra of tiles of encoded luma are averaged over rings of frequency.
    2. The power of detail is the mean over the tiles, less that of the quietest tenth. Noise has about the same power
       in all tiles, since encoding makes it about equal in light and shade.
    3. f³ times the power is compared with its largest value in the band that LR shows, .18 to .5 cycles per LR px. The
       first frequency f above that at which a quarter is left gives the scale, 2·f.

    References
    ----------
    D. J. Field, "Relations between the statistics of natural images and the response properties of cortical cells",
    J. Opt. Soc. Am. A 4, 1987.
    """
    if scale == 1:
        return 1.0
    rings = _rings(_TILE_LR_PX * scale, scale)
    power = np.array([_powers(tile, rings) for tile in _tiles(published, _TILE_LR_PX * scale)])
    own = power.mean(axis=0) - np.quantile(power, _QUIET, axis=0) - _ROUNDING
    level = _smooth(rings.frequencies**3 * np.maximum(own, 0))
    seen = np.flatnonzero(rings.frequencies < _NYQUIST)
    highest = int(seen[level[seen].argmax()])
    if level[highest] <= 0:
        return 0.0
    left = level[highest:] / level[highest]
    ended = np.flatnonzero(left < _LEFT)
    if not len(ended):
        return float(scale)
    end = _crossing(rings.frequencies[highest:], left, int(ended[0]))
    return float(min(2 * end, scale))


def _crossing(frequencies: Array, left: Array, below: int) -> float:
    """The frequency at which the threshold lies between two rings, on logarithmic axes."""
    high, low = np.log(np.maximum(left[below - 1 : below + 1], 1e-9) / _LEFT)
    part = high / (high - low)
    return float(frequencies[below - 1] ** (1 - part) * frequencies[below] ** part)


def _smooth(level: Array) -> Array:
    """The level averaged over three neighbouring rings, as a single ring is uncertain."""
    wide = np.pad(level, 1, mode="edge")
    mean: Array = (wide[:-2] + 2 * wide[1:-1] + wide[2:]) / 4
    return mean


def _tiles(published: Image, side: int) -> list[Image]:
    """Evenly spread square tiles that overlap by up to a half, at most :data:`_MOST_TILES`."""
    size = Size.of(published)
    lefts, tops = (np.linspace(0, length - side, 2 * (length // side) - 1).astype(int) for length in size)
    corners = [(x, y) for y in tops for x in lefts]
    chosen = np.unique(np.linspace(0, len(corners) - 1, min(len(corners), _MOST_TILES)).astype(int))
    return [published[y : y + side, x : x + side] for x, y in (corners[i] for i in chosen)]


def _powers(tile: Image, rings: _Rings) -> Array:
    """Mean power spectral density of a tile in each ring under a Hann window, in squared levels of 255."""
    luma = 255 * photometry.encoded_luma(tile)
    window = _window(len(luma))
    luma -= (luma * window).sum() / window.sum()
    power = np.abs(np.fft.rfft2(luma * window)) ** 2 / np.sum(window**2)
    total = np.bincount(rings.of_value, power.ravel(), len(rings.counts) + 1)
    mean: Array = total[:-1] / rings.counts
    return mean


@cache
def _window(side: int) -> NDArray[np.float32]:
    return np.outer(np.hanning(side), np.hanning(side)).astype(np.float32)


@cache
def _rings(side: int, scale: int) -> _Rings:
    """Rings from the lowest frequency to HR's Nyquist frequency. Values outside belong to a ring after the last."""
    octaves = np.log2(scale * _NYQUIST / _LOWEST)
    edges = _LOWEST * 2 ** (np.arange(int(octaves * _RINGS_PER_OCTAVE) + 1) / _RINGS_PER_OCTAVE)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) * scale
    ring = np.digitize(frequency, edges).ravel() - 1
    count = len(edges) - 1
    ring[(ring < 0) | (ring >= count)] = count
    return _Rings(np.sqrt(edges[1:] * edges[:-1]), ring, np.bincount(ring, minlength=count + 1)[:-1])
