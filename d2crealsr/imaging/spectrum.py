"""Detail of HR and LR by spatial frequency: spectra averaged over all directions, at the scale of LR."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from d2crealsr.imaging import photometry

if TYPE_CHECKING:
    from d2crealsr.types import Array, Image

__all__ = ["BINS", "FREQUENCIES", "Spectra", "amplitude", "spectra", "tone_pairs"]

BINS = 16
"""Rings of spatial frequency between 0 and LR's Nyquist frequency, .5 cycles per LR px."""
FREQUENCIES: Array = (np.arange(BINS) + 0.5) / (2 * BINS)
"""Middle of each ring, in cycles per LR px."""

_WINDOW_LR_PX = 128
"""Longest side of the central part that is used. It is enough for a mean, and fast for images of any size."""


class Spectra(NamedTuple):
    """Root mean square amplitude of HR and LR at :data:`FREQUENCIES`, each (:data:`BINS`,), in linear light."""

    hr: Array
    lr: Array


def spectra(hr: Image, lr: Image, *, tone: str = "srgb") -> Spectra:
    """Spectra of a pair's linear luminance, over its central part.

    Parameters
    ----------
    hr : (s·h, s·w, 3) ndarray
        Published HR, s a whole number.
    lr : (h, w, 3) ndarray
        Published LR.
    tone : str
        Their tone curve, as in the manifest.
    """
    scale = hr.shape[0] // lr.shape[0]
    height, width = (min(length, _WINDOW_LR_PX) for length in lr.shape[:2])
    top, left = (lr.shape[0] - height) // 2, (lr.shape[1] - width) // 2
    part = lr[top : top + height, left : left + width]
    same = hr[scale * top : scale * (top + height), scale * left : scale * (left + width)]
    light = [photometry.luma(photometry.to_linear(image, tone)) for image in (same, part)]
    return Spectra(amplitude(light[0], scale), amplitude(light[1], 1))


def amplitude(luma: NDArray[np.float32], samples_per_lr_px: float) -> Array:
    """Amplitude spectrum averaged over rings of frequency, (:data:`BINS`,); nan in rings that a small picture lacks.

    It is the square root of the power spectral density per LR px² under a Hann window. HR and LR are on the same scale:
    if HR has no detail finer than LR's pixels, both have the same spectrum.

    Parameters
    ----------
    luma : (H, W) ndarray
        Linear luminance.
    samples_per_lr_px : float
        Number of samples per LR px, along one direction.
    """
    height, width = luma.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    mean = float((luma * window).sum() / window.sum())
    power = np.abs(np.fft.rfft2((luma - mean) * window)) ** 2 / (window**2).sum() / samples_per_lr_px**2
    fy, fx = np.fft.fftfreq(height, 1 / samples_per_lr_px), np.fft.rfftfreq(width, 1 / samples_per_lr_px)
    ring = (np.hypot(fy[:, None], fx[None]) * 2 * BINS).astype(int)
    inside = ring < BINS
    total = np.bincount(ring[inside], power[inside], BINS)
    count = np.bincount(ring[inside], minlength=BINS)
    density: Array = np.divide(total, count, out=np.full(BINS, np.nan), where=count > 0)
    return np.asarray(np.sqrt(density))


def tone_pairs(hr: Image, lr: Image, *, side_lr_px: int = 4) -> tuple[Array, Array]:
    """Encoded luma of HR and LR, both averaged over the same squares, as a share of the full range.

    Averages over squares of several LR px compare tones and not sharpness. A pair with equal brightness therefore lies
    on the diagonal, although LR is more blurred.

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
    return _averages(_encoded_luma(hr), scale * side_lr_px).ravel(), _averages(_encoded_luma(lr), side_lr_px).ravel()


def _encoded_luma(image: Image) -> Array:
    weights: Array = photometry.JPEG_LUMA / np.iinfo(image.dtype).max
    return np.asarray(image.astype(np.float64) @ weights)


def _averages(channel: Array, side: int) -> Array:
    rows, columns = (max(1, length // side) for length in channel.shape)
    side = min(side, *channel.shape)
    inner = channel[: rows * side, : columns * side]
    return np.asarray(inner.reshape(rows, side, columns, side).mean(axis=(1, 3)))
