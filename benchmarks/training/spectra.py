"""Spectra of images, and how much of the waves in HR an image keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["kept_amplitude", "spectrum"]


def spectrum(luma: NDArray[np.floating]) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """The spectrum of an image without its mean, under a Hann window, and the frequency of each value in cycles/px."""
    height, width = luma.shape
    window = np.hanning(height)[:, None] * np.hanning(width)
    values = np.fft.fft2((luma - luma.mean()) * window)
    return values, np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))


def kept_amplitude(
    images: Iterable[tuple[NDArray[np.floating], NDArray[np.floating]]], frequencies: Sequence[float], band: float
) -> list[float]:
    """The share of HR's amplitude that some images keep, by frequency: the cross spectrum over HR's power, real part.

    What an image has of its own, such as noise, counts for nothing, and what is displaced against HR counts for less.

    Parameters
    ----------
    images : iterable of ((H, W) ndarray, (H, W) ndarray)
        An image and its HR. The spectra are summed over all of them.
    frequencies : sequence of float
        Middles of rings of the spectrum, in cycles per px of these images.
    band : float
        Half the width of a ring.
    """
    both, power = np.zeros(len(frequencies)), np.zeros(len(frequencies))
    for image, hr in images:
        (values, frequency), (true, _) = spectrum(image), spectrum(hr)
        for k, middle in enumerate(frequencies):
            ring = np.abs(frequency - middle) < band
            both[k] += (values[ring] * true[ring].conj()).real.sum()
            power[k] += (np.abs(true[ring]) ** 2).sum()
    return [float(share) for share in both / power]
