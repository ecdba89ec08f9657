"""Metrics, each with a protocol that makes its numbers comparable. Images are ``(H, W, 3)`` RGB.

``basicsr-y`` (the default) is the protocol of BasicSR and of most publications: 8-bit images, unrounded BT.601 Y, peak
255, with a border of ``scale`` pixels removed. ``d2c-released`` uses the formulas of the released D2C-SR code,
including its errors: it applies weights for RGB to colours in the order BGR, and its SSIM uses constants for a peak of
1 although Y ends at 0.859. Numbers by this protocol can be compared only with each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, cast

import numpy as np
from scipy.ndimage import correlate1d
from skimage.metrics import structural_similarity

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "PROTOCOLS",
    "Protocol",
    "Quality",
    "least_side",
    "psnr_released",
    "psnr_y",
    "quality",
    "ssim_released",
    "ssim_y",
    "to_float",
    "to_uint8",
    "y_basicsr",
    "y_released",
]

Pixels: TypeAlias = "NDArray[Any]"
Plane: TypeAlias = "NDArray[np.float64]"
Protocol: TypeAlias = Literal["basicsr-y", "d2c-released"]

PROTOCOLS: tuple[Protocol, ...] = ("basicsr-y", "d2c-released")

_SSIM_WINDOW = 11


class Quality(NamedTuple):
    """PSNR in dB and SSIM of one image by one protocol."""

    psnr: float
    ssim: float


def to_uint8(image: Pixels) -> NDArray[np.uint8]:
    """Convert to 8 bit, rounded: 16 bit is divided by 257, floats are clipped to [0, 1] and multiplied by 255."""
    if image.dtype == np.uint8:
        return cast("NDArray[np.uint8]", image)
    if image.dtype == np.uint16:
        return np.rint(image / 257.0).astype(np.uint8)
    if not np.issubdtype(image.dtype, np.floating):
        raise TypeError(f"image: got {image.dtype}, expected uint8, uint16 or floats on [0, 1]")
    return np.rint(np.clip(image, 0, 1) * 255.0).astype(np.uint8)


def to_float(image: Pixels) -> Plane:
    """Convert to float64 on [0, 1]. The values of floats are not changed."""
    if np.issubdtype(image.dtype, np.integer):
        return np.asarray(image / float(np.iinfo(image.dtype).max))
    return image.astype(np.float64)


def y_basicsr(image: Pixels) -> Plane:
    """BT.601 Y of the 8-bit image, 16 to 235, unrounded, in float64. It is NaN where the image is."""
    unknown = np.isnan(image) if np.issubdtype(image.dtype, np.floating) else np.zeros((), bool)
    rgb = to_uint8(np.where(unknown, 0, image) if unknown.any() else image).astype(np.float64)
    if unknown.any():
        rgb[unknown] = np.nan
    return np.asarray((65.481 * rgb[..., 0] + 128.553 * rgb[..., 1] + 24.966 * rgb[..., 2]) / 255.0 + 16.0)


def y_released(image: Pixels) -> Plane:
    """Y of the released code on [0, 0.859], which applies the weights for R, G, B to B, G, R."""
    rgb = to_float(image)
    return np.asarray((65.738 * rgb[..., 2] + 129.057 * rgb[..., 1] + 25.064 * rgb[..., 0]) / 256.0)


def psnr_y(sr: Pixels, hr: Pixels, border: int) -> float:
    """PSNR of Y in dB, protocol ``basicsr-y``; infinite for equal images.

    Parameters
    ----------
    sr, hr : (H, W, 3) ndarray
        RGB, uint8, uint16 (divided by 257), or floats on [0, 1] (clipped and rounded to 8 bit).
    border : int
        Pixels to remove from each side. The protocol removes ``scale`` pixels.
    """
    a, b = _planes(y_basicsr, sr, hr, border)
    return _psnr(a, b, 255.0)


def ssim_y(sr: Pixels, hr: Pixels, border: int) -> float:
    """SSIM of Y, protocol ``basicsr-y``: Gaussian window of 11 pixels, σ 1.5, only windows within the cropped image.

    The parameters are those of :func:`psnr_y`.

    References
    ----------
    Wang et al., "Image quality assessment: from error visibility to structural similarity", doi:10.1109/TIP.2003.819861
    """
    a, b = _planes(y_basicsr, sr, hr, border)
    if min(a.shape) < _SSIM_WINDOW:
        raise ValueError(f"ssim_y: {a.shape[1]}x{a.shape[0]} pixels are left after the border, at least 11x11 needed")
    return ssim_of_planes(a, b)


def ssim_of_planes(a: Plane, b: Plane) -> float:
    """SSIM of two planes with a peak of 255, as :func:`ssim_y`."""
    similarity: Any = structural_similarity  # scikit-image has no types for it
    return float(similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255.0))


def psnr_released(sr: Pixels, hr: Pixels, border: int) -> float:
    """PSNR in dB as in the released code: clipped, not rounded, without the border. Parameters as in :func:`psnr_y`."""
    a, b = _planes(y_released, np.clip(to_float(sr), 0, 1), np.clip(to_float(hr), 0, 1), border)
    return _psnr(a, b, 1.0)


def ssim_released(sr: Pixels, hr: Pixels) -> float:
    """SSIM as in the released code: the whole image, zeros outside it, not clipped, constants 1e-4 and 9e-4."""
    a, b = _planes(y_released, sr, hr, 0)
    mean_a, mean_b = _window(a), _window(b)
    variance_a, variance_b = _window(a * a) - mean_a**2, _window(b * b) - mean_b**2
    covariance = _window(a * b) - mean_a * mean_b
    c1, c2 = 1e-4, 9e-4
    top = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    bottom = (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    return float((top / bottom).mean())


def quality(sr: Pixels, hr: Pixels, border: int, protocol: Protocol) -> Quality:
    """PSNR and SSIM of one image by a protocol. The arguments are those of :func:`psnr_y`."""
    if protocol == "basicsr-y":
        return Quality(psnr_y(sr, hr, border), ssim_y(sr, hr, border))
    if protocol == "d2c-released":
        return Quality(psnr_released(sr, hr, border), ssim_released(sr, hr))
    raise ValueError(f"protocol: got {protocol!r}, expected one of {', '.join(PROTOCOLS)}")


def least_side(border: int, protocol: Protocol) -> int:
    """Smallest side of an image that can be measured: the borders, and the window of SSIM if it must lie inside."""
    return 2 * border + (_SSIM_WINDOW if protocol == "basicsr-y" else 1)


def _planes(y: Any, sr: Pixels, hr: Pixels, border: int) -> tuple[Plane, Plane]:
    if sr.shape != hr.shape or sr.ndim != 3 or sr.shape[2] != 3:
        raise ValueError(f"images: got shapes {sr.shape} and {hr.shape}, expected two equal (H, W, 3)")
    if border < 0 or 2 * border >= min(sr.shape[:2]):
        raise ValueError(f"border: got {border}, expected under half of {sr.shape[1]}x{sr.shape[0]} pixels")
    inside = slice(border, -border or None)
    return y(sr)[inside, inside], y(hr)[inside, inside]


def _psnr(a: Plane, b: Plane, peak: float) -> float:
    error = float(np.mean((a - b) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def _window(plane: Plane) -> Plane:
    """Weighted mean over an 11×11 Gaussian window with σ 1.5; pixels outside the image are 0."""
    x = np.arange(11) - 5
    kernel = np.exp(-(x**2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    rows = correlate1d(plane, kernel, axis=0, mode="constant")
    return np.asarray(correlate1d(rows, kernel, axis=1, mode="constant"))
