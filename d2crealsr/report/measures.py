"""Numbers for the figures of one pair: joint histogram, illumination field, spectra, share of clipped pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from d2crealsr.imaging import geometry, spectrum

if TYPE_CHECKING:
    from d2crealsr.imaging.estimate import Estimate
    from d2crealsr.types import Array

__all__ = ["SPECTRUM_BINS", "amplitude_ratio", "field_over", "histogram_picture", "mask_picture", "tone_counts"]

Float32 = NDArray[np.float32]

SPECTRUM_BINS = spectrum.BINS

_HISTOGRAM_BINS = 64
_HISTOGRAM_COLOUR = (58, 138, 200)
_MASK_COLOUR = (214, 0, 147, 150)


def tone_counts(hr_luma: Float32, lr_luma: Float32) -> NDArray[np.int64]:
    """Joint histogram of HR's luma (columns) and LR's (rows, from dark to bright), both on [0, 1]; nan is ignored."""
    known = np.isfinite(hr_luma) & np.isfinite(lr_luma)
    counts, _, _ = np.histogram2d(lr_luma[known], hr_luma[known], bins=_HISTOGRAM_BINS, range=((0, 1), (0, 1)))
    return counts.astype(np.int64)


def histogram_picture(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A joint histogram as RGBA: bright tones are at the top and right, and opacity is the logarithm of the count."""
    opacity = np.log1p(counts[::-1]) / max(float(np.log1p(counts.max(initial=0))), 1e-9)
    picture = np.empty((*counts.shape, 4), np.uint8)
    picture[..., :3] = _HISTOGRAM_COLOUR
    picture[..., 3] = np.rint(255 * np.where(counts[::-1] > 0, 0.15 + 0.85 * opacity, 0))
    return picture


def mask_picture(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A mask as RGBA to be laid over a view: coloured where it is set, transparent elsewhere."""
    picture = np.zeros((*mask.shape, 4), np.uint8)
    picture[mask] = _MASK_COLOUR
    return picture


def field_over(estimate: Estimate, shape: tuple[int, int]) -> Array:
    """The illumination field over the crop, at ``shape`` (rows, columns) evenly spaced points."""
    mapping, crop = estimate.placement.mapping, estimate.placement.crop
    rows, columns = shape
    x = crop.x + (np.arange(columns) + 0.5) * crop.width / columns - 0.5
    y = crop.y + (np.arange(rows) + 0.5) * crop.height / rows - 0.5
    p_hr = mapping.lr_to_hr(np.stack(np.meshgrid(x, y), axis=-1))
    return estimate.light.field(*np.moveaxis(geometry.UnitFrame.of(mapping.hr_size).of_points(p_hr), -1, 0))


def amplitude_ratio(hr_luma: Float32, lr_luma: Float32, samples_per_lr_px: float) -> Array:
    """Amplitude spectrum of HR divided by that of LR, by spatial frequency, (:data:`SPECTRUM_BINS`,).

    Parameters
    ----------
    hr_luma, lr_luma : (H, W), (h, w) ndarray
        Linear luminance of the same crop.
    samples_per_lr_px : float
        Number of HR samples per LR px, along one direction.

    Notes
    -----
    See :func:`d2crealsr.imaging.spectrum.amplitude`. LR is HR with a wider blur. The ratio is therefore 1 at low
    frequency and rises by the amount that super-resolution has to restore, until noise and aliasing of LR dominate.
    """
    hr, lr = spectrum.amplitude(hr_luma, samples_per_lr_px), spectrum.amplitude(lr_luma, 1)
    ratio: Array = np.divide(hr, lr, out=np.full_like(hr, np.nan), where=lr > 0)
    return ratio
