"""BMP and WebP. Pillow reads their headers, but not their pixels."""

from __future__ import annotations

import functools
import threading
import warnings
from typing import IO

import PIL.Image

from d2crealsr import opencv
from d2crealsr.store.readers.reader import Header, Reader
from d2crealsr.store.readers.tiffs import orientation_in_exif
from d2crealsr.store.xmp import orientation_in_xmp

__all__ = ["BMP", "WEBP"]

_pillow = threading.Lock()


def _header(file: IO[bytes], name: str) -> Header:
    """The header as read by Pillow. Pillow's own limit of pixels is switched off, because the caller has a limit."""
    with _pillow, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
        try:
            with PIL.Image.open(file, formats=(name,)) as image:
                said = image.info
                orientation = orientation_in_exif(_bytes(said.get("exif"))) or orientation_in_xmp(
                    _bytes(said.get("xmp"))
                )
                return Header(
                    *image.size, image.mode, orientation=orientation, profile=_bytes(said.get("icc_profile")),
                    pictures=getattr(image, "n_frames", 1),
                )  # fmt: skip
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = limit


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


BMP = Reader(
    name="BMP",
    suffixes=(".bmp",),
    begins=lambda start: start.startswith(b"BM"),
    header=functools.partial(_header, name="BMP"),
    decode=opencv.decode,
)
WEBP = Reader(
    name="WebP",
    suffixes=(".webp",),
    begins=lambda start: start.startswith(b"RIFF") and start[8:12] == b"WEBP",
    header=functools.partial(_header, name="WEBP"),
    decode=opencv.decode,
)
