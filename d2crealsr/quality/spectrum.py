"""How much detail HR and LR hold at each fineness: spectra averaged over all directions, on LR's scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from d2crealsr.types import Array, Image

__all__ = ["FREQUENCIES", "Spectra", "spectra", "tone_pairs"]

_EDGES = np.linspace(0.02, 0.5, 25)
FREQUENCIES: Array = (_EDGES[:-1] + _EDGES[1:]) / 2
"""Cycles per LR px at which spectra are given; .5 is the finest stripe that LR can hold."""

_WINDOW_LR_PX = 128
"""Longest side of the central part that is looked at: enough for a mean, and quick at any size."""
_JPEG_LUMA = np.array([0.299, 0.587, 0.114])


class Spectra(NamedTuple):
    """Root mean square amplitude of HR and LR at :data:`FREQUENCIES`, each (24,), in shares of the full range."""

    hr: Array
    lr: Array


def spectra(hr: Image, lr: Image) -> Spectra:
    """Radially averaged spectra of a pair's encoded luma, over its central part.

    Parameters
    ----------
    hr : (s·h, s·w, 3) ndarray
        Published HR, s a whole number.
    lr : (h, w, 3) ndarray
        Published LR.

    Returns
    -------
    Spectra
        On one scale: a picture without any detail of its own between LR's pixels has the same in both. nan at
        frequencies that a very small picture has not.
    """
    scale = hr.shape[0] // lr.shape[0]
    height, width = (min(length, _WINDOW_LR_PX) for length in lr.shape[:2])
    top, left = (lr.shape[0] - height) // 2, (lr.shape[1] - width) // 2
    part = lr[top : top + height, left : left + width]
    same = hr[scale * top : scale * (top + height), scale * left : scale * (left + width)]
    return Spectra(_amplitude(_luma(same), scale), _amplitude(_luma(part), 1))


def tone_pairs(hr: Image, lr: Image, *, side_lr_px: int = 4) -> tuple[Array, Array]:
    """Encoded luma of HR and of LR, each averaged over the same squares, in shares of the full range.

    Averages over squares of several LR px tell tones from sharpness: a pair of equal brightness lies on the diagonal,
    though LR is the blurrier of the two.

    Parameters
    ----------
    hr : (s·h, s·w, 3) ndarray
    lr : (h, w, 3) ndarray
    side_lr_px : int
        Side of the squares.

    Returns
    -------
    hr, lr : (N,) ndarray
    """
    scale = hr.shape[0] // lr.shape[0]
    return _averages(_luma(hr), scale * side_lr_px).ravel(), _averages(_luma(lr), side_lr_px).ravel()


def _luma(image: Image) -> Array:
    full: float = np.iinfo(image.dtype).max
    return np.asarray(image @ _JPEG_LUMA, dtype=np.float64) / full


def _averages(channel: Array, side: int) -> Array:
    rows, columns = (max(1, length // side) for length in channel.shape)
    side = min(side, *channel.shape)
    inner = channel[: rows * side, : columns * side]
    return np.asarray(inner.reshape(rows, side, columns, side).mean(axis=(1, 3)))


def _amplitude(channel: Array, px_per_lr_px: int) -> Array:
    """Spectrum at :data:`FREQUENCIES`; a Hann window keeps the frame's edge out of it."""
    height, width = channel.shape
    window = np.hanning(height)[:, None] * np.hanning(width)
    centred = (channel - channel.mean()) * window
    power = np.abs(np.fft.rfft2(centred)) ** 2 / (np.sum(window**2) * px_per_lr_px**2)
    frequency = px_per_lr_px * np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    place: NDArray[Any] = np.digitize(frequency.ravel(), _EDGES) - 1
    inside = (place >= 0) & (place < len(FREQUENCIES))
    count = np.bincount(place[inside], minlength=len(FREQUENCIES))
    total = np.bincount(place[inside], power.ravel()[inside], minlength=len(FREQUENCIES))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt(total / count))
