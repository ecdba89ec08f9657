"""Images from and to files: the one module that reads and writes them.

Bytes are read once, the header is checked before anything is decoded, the orientation flag is applied here and the
result is RGB of 8 or 16 bits. Pillow reads headers (EXIF, mode, size), OpenCV decodes (ADR 0003).
"""

from __future__ import annotations

import io
import struct
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import PIL.Image

from d2crealsr import opencv
from d2crealsr.errors import ImageError
from d2crealsr.store import files

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from d2crealsr.types import Image

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "Header",
    "read_header",
    "read_image",
    "read_image_and_alpha",
    "read_size",
    "write_image",
]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
"""File name endings (lower case) taken for images."""

MAX_PIXELS = 300_000_000
"""Largest image that is decoded; a header that promises more is refused before any memory is taken."""

_ORIENTATION_TAG = 0x0112


class Header(NamedTuple):
    """What an image's header says, before decoding. ``width`` and ``height`` are of the oriented image."""

    format: str
    width: int
    height: int
    mode: str
    orientation: int


def read_header(data: bytes, name: str) -> Header:
    """Read format, size, colour mode and orientation flag from the start of an image file's bytes.

    Raises
    ------
    ImageError
        When the header is damaged, of no known format, of colours that are not grey or RGB, or of an absurd size.
    """
    if not data:
        raise ImageError(f"{name}: the file is empty; copy it from the camera again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PIL.Image.open(io.BytesIO(data)) as image:
                width, height = image.size
                mode, kind = image.mode, image.format or "?"
                frames = getattr(image, "n_frames", 1)
                orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception as error:
        raise ImageError(
            f"{name}: its header cannot be read ({_one_line(error)}); copy it from the camera again"
        ) from error
    if width * height > MAX_PIXELS:
        raise ImageError(f"{name}: {width}x{height} pixels, at most {MAX_PIXELS:,} are read; check the file")
    if mode == "CMYK" or mode.startswith("F"):
        raise ImageError(f"{name}: colour mode {mode}, expected RGB or grey of 8 or 16 bits; export it as RGB")
    if frames > 1 and kind != "MPO":
        raise ImageError(f"{name}: holds {frames} pictures, expected one; export a single picture")
    if orientation not in range(1, 9):
        orientation = 1
    if orientation >= 5:
        width, height = height, width
    return Header(kind, width, height, mode, orientation)


def read_image(path: Path) -> Image:
    """Read an image as ``(H, W, 3)`` RGB, uint8 or uint16 as in the file, with the orientation flag applied.

    Raises
    ------
    ImageError
        When the file is missing, truncated, damaged, or holds something that is no grey or RGB image of 8 or 16 bits.
    """
    pixels, orientation = _read_pixels(path)
    return _oriented(_as_rgb(pixels, path.name), orientation)


def read_image_and_alpha(path: Path) -> tuple[Image, NDArray[Any] | None]:
    """As :func:`read_image`, but transparency is no error: its ``(H, W)`` channel comes too, None without one."""
    pixels, orientation = _read_pixels(path)
    if pixels.ndim == 2 or pixels.shape[2] != 4:
        return _oriented(_as_rgb(pixels, path.name), orientation), None
    alpha = opencv.as_image(np.repeat(pixels[..., 3:], 3, axis=2))
    return _oriented(_as_rgb(pixels[..., :3], path.name), orientation), _oriented(alpha, orientation)[..., 0]


def read_size(path: Path) -> tuple[int, int]:
    """Width and height of an image file as :func:`read_image` would return it, from its header alone.

    Raises
    ------
    ImageError
        When the file is missing or its header cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PIL.Image.open(path) as image:
                quick = image.format != "PNG" or "exif" in image.info  # else all of a PNG would be decoded to look
                turned = quick and image.getexif().get(_ORIENTATION_TAG, 1) in (5, 6, 7, 8)
                return (image.height, image.width) if turned else (image.width, image.height)
    except Exception as error:
        raise ImageError(f"{path.name}: its header cannot be read ({_one_line(error)}); check the file") from error


def _read_pixels(path: Path) -> tuple[NDArray[Any], int]:
    """An image's samples as decoded, and its orientation flag."""
    name = path.name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{name}: cannot be read ({error.strerror}); check the file and its permissions") from error
    header = read_header(data, name)
    if header.format == "TIFF":
        data = _without_tiff_orientation(data)
    try:
        pixels = opencv.decode(data)
    except opencv.DecodeError as error:
        raise ImageError(f"{name}: {error}; copy it from the camera again") from error
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"{name}: samples are {pixels.dtype}, expected 8 or 16 bits; export it as such")
    return pixels, header.orientation


def write_image(path: Path, image: NDArray[Any], *, jpeg_quality: int = 95) -> None:
    """Write an image, complete or not at all; the format follows the name's ending (PNG, JPEG or TIFF)."""
    suffix = path.suffix.lower()
    if suffix in (".jpg", ".jpeg"):
        data = opencv.encode_jpeg(image, jpeg_quality)
    elif suffix in (".tif", ".tiff"):
        data = opencv.encode_tiff(image)
    else:
        data = opencv.encode_png(image)
    files.write_bytes(path, data)


def _as_rgb(pixels: NDArray[Any], name: str) -> Image:
    """Grey becomes RGB; an alpha channel is dropped if it hides nothing."""
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 4:
        if (pixels[..., 3] != np.iinfo(pixels.dtype).max).any():
            raise ImageError(f"{name}: has transparent pixels, expected an opaque picture; flatten it")
        pixels = pixels[..., :3]
    return opencv.as_image(np.ascontiguousarray(pixels))


def _oriented(image: Image, orientation: int) -> Image:
    """Turn the picture as EXIF orientation 1–8 says (CIPA DC-008, tag 0x0112)."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return opencv.as_image(np.ascontiguousarray(image))


def _without_tiff_orientation(data: bytes) -> bytes:
    """The same TIFF with its orientation tag set to 1: OpenCV would apply it to some TIFFs whatever it is asked."""
    order = "<" if data[:2] == b"II" else ">"
    magic, first = struct.unpack_from(order + "HI", data, 2)
    if magic != 42 or first + 2 > len(data):
        return data
    (count,) = struct.unpack_from(order + "H", data, first)
    for entry in range(first + 2, min(first + 2 + 12 * count, len(data) - 12), 12):
        if struct.unpack_from(order + "H", data, entry)[0] == _ORIENTATION_TAG:
            return data[: entry + 8] + struct.pack(order + "HH", 1, 0) + data[entry + 12 :]
    return data


def _one_line(error: Exception) -> str:
    if isinstance(error, PIL.UnidentifiedImageError):  # Pillow's text has a memory address, another one in every run
        return "of no image format that is known"
    return (str(error).strip() or type(error).__name__).splitlines()[-1]
