"""Embedded colour profiles (ICC): their names, whether they are sRGB, and the conversion of pixels to sRGB.

All later steps assume sRGB pixels. LittleCMS converts the colours, through Pillow's ImageCms (ADR 0009). It supports
only RGB of 8 bits, so a 16-bit picture of other colours is refused rather than reduced to 8 bits.
"""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
from PIL import ImageCms

from d2crealsr import opencv
from d2crealsr.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2crealsr.types import Image

__all__ = ["foreign_profile", "to_srgb"]

_SAME = 3
"""Levels of 255 by which a profile may differ from sRGB and still count as sRGB, because makers round its numbers."""

_MODES = {"RGB ": "RGB", "GRAY": "L"}
_LONGEST_NAME = 80


class _Unusable(Exception):
    """A profile that cannot be used for conversion; the text says why."""


def foreign_profile(profile: bytes, name: str) -> str:
    """The name of a colour profile; empty if it is sRGB or there is none.

    Raises
    ------
    ImageError
        ``colour_profile``: the profile is damaged, or describes colours that are not grey or RGB.
    """
    try:
        return _called(profile) if profile else ""
    except _Unusable as error:
        raise _refused(name, error) from error


@functools.lru_cache(maxsize=16)
def _called(profile: bytes) -> str:
    """As :func:`foreign_profile`, but cached, because the pictures of a folder mostly have the same profile."""
    steps = np.linspace(0, 255, 18).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(18, -1, 3)
    if _mode(profile) == "L":
        colours = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    difference = np.abs(_converted(colours, profile).astype(int) - colours)
    return "" if difference.max() <= _SAME else _description(profile)


def to_srgb(pixels: NDArray[Any], profile: bytes, name: str) -> Image:
    """Convert ``(H, W, 3)`` pixels of 8 bits to sRGB, relative colorimetric with black point compensation.

    Raises
    ------
    ImageError
        ``colour_profile``: the pixels have 16 bits, or the profile cannot be used.
    """
    if pixels.dtype != np.uint8:
        raise ImageError(
            f"{name}: 16 bits with the colour profile {_description(profile)!r}, which is converted at 8 bits only; "
            "export it with the profile sRGB",
            reason="colour_profile",
        )
    try:
        return opencv.as_image(_converted(pixels, profile))
    except _Unusable as error:
        raise _refused(name, error) from error


def _converted(pixels: NDArray[Any], profile: bytes) -> NDArray[np.uint8]:
    mode = _mode(profile)
    if mode == "L" and (pixels != pixels[..., :1]).any():
        raise _Unusable("of grey, on a picture that has colours")
    image = PIL.Image.fromarray(np.ascontiguousarray(pixels if mode == "RGB" else pixels[..., 0]))
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.HIGHRESPRECALC,
        )
        return np.asarray(transform.apply(image))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise _Unusable(" ".join(str(error).split())) from error


def _mode(profile: bytes) -> str:
    """Pillow's name for the kind of colours that a profile describes."""
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space
    except (OSError, TypeError, ValueError) as error:
        raise _Unusable("damaged") from error
    if space not in _MODES:
        raise _Unusable(f"of {space!r} colours, not grey or RGB")
    return _MODES[space]


def _description(profile: bytes) -> str:
    """The description inside a profile, made safe as a cell that every spreadsheet shows as text."""
    try:
        text = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError):
        text = ""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(plain.split()).lstrip("=+-@ ")[:_LONGEST_NAME] or "unnamed"


def _refused(name: str, why: _Unusable) -> ImageError:
    return ImageError(
        f"{name}: its colour profile cannot be used ({why}); export it with the profile sRGB", reason="colour_profile"
    )
