"""Check the header of an image file before anything is decoded.

The check refuses hostile and damaged files by their format, their size, their colours, their number of pictures, and
the cost of decoding them. The reader is chosen by the content of the file (:mod:`d2crealsr.store.readers`).
"""

from __future__ import annotations

import contextlib
import io
from typing import IO, TYPE_CHECKING

import PIL

from d2crealsr.errors import ImageError
from d2crealsr.store.readers import START, UNKNOWN, reader_of
from d2crealsr.ui.versions import how_to_install

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d2crealsr.store.readers import Header, Reader

__all__ = ["MAX_PIXELS", "needed", "one_line", "read_header", "size_in", "unsupported"]

MAX_PIXELS = 200_000_000
"""Default limit of the pixels of an image. The largest sensors have 151 million."""

_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "RGBX")
"""Pillow's names of grey and RGB. Whether samples have 8 or 16 bits is known after decoding."""


def read_header(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS, option: str = "") -> Header:
    """Read the header of an image file from its bytes. ``option`` names the option that raises ``max_pixels``, if any.

    Raises
    ------
    ImageError
        ``unreadable``: empty, damaged or of no known format. ``too_large``: more than ``max_pixels``.
        ``unsupported_image``: several pictures, colours that are not grey or RGB, or samples that would not be decoded
        correctly.
    """
    if not data:
        raise ImageError(f"{name}: the file is empty; copy it from the camera again")
    try:
        header = _header_in(io.BytesIO(data), name)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # damaged headers make a library raise nearly anything
        raise ImageError(
            f"{name}: its header cannot be read ({one_line(error)}); copy it from the camera again"
        ) from error
    _check_size(header, name, max_pixels, f"raise {option}" if option else "crop it")
    if header.unusual:
        raise unsupported(f"{name}: {header.unusual}")
    if header.mode not in _MODES:
        raise unsupported(f"{name}: colour mode {header.mode}")
    if header.pictures > 1:
        raise ImageError(
            f"{name}: holds {header.pictures} pictures, expected one; export a single picture",
            reason="unsupported_image",
        )
    if why := reader_of(data[:START]).refuses(data):
        raise ImageError(f"{name}: {why}", reason="unsupported_image")
    return header


def _check_size(header: Header, name: str, most: int, remedy: str) -> None:
    if header.width * header.height > most:
        raise ImageError(
            f"{name}: {header.width}x{header.height} pixels, at most {most:,} are read; check the file, or {remedy}",
            reason="too_large",
        )
    if header.pixels > most:
        raise ImageError(
            f"{name}: a tile of {header.pixels:,} pixels, at most {most:,} are read; save the file again without tiles",
            reason="too_large",
        )


def unsupported(text: str) -> ImageError:
    return ImageError(f"{text}, expected RGB or grey of 8 or 16 bits; export it as RGB", reason="unsupported_image")


def size_in(file: IO[bytes], name: str) -> tuple[int, int]:
    """Width and height of the oriented image in an open file; raises the reader's exceptions if it is damaged."""
    header = _header_in(file, name)
    return header.width, header.height


def _header_in(file: IO[bytes], name: str) -> Header:
    """The header of an open file, with the size of the oriented image and an orientation from 1 to 8."""
    reader = reader_of(file.read(START))
    file.seek(0)
    with needed(reader, name):
        header = reader.header(file)
    orientation = header.orientation if header.orientation in range(1, 9) else 1
    if orientation >= 5:
        header = header._replace(width=header.height, height=header.width)
    return header._replace(orientation=orientation)


@contextlib.contextmanager
def needed(reader: Reader, name: str) -> Iterator[None]:
    """Raise an ImageError that names the extra if the library of the reader is missing within the block."""
    try:
        yield
    except ImportError as error:
        raise ImageError(
            f"{name} is {reader.name}, read by {reader.library}; install it with {how_to_install(reader.extra)}",
            reason="extra_missing",
        ) from error


def one_line(error: Exception) -> str:
    if isinstance(error, PIL.UnidentifiedImageError):  # its text has a memory address
        return UNKNOWN
    return (str(error).strip() or type(error).__name__).splitlines()[-1]
