"""Light: tone curves, tables between stored values and linear light, and the matching of brightness between two shots.

Convention: linear light and encoded values are on [0, 1]; a stored value v of b bits is v / (2^b − 1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging.channels import times_each
from d2crealsr.imaging.tone_family import is_curve, named_curve
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.types import Array, Image

__all__ = [
    "JPEG_LUMA",
    "LUMA",
    "Photometry",
    "as_8bit",
    "decode_tone",
    "encode_clipped",
    "encode_tone",
    "encode_with_slope",
    "encoded_luma",
    "fit_brightness",
    "luma",
    "quantised",
    "reduced_clipping",
    "reduced_linear",
    "robust_least_squares",
    "saturated",
    "to_linear",
]

Float32 = NDArray[np.float32]
_Plane = TypeVar("_Plane", bound=NDArray[Any])

LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
"""Luminance weights of linear RGB (ITU-R BT.709)."""

JPEG_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of *encoded* RGB in JPEG's luma (ITU-T T.871), which JPEG stores at full resolution."""

_STRIP_ROWS = 128


def decode_tone(encoded: NDArray[Any], tone: str) -> NDArray[Any]:
    """Convert encoded values to linear light.

    The curve is ``"srgb"`` (IEC 61966-2-1), ``"gamma=G"`` (power G), ``"curve=A:B:C…"``
    (:mod:`~d2crealsr.imaging.tone_family`), or ``"linear"``, which changes nothing.
    """
    if is_curve(tone):
        return named_curve(tone).decoded(encoded)
    if tone == "srgb":
        return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return cast("NDArray[Any]", encoded ** _exponent(tone))


def encode_tone(linear: NDArray[Any], tone: str) -> NDArray[Any]:
    """Convert linear light to encoded values: the inverse of :func:`decode_tone`. Input below 0 becomes 0."""
    linear = np.maximum(linear, 0)
    if is_curve(tone):
        return named_curve(tone).encoded(linear)
    if tone == "srgb":
        return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return cast("NDArray[Any]", linear ** (1 / _exponent(tone)))


def encode_with_slope(linear: Float32, tone: str) -> tuple[Float32, Float32]:
    """:func:`encode_tone` and its derivative in float32. Values that are not positive have the slope at 10⁻⁶."""
    if is_curve(tone):
        index = _table_index(linear)
        encoded, slopes = _encoded_values(tone)[index], _encoding_slopes(tone)[index]
        return encoded + slopes * np.maximum(linear - np.float32(1), 0), slopes
    exponent = np.float32(2.4 if tone == "srgb" else _exponent(tone))
    positive: Float32 = np.maximum(linear, np.float32(1e-6))
    root: Float32 = np.exp(np.log(positive) / exponent)  # faster than a power
    slope: Float32 = root / (positive * exponent)
    dark = linear <= np.float32(0.0031308 if tone == "srgb" else 0)
    if tone == "srgb":
        root, slope = root * np.float32(1.055) - np.float32(0.055), slope * np.float32(1.055)
        slope[dark] = 12.92
    root[dark] = np.maximum(linear[dark], 0) * np.float32(12.92)
    return root, slope


def _exponent(tone: str) -> float:
    name, _, value = ("gamma=1" if tone == "linear" else tone).partition("=")
    if name != "gamma":
        raise ValueError(f"tone: got {tone!r}, expected 'srgb' or 'gamma=G' with G from 1 to 3.5")
    return float(value)


@cache
def _decoding_table(levels: int, tone: str) -> Float32:
    return decode_tone(np.arange(levels) / (levels - 1), tone).astype(np.float32)


def to_linear(image: Image, tone: str) -> Float32:
    """Convert stored values to linear light, as float32 of the same shape."""
    return opencv.looked_up(image, _decoding_table(np.iinfo(image.dtype).max + 1, tone))


_ENCODER_BITS = 20
_CURVES_KEPT = 8
"""Number of curves whose tables, of 4 MB each, are kept: those of `--tone auto` and one more."""


@lru_cache(_CURVES_KEPT)
def _encoded_values(tone: str) -> Float32:
    return encode_tone(np.arange((1 << _ENCODER_BITS) + 1) / (1 << _ENCODER_BITS), tone).astype(np.float32)


def encode_clipped(linear: Float32, tone: str) -> Float32:
    """:func:`encode_tone` of linear light clipped to [0, 1], by a table with errors below 2·10⁻⁵."""
    return np.take(_encoded_values(tone), _table_index(linear))


@lru_cache(_CURVES_KEPT)
def _encoding_slopes(tone: str) -> Float32:
    """Derivative of the values of :func:`_encoded_values` by linear light."""
    curve = named_curve(tone)
    linear = np.arange((1 << _ENCODER_BITS) + 1) / (1 << _ENCODER_BITS)
    return np.interp(linear, curve.table, curve.slope()).astype(np.float32)


def _table_index(linear: Float32) -> NDArray[np.int32]:
    index = np.clip(linear, 0, 1)
    index *= np.float32(1 << _ENCODER_BITS)
    index += np.float32(0.5)
    return index.astype(np.int32)


@lru_cache(_CURVES_KEPT)
def _encoding_table(tone: str) -> NDArray[np.uint8]:
    """Table from linear light in steps of 2^−20 to stored values. A step changes sRGB by at most .0032 of a level."""
    linear = np.arange((1 << _ENCODER_BITS) + 1) / (1 << _ENCODER_BITS)
    stored: NDArray[np.uint8] = np.rint(encode_tone(linear, tone) * 255).astype(np.uint8)
    return stored


def quantised(linear: Float32, tone: str, dtype: np.dtype[Any]) -> Image:
    """Convert linear light to stored values of ``dtype``, clipped to its range and rounded once."""
    if dtype == np.uint8:
        index = linear * np.float32(1 << _ENCODER_BITS)
        index += np.float32(0.5)
        np.clip(index, 0, np.float32(1 << _ENCODER_BITS), out=index)
        return opencv.as_image(np.take(_encoding_table(tone), index.astype(np.int32), mode="clip"))
    encoded = encode_tone(np.clip(linear.astype(np.float64), 0, 1), tone)
    return opencv.as_image(np.rint(encoded * np.iinfo(dtype).max).astype(dtype))


def luma(linear: Float32) -> Float32:
    """Luminance of linear RGB, (..., 3) → (...)."""
    return cast("Float32", linear @ LUMA)


def encoded_luma(image: Image) -> Float32:
    """Luma of stored values on [0, 1], (H, W)."""
    return (image / np.float32(np.iinfo(image.dtype).max)).astype(np.float32) @ JPEG_LUMA


def reduced_linear(image: Image, factor: int, tone: str) -> Float32:
    """Linear light of an image averaged over ``factor`` × ``factor`` pixels, (H // factor, W // factor, 3).

    It works in strips, so that a 24-megapixel capture needs only a few megabytes in addition to the result. Rows and
    columns beyond the last complete block are left out, which keeps ``x = factor·x' + (factor − 1)/2`` exact.
    """
    rows, columns = image.shape[0] // factor, image.shape[1] // factor
    reduced = np.empty((rows, columns, 3), dtype=np.float32)
    step = max(1, _STRIP_ROWS // factor)
    for top in range(0, rows, step):
        bottom = min(rows, top + step)
        strip = to_linear(image[top * factor : bottom * factor, : columns * factor], tone)
        reduced[top:bottom] = opencv.resize(strip, Size(columns, bottom - top), "area") if factor > 1 else strip
    return reduced


def saturated(image: Image) -> NDArray[np.bool_]:
    """Pixels with a channel within 2 % of the maximum, and their neighbours, (H, W)."""
    return opencv.dilate(_clipped(image))


def _clipped(image: Image) -> NDArray[np.bool_]:
    """Pixels with a channel within 2 % of the maximum, (H, W)."""
    red, green, blue = (image[..., channel] >= _almost_white(image) for channel in range(3))
    bright: NDArray[np.bool_] = red | green | blue
    return bright


def _almost_white(image: Image) -> int:
    """Smallest stored value that counts as clipped: 250 of 255, in the integers of the image, whose tests are fast."""
    return 250 * int(np.iinfo(image.dtype).max) // 255


def reduced_clipping(image: Image, factor: int) -> Float32 | None:
    """Share of clipped pixels in blocks of ``factor`` × ``factor``, (H // factor, W // factor); None without any.

    It leaves out the same rows and columns as :func:`reduced_linear`.
    """
    rows, columns = image.shape[0] // factor, image.shape[1] // factor
    reduced = np.zeros((rows, columns), dtype=np.float32)
    step = max(1, _STRIP_ROWS // factor)
    for top in range(0, rows, step):
        bottom = min(rows, top + step)
        strip = image[top * factor : bottom * factor, : columns * factor]
        if strip.max(initial=0) >= _almost_white(strip):
            reduced[top:bottom] = opencv.resize(_clipped(strip).astype(np.float32), Size(columns, bottom - top), "area")
    return reduced if reduced.any() else None


def as_8bit(linear: Float32) -> NDArray[np.uint8]:
    """Encode linear light on [0, 1] as an 8-bit sRGB picture, for detectors that accept nothing else."""
    return (encode_tone(linear, "srgb") * np.float32(255) + np.float32(0.5)).astype(np.uint8)


@dataclass(frozen=True, kw_only=True, slots=True)
class Photometry:
    """The matching of HR to LR's brightness: ``linear(out) = gain·field·linear(hr) + offset`` for each channel.

    ``field = 1 + field_x·x + field_y·y + field_r2·r²``, where x, y and r are measured from the centre of the HR capture
    in half-diagonals. Linear light is on [0, 1]. ``tone`` is the tone curve of LR, and therefore of the published HR;
    ``hr_tone`` is that of the HR capture, empty where it is the same.
    """

    tone: str = "srgb"
    hr_tone: str = ""
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    field_x: float = 0.0
    field_y: float = 0.0
    field_r2: float = 0.0

    @property
    def tone_of_hr(self) -> str:
        """Tone curve of the HR capture."""
        return self.hr_tone or self.tone

    def field(self, x: _Plane, y: _Plane) -> _Plane:
        """The illumination field at positions in the HR capture's unit frame, in the common shape of x and y."""
        return cast("_Plane", 1 + self.field_x * x + self.field_y * y + self.field_r2 * (x**2 + y**2))


_TUKEY = 4.685
_ROUNDS = 8
_ENOUGH_PIXELS = 30_000
"""Number of evenly spread pixels that suffice to fit a few numbers."""


def fit_brightness(hr: Float32, lr: Float32, valid: NDArray[np.bool_], frame: Array | None = None) -> Photometry:
    """Gain and offset per channel, and one illumination field, that match HR on LR's grid to LR's brightness.

    The tone curve is not part of the fit, because both images are given in linear light.

    Parameters
    ----------
    hr, lr : (H, W, 3) ndarray
        Linear light on the same grid.
    valid : (H, W) ndarray
        Trusted pixels, which are not clipped in either shot.
    frame : (H, W, 2) ndarray, optional
        Position of each pixel on the HR capture, in half-diagonals from its centre. Without it the field is flat.

    Notes
    -----
    The fit uses iteratively reweighted least squares with Tukey's biweight (c = 4.685 robust σ), so that highlights,
    dust and occlusions have no influence. The field is fitted to luma, then gain and offset to each channel. If a
    channel hardly varies, its offset cannot be separated from its gain and is set to 0.
    """
    every = max(1, int(np.sqrt(valid.size / _ENOUGH_PIXELS)))
    hr, lr, valid = hr[::every, ::every], lr[::every, ::every], valid[::every, ::every]
    light = Photometry()
    if frame is not None:
        frame = frame[::every, ::every]
        light = _illumination(luma(hr)[valid], luma(lr)[valid], frame[valid])
        hr = hr * light.field(*np.moveaxis(frame, -1, 0))[..., None].astype(np.float32)
    lines = [_line(hr[..., c][valid], lr[..., c][valid]) for c in range(3)]
    gain, offset = zip(*lines, strict=True)
    return replace(light, gain=gain, offset=offset)


def _illumination(hr: Float32, lr: Float32, frame: Array) -> Photometry:
    """The illumination field of luma; flat if there are too few pixels or no light."""
    x, y = frame.T
    solution = robust_least_squares(np.stack([hr, hr * x, hr * y, hr * (x**2 + y**2), np.ones_like(x)], axis=1), lr)
    if solution is None or solution[0] <= 0:
        return Photometry()
    field_x, field_y, field_r2 = (float(v) for v in solution[1:4] / solution[0])
    return Photometry(field_x=field_x, field_y=field_y, field_r2=field_r2)


def _line(hr: Float32, lr: Float32) -> tuple[float, float]:
    """Gain and offset of one channel; (1, 0) without enough pixels or light."""
    if len(hr) and hr.std() < 0.02 * hr.mean():
        return float(np.median(lr) / np.median(hr)), 0.0
    solution = robust_least_squares(np.stack([hr, np.ones_like(hr)], axis=1), lr)
    return (1.0, 0.0) if solution is None else (float(solution[0]), float(solution[1]))


def robust_least_squares(design: NDArray[Any], target: Float32) -> Array | None:
    """Coefficients (K,) of ``target`` (N,) on ``design`` (N, K) by Tukey's biweight; None if they are undetermined."""
    design, target = design.astype(np.float64), target.astype(np.float64)
    weights = np.ones(len(target))
    solution: Array | None = None
    for _ in range(_ROUNDS):
        weighted = times_each(design, weights)
        normal = weighted.T @ design
        if len(target) < 16 or np.linalg.cond(normal) > 1e12:
            return None
        solution = np.linalg.solve(normal, weighted.T @ target)
        residual = target - design @ solution
        scale = _TUKEY * 1.4826 * float(np.median(np.abs(residual))) + 1e-9
        weights = np.clip(1 - (residual / scale) ** 2, 0, None) ** 2
    return solution
