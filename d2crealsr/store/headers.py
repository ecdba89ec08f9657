"""What an image file's first bytes say, checked before anything is decoded.

A header is where a hostile or damaged file is turned away: its format, its size against a limit, its colours, its
number of pictures. Pillow reads it (ADR 0003) and never gets to the pixels.
"""

from __future__ import annotations

import contextlib
import io
import struct
import threading
import warnings
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

import PIL.Image
import PIL.TiffImagePlugin

from d2crealsr.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_PIXELS",
    "Header",
    "one_line",
    "opened_image",
    "read_header",
    "size_in",
    "unsupported",
    "without_tiff_orientation",
]

MAX_PIXELS = 200_000_000
"""Largest image that is decoded unless told otherwise; the largest sensors have 151 million pixels."""

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "RGBX", "YCbCr", "I", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's names of grey and RGB; whether the samples have 8 or 16 bits shows when they are decoded."""

_ORIENTATION = 0x0112
_pillow = threading.Lock()


class Header(NamedTuple):
    """What an image's header says, before decoding.

    ``width`` and ``height`` are of the oriented image; ``profile`` is the embedded ICC colour profile, empty without.
    """

    format: str
    width: int
    height: int
    mode: str
    orientation: int
    profile: bytes


def read_header(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS, option: str = "") -> Header:
    """Read an image file's header from its bytes; ``option`` is what raises ``max_pixels`` where the caller can.

    Raises
    ------
    ImageError
        ``unreadable``: empty, damaged or of no known format. ``too_large``: more than ``max_pixels``.
        ``unsupported_image``: several pictures, or colours that are not grey or RGB.
    """
    if not data:
        raise ImageError(f"{name}: the file is empty; copy it from the camera again")
    try:
        with opened_image(io.BytesIO(data)) as image:
            kind, mode = image.format or "?", image.mode
            (width, height), orientation = _size_and_orientation(image, io.BytesIO(data))
            if width * height > max_pixels:  # before anything looks further into the file
                raise ImageError(
                    f"{name}: {width}x{height} pixels, at most {max_pixels:,} are read; "
                    f"check the file, or {f'raise {option}' if option else 'crop it'}",
                    reason="too_large",
                )
            frames, profile = getattr(image, "n_frames", 1), image.info.get("icc_profile") or b""
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # damaged headers make Pillow raise nearly anything
        if _ends_before_its_directory(data):
            raise ImageError(f"{name}: the TIFF is truncated or damaged; copy it from the camera again") from error
        if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") and isinstance(error, PIL.UnidentifiedImageError):
            raise unsupported(f"{name}: is a TIFF of unusual samples (floating point?) or damaged") from error
        raise ImageError(
            f"{name}: its header cannot be read ({one_line(error)}); copy it from the camera again"
        ) from error
    if mode not in _MODES or (kind == "TIFF" and mode == "LA"):  # OpenCV would drop that channel without a word
        raise unsupported(f"{name}: colour mode {mode}")
    if frames > 1 and kind != "MPO":
        raise ImageError(
            f"{name}: holds {frames} pictures, expected one; export a single picture", reason="unsupported_image"
        )
    if orientation >= 5:
        width, height = height, width
    return Header(kind, width, height, mode, orientation, profile if isinstance(profile, bytes) else b"")


def _ends_before_its_directory(data: bytes) -> bool:
    """Whether a (Big)TIFF says that its directory lies beyond the file's end."""
    if data[:2] not in (b"II", b"MM"):
        return False
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    at = {42: slice(4, 8), 43: slice(8, 16)}.get(int.from_bytes(data[2:4], order))
    return at is not None and int.from_bytes(data[at], order) >= len(data)


def unsupported(text: str) -> ImageError:
    return ImageError(f"{text}, expected RGB or grey of 8 or 16 bits; export it as RGB", reason="unsupported_image")


def size_in(file: IO[bytes]) -> tuple[int, int]:
    """Width and height of the image in an open file, oriented; raises whatever Pillow does when it is damaged."""
    with opened_image(file) as image:
        (width, height), orientation = _size_and_orientation(image, file)
    return (height, width) if orientation >= 5 else (width, height)


@contextlib.contextmanager
def opened_image(file: IO[bytes]) -> Iterator[PIL.Image.Image]:
    """The image as Pillow opens it, decoding nothing. Its own limit of pixels is set aside: the caller has one."""
    with _pillow, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
        try:
            with PIL.Image.open(file, formats=_FORMATS) as image:
                yield image
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = limit


def _size_and_orientation(image: PIL.Image.Image, file: IO[bytes]) -> tuple[tuple[int, int], int]:
    """Size as stored, and EXIF orientation 1–8."""
    size = image.size
    if isinstance(image, PIL.TiffImagePlugin.TiffImageFile):
        size = (int(image.tag_v2[256]), int(image.tag_v2[257]))  # Pillow's own is turned already
    if image.format == "PNG":  # Pillow would decode all of it to find a flag behind the pixels
        exif = PIL.Image.Exif()
        exif.load(_png_exif(file))
    else:
        exif = image.getexif()
    orientation: Any = exif.get(_ORIENTATION, 1)
    return size, orientation if orientation in range(1, 9) else 1


def _png_exif(file: IO[bytes]) -> bytes:
    """Content of a PNG's ``eXIf`` chunk, wherever it stands; empty without one (PNG 3rd edition, §5.3, §11.3.3.2)."""
    place = 8
    while True:
        file.seek(place)
        start = file.read(8)
        if len(start) < 8 or start[4:] == b"IEND":
            return b""
        (length,) = struct.unpack(">I", start[:4])
        if start[4:] == b"eXIf":
            return file.read(length)
        place += 12 + length


def without_tiff_orientation(data: bytes) -> bytes:
    """The same TIFF with its orientation tag set to 1: OpenCV would apply it to some TIFFs whatever it is asked."""
    order = "<" if data[:2] == b"II" else ">"
    (magic,) = struct.unpack_from(order + "H", data, 2)
    big = magic == 43
    first_at, first_as, count_as, size = (8, "Q", "Q", 20) if big else (4, "I", "H", 12)
    try:
        (first,) = struct.unpack_from(order + first_as, data, first_at)
        (count,) = struct.unpack_from(order + count_as, data, first)
        start = first + struct.calcsize(order + count_as)
        for entry in range(start, min(start + size * count, len(data) - size + 1), size):
            if struct.unpack_from(order + "H", data, entry)[0] == _ORIENTATION:
                value = entry + size - (8 if big else 4)
                return data[:value] + struct.pack(order + "HH", 1, 0) + data[value + 4 :]
    except struct.error:
        return data
    return data


def one_line(error: Exception) -> str:
    if isinstance(error, PIL.UnidentifiedImageError):  # Pillow's text has a memory address, another one in every run
        return "of no image format that is read: PNG, JPEG, TIFF, BMP, WebP"
    return (str(error).strip() or type(error).__name__).splitlines()[-1]
