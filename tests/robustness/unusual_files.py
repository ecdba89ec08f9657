"""Captures that are stored unusually: whole pictures in other formats, turned, grey, or of other colours."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from d2crealsr import opencv
from tests.icc import ADOBE_RGB, SRGB, matrix_profile
from tests.robustness.bad_kinds import (
    REJECTED,
    Base,
    File,
    Made,
    Pixels,
    any_format,
    any_side,
    file_of,
    good,
    kind,
    pixels_of,
    with_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable


# --- whole pictures that are only stored unusually ---------------------------------------------------------------


@kind("accepted")
def clean(rng: np.random.Generator, base: Base, other: Base) -> Made:
    return good(base)


@kind("accepted")
def other_format(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    return with_file(base, side, file_of(pixels_of(base, side), any_format(rng, "PNG", "TIFF", "WEBP", "BMP")))


@kind("accepted")
def wrong_ending(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    content = file_of(pixels_of(base, side), any_format(rng, "PNG", "TIFF", "WEBP", "BMP")).content
    return with_file(base, side, File(".jpg", content))


@kind("accepted", *REJECTED)
def grey(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    return with_file(
        base, side, file_of(PIL.Image.fromarray(pixels_of(base, side)).convert("L"), any_format(rng, "PNG", "JPEG"))
    )


@kind("unsupported_image")
def palette(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    image = PIL.Image.fromarray(pixels_of(base, side)).quantize(256)
    return with_file(base, side, file_of(image, any_format(rng, "PNG", "TIFF", "BMP")))


@kind("unsupported_image")
def one_bit(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    return with_file(
        base, side, file_of(PIL.Image.fromarray(pixels_of(base, side)).convert("1"), any_format(rng, "PNG", "TIFF"))
    )


@kind("accepted")
def opaque_alpha(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    image = PIL.Image.fromarray(pixels_of(base, side)).convert("RGBA")
    return with_file(base, side, file_of(image, any_format(rng, "PNG", "WEBP", "TIFF")))


@kind("accepted")
def sixteen_bit(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    pixels = pixels_of(base, side).astype(np.uint16) * 257
    if rng.integers(2):
        return with_file(base, side, File(".png", opencv.encode_png(pixels)))
    return with_file(base, side, File(".tif", opencv.encode_tiff(pixels)))


def _exif(orientation: int) -> PIL.Image.Exif:
    flags = PIL.Image.Exif()
    flags[0x0112] = orientation
    return flags


_STORED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}
"""An upright picture as it is stored under each flag."""


@kind("accepted")
def exif_rotated(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """All eight flags, in JPEG, TIFF, BigTIFF, PNG and WebP."""
    side, flag, form = any_side(rng), int(rng.integers(1, 9)), any_format(rng, "JPEG", "TIFF", "PNG", "WEBP")
    options: dict[str, Any] = {"quality": 95} if form == "JPEG" else {}
    if form == "TIFF":
        options["big_tiff"] = bool(rng.integers(2))
    stored = np.ascontiguousarray(_STORED[flag](pixels_of(base, side)))
    return with_file(base, side, file_of(stored, form, exif=_exif(flag), **options))


def _read(flag: int, size: tuple[int, int]) -> NDArray[np.float64]:
    """Where a flag that is wrong carries each pixel of an upright picture (x, y, 1)."""
    width, height = size
    flip_x, flip_y = (
        np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1.0]]),
        np.array([[1, 0, 0], [0, -1, height - 1], [0, 0, 1.0]]),
    )
    swap = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1.0]])
    turn = swap if flag >= 5 else np.eye(3)
    first = {
        1: np.eye(3),
        2: flip_x,
        3: flip_x @ flip_y,
        4: flip_y,
        5: np.eye(3),
        6: flip_y,
        7: flip_x @ flip_y,
        8: flip_x,
    }
    return turn @ first[flag]


@kind("accepted", *REJECTED)
def exif_lies(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """A flag on a picture that is upright: HR is turned or mirrored when it is read; mirrored is never a pair."""
    flag = int(rng.integers(2, 9))
    content = file_of(base.hr_pixels, "PNG", exif=_exif(flag))
    if flag in (2, 4, 5, 7):
        return with_file(base, "hr", content, truth=None)
    T = _read(flag, base.truth.hr_size)
    size = base.truth.hr_size if flag == 3 else type(base.truth.hr_size)(*base.truth.hr_size[::-1])
    truth = replace(base.truth, H_hr_to_lr=base.truth.H_hr_to_lr @ np.linalg.inv(T), hr_size=size)
    return with_file(base, "hr", content, truth=truth)


# --- colours -----------------------------------------------------------------------------------------------------


@kind("unsupported_image")
def cmyk(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    return with_file(
        base, side, file_of(PIL.Image.fromarray(pixels_of(base, side)).convert("CMYK"), any_format(rng, "JPEG", "TIFF"))
    )


@kind("unsupported_image")
def lab(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    return with_file(base, side, file_of(PIL.Image.fromarray(pixels_of(base, side)).convert("LAB"), "TIFF"))


@kind("unsupported_image")
def transparent(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    image = np.dstack([pixels_of(base, side), rng.integers(0, 256, pixels_of(base, side).shape[:2], dtype=np.uint8)])
    return with_file(base, side, file_of(image, any_format(rng, "PNG", "WEBP", "TIFF")))


@kind("unsupported_image")
def float_tiff(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """Floating point, in one or three channels, with NaN and infinity among the pixels."""
    side = any_side(rng)
    pixels = pixels_of(base, side).astype(np.float32) / 255
    pixels[rng.integers(0, 2, pixels.shape[:2]) == 1] = rng.choice([np.nan, np.inf, -np.inf])
    if rng.integers(2):
        pixels = pixels[..., 0]
    return with_file(base, side, File(".tif", opencv.encode_tiff(pixels)))


@kind("accepted", *REJECTED)
def profile_hr(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """HR as it would be in Adobe RGB: converted, recorded."""
    form = any_format(rng, "PNG", "JPEG", "TIFF", "WEBP")
    return with_file(base, "hr", file_of(base.hr_pixels, form, icc_profile=matrix_profile("Adobe RGB", ADOBE_RGB, 2.2)))


@kind("colour_profile")
def profile_lr(rng: np.random.Generator, base: Base, other: Base) -> Made:
    form = any_format(rng, "PNG", "JPEG", "TIFF", "WEBP")
    profile = matrix_profile("=cmd()|Adobe RGB", ADOBE_RGB, float(rng.uniform(1, 3)))
    return with_file(base, "lr", file_of(base.lr_pixels, form, icc_profile=profile))


@kind("accepted")
def profile_srgb(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    return with_file(base, side, file_of(pixels_of(base, side), "PNG", icc_profile=matrix_profile("Camera RGB", SRGB)))


@kind("colour_profile")
def profile_broken(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    profile = matrix_profile("Adobe RGB", ADOBE_RGB, 2.2)
    profile = profile[: int(rng.integers(1, 300))] if rng.integers(2) else rng.bytes(400)
    return with_file(base, side, file_of(pixels_of(base, side), "PNG", icc_profile=profile))
