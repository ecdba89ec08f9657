"""How well can the mapping between two noisy captures of one scale be estimated at best? A Cramér–Rao bound.

The observer knows the light, both blurs, the tone curve and the noise of both captures, and uses all three colours. It
does not know the scene and the nine parameters of the mapping. The information at a frequency is then the power of the
slopes of LR without noise, divided by the noise of LR plus that of HR after the blur. Rounding, JPEG and demosaicing
make an estimate worse, and so do the parameters of light and blur that have to be estimated as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from d2crealsr.imaging import geometry
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array

__all__ = ["NoisyPair", "bound"]

_BORDER = 6
"""Pixels along the border of LR that the observer does not use."""
_LENS_PRIOR = 0.01
"""Standard deviation of the lens' k1 that the observer expects, as refinement does."""


@dataclass(frozen=True, kw_only=True)
class NoisyPair:
    """What the observer knows.

    Attributes
    ----------
    light : (h, w, 3) ndarray
        What LR would show without noise, in linear light.
    variance : (h, w, 3) ndarray
        Of the noise of LR's pixels, in the units of ``light``.
    ratio : float
        Variance of HR's noise over LR's, after HR was brought to the brightness of LR.
    blur : float
        Standard deviation of the blur that makes HR look like LR, in px.
    share : (3,) ndarray
        Share of the pixels that measure each colour.
    """

    light: NDArray[np.floating[Any]]
    variance: NDArray[np.floating[Any]]
    ratio: float
    blur: float
    share: Array


def bound(pair: NoisyPair, mapping: CaptureMapping, at: Array) -> float:
    """Root mean square over positions (N, 2) in HR of the least possible standard error, in px."""
    unit = geometry.UnitFrame.of(mapping.hr_size)
    inner = np.s_[_BORDER:-_BORDER, _BORDER:-_BORDER]
    p_lr = geometry.pixel_centres(Size.of(pair.light))[inner].reshape(-1, 2)
    moves = _moves(unit.of_points(mapping.lr_to_hr(p_lr))) * unit.length
    information = np.zeros((moves.shape[2],) * 2)
    information[-1, -1] = 1 / _LENS_PRIOR**2
    for channel, share in enumerate(pair.share):
        slopes = _slopes_over_noise(pair, channel)[inner].reshape(-1, 2)
        jacobian = np.einsum("na,nap->np", slopes, moves)
        information += share * jacobian.T @ jacobian
    size = np.sqrt(np.diag(information))
    covariance = np.linalg.pinv(information / np.outer(size, size), hermitian=True) / np.outer(size, size)
    here = _moves(unit.of_points(at)) * unit.length
    return float(np.sqrt(np.mean(np.einsum("nap,pq,naq->n", here, covariance, here))))


def _slopes_over_noise(pair: NoisyPair, channel: int) -> Array:
    """Derivatives of a channel in x and y over the standard deviation of both captures' noise, (h, w, 2)."""
    height, width = pair.light.shape[:2]
    mirrored = np.pad(pair.light[..., channel], ((0, height), (0, width)), mode="symmetric")
    v, u = np.fft.fftfreq(2 * height)[:, None], np.fft.rfftfreq(2 * width)
    power_of_blur = np.exp(-4 * np.pi**2 * pair.blur**2 * (u**2 + v**2))
    spectrum = np.fft.rfft2(mirrored) * 2j * np.pi / np.sqrt(1 + pair.ratio * power_of_blur)
    slopes = [np.fft.irfft2(spectrum * along, mirrored.shape)[:height, :width] for along in (u, v)]
    over_noise: Array = np.stack(slopes, axis=-1) / np.sqrt(pair.variance[..., channel])[..., None]
    return over_noise


def _moves(points: Array) -> Array:
    """How homography and lens move unit-frame points: (N, 2, 9)."""
    by_lens = -points * np.sum(points**2, axis=1, keepdims=True)
    return np.concatenate([geometry.homography_terms(*points.T, *points.T), by_lens[..., None]], axis=2)
