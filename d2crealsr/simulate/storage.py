"""How a capture is stored: turned as the camera was held, with the EXIF flag that turns it upright again."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from d2crealsr import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["encode_capture", "stored"]

JPEG_QUALITY = 95
_QUARTERS = {1: 0, 3: 2, 6: 1, 8: 3}
"""Anticlockwise quarter turns from the upright picture to the stored one, by orientation flag."""


def stored(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The pixels to store so that ``orientation`` (1, 3, 6 or 8; CIPA DC-008, tag 0x0112) turns them upright."""
    return np.ascontiguousarray(np.rot90(upright, _QUARTERS[orientation]))


def encode_capture(upright: NDArray[np.uint8], image_format: str, orientation: int = 1) -> bytes:
    """The file of a capture: JPEG of quality 95 or PNG, with an orientation flag unless it is 1."""
    pixels = stored(upright, orientation)
    data = opencv.encode_jpeg(pixels, JPEG_QUALITY) if image_format == "jpg" else opencv.encode_png(pixels)
    if orientation == 1:
        return data
    # TIFF header, one directory of one entry: orientation, SHORT, count 1
    exif = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    if image_format == "jpg":
        segment = b"Exif\0\0" + exif
        return data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment + data[2:]
    chunk = b"eXIf" + exif
    header_end = 8 + 25  # signature and IHDR
    return (
        data[:header_end]
        + struct.pack(">I", len(exif))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + data[header_end:]
    )
