"""What an image file's first bytes say, checked before anything is decoded.

A header is where a hostile or damaged file is turned away: its format, its size against a limit, its colours, its
number of pictures, what decoding it would cost. PNG, JPEG and TIFF have a reader each, whose time and memory go with
the file's size whatever it says; Pillow reads the headers of BMP and WebP (ADR 0003) and never gets to the pixels.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
from typing import IO, NamedTuple

import PIL.Image

from d2crealsr.errors import ImageError
from d2crealsr.store import jpegs, pngs, tiffs
from d2crealsr.store.xmp import orientation_in_xmp

__all__ = ["MAX_PIXELS", "Header", "one_line", "read_header", "size_in", "unsupported"]

MAX_PIXELS = 200_000_000
"""Largest image that is decoded unless told otherwise; the largest sensors have 151 million pixels."""

_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "RGBX")
"""Pillow's names of grey and RGB; whether the samples have 8 or 16 bits shows when they are decoded."""

_pillow = threading.Lock()


class Header(NamedTuple):
    """What an image's header says, before decoding.

    ``width`` and ``height`` are of the oriented image; ``profile`` is the ICC colour profile of its pixels, embedded or
    made from what the file says of its colours, empty without. Where these cannot be converted, ``strange_colours``
    says what they are. ``pixels`` is the largest number of pixels that decoding holds: a tile may be larger than the
    picture. ``unusual`` says why it is not read, empty where it is.
    """

    format: str
    width: int
    height: int
    mode: str
    orientation: int = 1
    profile: bytes = b""
    strange_colours: str = ""
    pictures: int = 1
    pixels: int = 0
    unusual: str = ""


def read_header(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS, option: str = "") -> Header:
    """Read an image file's header from its bytes; ``option`` is what raises ``max_pixels`` where the caller can.

    Raises
    ------
    ImageError
        ``unreadable``: empty, damaged or of no known format. ``too_large``: more than ``max_pixels``.
        ``unsupported_image``: several pictures, colours that are not grey or RGB, or samples that are not decoded as
        they are written.
    """
    if not data:
        raise ImageError(f"{name}: the file is empty; copy it from the camera again")
    try:
        header = _header_in(io.BytesIO(data))
    except MemoryError:
        raise
    except Exception as error:  # damaged headers make Pillow raise nearly anything
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
    if header.format == "JPEG" and jpegs.too_elaborate(data):
        raise ImageError(
            f"{name}: a JPEG of more than {jpegs.MOST_SCANS} scans, each of which costs as much as the whole picture; "
            "save it again as JPEG or PNG",
            reason="unsupported_image",
        )
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


def size_in(file: IO[bytes]) -> tuple[int, int]:
    """Width and height of the image in an open file, oriented; raises whatever the reader does when it is damaged."""
    header = _header_in(file)
    return header.width, header.height


def _header_in(file: IO[bytes]) -> Header:
    """The header of an open file by its first bytes, whatever its name is."""
    start = file.read(8)
    file.seek(0)
    if start == pngs.SIGNATURE:
        header = _of_png(file)
    elif start.startswith(jpegs.SIGNATURE):
        found = jpegs.read_jpeg(file)
        header = Header("JPEG", *found[:5], unusual=found.unusual)
    elif start[:4] in tiffs.SIGNATURES:
        header = _of_tiff(file)
    else:
        header = _of_others(file)
    orientation = header.orientation if header.orientation in range(1, 9) else 1
    if orientation >= 5:
        header = header._replace(width=header.height, height=header.width)
    return header._replace(orientation=orientation)


def _of_png(file: IO[bytes]) -> Header:
    found = pngs.read_png(file)
    profile, strange = b"", ""
    try:
        profile = found.profile()
    except pngs.UnknownColours as error:
        strange = str(error)
    return Header("PNG", *found.size, found.mode, found.orientation(), profile, strange, found.pictures)


def _of_tiff(file: IO[bytes]) -> Header:
    try:
        found = tiffs.read_directory(file)
    except struct.error as error:
        raise ValueError("the TIFF is truncated or damaged") from error
    width, height = found.first(tiffs.WIDTH, 0), found.first(tiffs.HEIGHT, 0)
    if not width or not height:
        raise ValueError("the TIFF is truncated or damaged")
    orientation = found.first(tiffs.ORIENTATION, 0) or orientation_in_xmp(found.content(tiffs.XMP))
    return Header(
        "TIFF", width, height, tiffs.mode_of(found), orientation, found.content(tiffs.ICC_PROFILE),
        pictures=found.pages, pixels=tiffs.tile_pixels(found), unusual=tiffs.unusual(found),
    )  # fmt: skip


def _of_others(file: IO[bytes]) -> Header:
    """A BMP's or WebP's header as Pillow finds it. Its own limit of pixels is set aside: the caller has one."""
    with _pillow, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
        try:
            with PIL.Image.open(file, formats=("BMP", "WEBP")) as image:
                said = image.info
                orientation = tiffs.orientation_in_exif(_bytes(said.get("exif")))
                return Header(
                    image.format or "?", *image.size, image.mode,
                    orientation or orientation_in_xmp(_bytes(said.get("xmp"))), _bytes(said.get("icc_profile")),
                    pictures=getattr(image, "n_frames", 1),
                )  # fmt: skip
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = limit


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def one_line(error: Exception) -> str:
    if isinstance(error, PIL.UnidentifiedImageError):  # Pillow's text has a memory address, another one in every run
        return "of no image format that is read: PNG, JPEG, TIFF, BMP, WebP"
    return (str(error).strip() or type(error).__name__).splitlines()[-1]
