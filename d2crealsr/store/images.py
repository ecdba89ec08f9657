"""Read and write image files. No other module does.

The bytes of a file are read once. The header is checked before anything is decoded (:mod:`d2crealsr.store.headers`).
This module applies the orientation flag and returns RGB of 8 or 16 bits. :mod:`d2crealsr.store.readers` contains what
differs between formats (ADR 0003).
"""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from d2crealsr import opencv
from d2crealsr.errors import ImageError
from d2crealsr.store import files
from d2crealsr.store.developing import balance_of, developed_in_words, turned, turned_phase
from d2crealsr.store.headers import MAX_PIXELS, needed, one_line, read_header, size_in, unsupported
from d2crealsr.store.notes import with_note
from d2crealsr.store.profiles import foreign_profile, to_srgb
from d2crealsr.store.readers import IMAGE_SUFFIXES, START, Header, reader_of
from d2crealsr.store.readers.pngs import marked_as_srgb, with_chunk
from d2crealsr.store.readers.reader import Developed
from d2crealsr.types import Size

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from d2crealsr.store.readers.reader import Balance
    from d2crealsr.types import Image

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_CAPTURE_SIDE",
    "MAX_PIXELS",
    "CaptureImage",
    "Header",
    "bytes_of",
    "decode_image",
    "foreign_colours",
    "png_like",
    "read_capture",
    "read_header",
    "read_image",
    "read_image_and_alpha",
    "read_size",
    "write_image",
]

MAX_CAPTURE_SIDE = 32_766
"""Longest side of a capture in pixels. OpenCV's remap cannot warp a longer one."""

_SPACE = slice(16, 20)
"""Where a colour profile says of what kind its colours are. PNG takes a profile of grey in grey pictures only."""

_FEW_COLOURS = ("P", "1")
"""Pillow's modes of a palette and of one bit. 256 colours on a smooth card passed QA with 2.4 HR px of error."""

_CONVERT = "export it with the profile sRGB, or convert its colours with --convert-profile"
_CONVERT_LR = "LR is published as shot, so shoot or export sRGB, or convert its colours with --convert-lr-profile"


class CaptureImage(NamedTuple):
    """A capture in memory.

    ``pixels`` have the primaries of sRGB; ``converted_from`` is the name of the colour profile from which they were
    converted, empty if they were not. ``sha256`` is that of the decoded bytes, taken here because the file may change
    later. ``tone`` is the capture's own tone curve, ``"linear"`` from a reader of linear light; empty where the file
    does not tell, so that the settings decide. ``developed`` says how camera RAW was developed, and ``phase`` which
    phase its colour filter has in the upright picture (``RGGB``, …); both are empty for other files.
    """

    pixels: Image
    converted_from: str = ""
    sha256: str = ""
    tone: str = ""
    developed: str = ""
    phase: str = ""

    def toned(self, tone: str) -> CaptureImage:
        """The capture with this tone curve, unless it has one of its own."""
        return self if self.tone else self._replace(tone=tone)


def read_image(path: Path, *, convert: bool | None = None, balanced_as: Path | None = None) -> Image:
    """Read an image as ``(H, W, 3)`` RGB, uint8 or uint16 as in the file, with the orientation flag applied.

    Parameters
    ----------
    convert : bool or None
        Whether to convert colours that are not sRGB (True), to refuse them (False), or to leave them as they are in the
        file (None).
    balanced_as : path, optional
        The HR capture, if this is its LR, as for :func:`read_capture`.

    Raises
    ------
    ImageError
        When the file is missing, truncated, damaged, or is not a grey or RGB image of 8 or 16 bits. Also
        ``colour_profile`` as for :func:`read_capture`, unless colours are left as they are.
    """
    return decode_image(bytes_of(path), path.name, convert=convert, balance=balance_of(balanced_as))


def decode_image(data: bytes, name: str, *, convert: bool | None = None, balance: Balance = ()) -> Image:
    """As :func:`read_image`, from the content of a file, which error messages call ``name``.

    Camera RAW is developed by the white balance ``balance``, or by its own if that is empty.
    """
    header = read_header(data, name)
    foreign = "" if convert is None else _foreign_colours(header, name, convert=convert, remedy=_CONVERT)
    colours = _as_rgb(_decoded(data, header, name, balance), name)
    return _oriented(to_srgb(colours, header.profile, name) if foreign else colours, header.orientation)


def foreign_colours(data: bytes, name: str, *, convert: bool) -> str:
    """Name of the colours from which :func:`decode_image` converts a file; empty for sRGB. Nothing is decoded.

    Raises
    ------
    ImageError
        As :func:`decode_image` does for the header and the colours.
    """
    return _foreign_colours(read_header(data, name), name, convert=convert, remedy=_CONVERT)


def bytes_of(path: Path) -> bytes:
    """The content of an image file; raises :class:`ImageError` if it cannot be read."""
    try:
        return files.read_bytes(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> ImageError:
    remedy = "check its name" if isinstance(error, FileNotFoundError) else "check the file and its permissions"
    return ImageError(f"{path.name}: cannot be read ({error.strerror}); {remedy}")


def read_capture(
    path: Path, *, convert: bool, max_pixels: int = MAX_PIXELS, balanced_as: Path | None = None
) -> CaptureImage:
    """As :func:`read_image`, in sRGB whatever colour profile the file has.

    Parameters
    ----------
    convert : bool
        Whether to convert pixels whose profile is not sRGB, or to refuse them. A file without a profile is sRGB.
    max_pixels : int
        Largest image that is decoded.
    balanced_as : path, optional
        The HR capture, if this is LR: if both are camera RAW, its white balance is used for both.

    Raises
    ------
    ImageError
        As :func:`read_image`. Also ``unsupported_image`` for a palette or one bit; ``too_large`` for sides over
        :data:`MAX_CAPTURE_SIDE`; ``colour_profile`` for a profile that is damaged, or that is not sRGB and either may
        not (``convert``) or cannot (16 bits) be converted.
    """
    name, data = path.name, bytes_of(path)
    header = read_header(data, name, max_pixels=max_pixels, option="--max-megapixels")
    if max(header.width, header.height) > MAX_CAPTURE_SIDE:
        raise ImageError(
            f"{name}: {header.width}x{header.height} pixels, sides up to {MAX_CAPTURE_SIDE} can be warped; crop it",
            reason="too_large",
        )
    if header.mode in _FEW_COLOURS:
        raise unsupported(f"{name}: a palette or black and white is too coarse to measure in (mode {header.mode})")
    foreign = _foreign_colours(header, name, convert=convert, remedy=_CONVERT_LR)
    of_hr = balance_of(balanced_as)
    shot = _developed(data, header, name, of_hr)
    pixels = _as_rgb(shot.pixels, name)
    if foreign:
        pixels = to_srgb(pixels, header.profile, name)
    reader = reader_of(data[:START])
    tone = "srgb" if reader.development else "linear" if reader.linear and not foreign else ""
    return CaptureImage(
        _oriented(pixels, header.orientation),
        foreign,
        hashlib.sha256(data).hexdigest(),
        tone,
        developed_in_words(reader, shot.balance, of_hr=bool(of_hr)),
        turned_phase(shot.phase, Size.of(pixels), header.orientation),
    )


def read_image_and_alpha(path: Path, *, convert: bool = False) -> tuple[Image, NDArray[Any] | None]:
    """As :func:`read_image`, but transparency is allowed. Also returns its ``(H, W)`` channel, or None without one.

    Raises
    ------
    ImageError
        As :func:`read_image`; ``colour_profile`` as :func:`read_capture`.
    """
    name, data = path.name, bytes_of(path)
    header = read_header(data, name)
    foreign = _foreign_colours(header, name, convert=convert, remedy=_CONVERT)
    pixels, alpha = _decoded(data, header, name), None
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        alpha = _oriented(opencv.as_image(np.repeat(pixels[..., 3:], 3, axis=2)), header.orientation)[..., 0]
        pixels = pixels[..., :3]
    colours = _as_rgb(pixels, name)
    if foreign:
        grey = bool((colours == colours[..., :1]).all())
        colours = to_srgb(colours, header.profile, name)
        if grey:  # the library's rounding makes the channels differ by a level
            colours = opencv.as_image(np.repeat(colours[..., 1:2], 3, axis=2))
    return _oriented(colours, header.orientation), alpha


def _foreign_colours(header: Header, name: str, *, convert: bool, remedy: str) -> str:
    """Name of the colours of an image; empty for sRGB. Raises ImageError if they may not or cannot be converted."""
    if header.strange_colours:
        raise ImageError(
            f"{name}: has {header.strange_colours}, which cannot be converted to sRGB; export it with the profile sRGB",
            reason="colour_profile",
        )
    foreign = foreign_profile(header.profile, name)
    if foreign and not convert:
        raise ImageError(
            f"{name}: has the colour profile {foreign!r}, expected sRGB; {remedy}", reason="colour_profile"
        )
    return foreign


def read_size(path: Path) -> tuple[int, int]:
    """Width and height of an image file as :func:`read_image` would return it, from its header alone.

    Raises
    ------
    ImageError
        When the file is missing or its header cannot be read.
    """
    try:
        opened = files.open_regular(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        with opened as file:
            return size_in(file, path.name)
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"{path.name}: its header cannot be read ({one_line(error)}); check the file") from error


def _decoded(data: bytes, header: Header, name: str, balance: Balance = ()) -> NDArray[Any]:
    """The samples as they are stored in the file, or as sensor data are developed by a white balance."""
    return _developed(data, header, name, balance).pixels


def _developed(data: bytes, header: Header, name: str, balance: Balance) -> Developed:
    """As :func:`_decoded`, with what is known of sensor data."""
    reader = reader_of(data[:START])
    try:
        with needed(reader, name):
            if reader.development is None:
                shot = Developed(reader.decode(data), "", ())
            else:
                shot = reader.development.develop(data, balance)
            pixels = shot.pixels
    except ValueError as error:
        raise ImageError(f"{name}: {error}; copy it from the camera again") from error
    if pixels.dtype not in (np.uint8, np.uint16):
        raise unsupported(f"{name}: samples are {pixels.dtype}")
    if header.mode == "RGBX" and pixels.ndim == 3 and pixels.shape[2] == 4 and not _is_opaque(pixels):
        raise _transparent(name)  # its colours are premultiplied, maybe not by opacity
    stored = (header.height, header.width) if header.orientation < 5 else (header.width, header.height)
    if pixels.shape[:2] != stored or 8 * pixels.itemsize < header.bits:
        size = f"{pixels.shape[1]}x{pixels.shape[0]} pixels of {8 * pixels.itemsize} bits"
        raise ImageError(f"{name}: decoded to {size}, its header says otherwise")
    return shot


def write_image(
    path: Path,
    image: NDArray[Any],
    *,
    jpeg_quality: int = 95,
    note: tuple[str, str] | None = None,
    names_colours: bool = False,
) -> None:
    """Write an image, completely or not at all. The ending of the name determines the format (PNG, JPEG or TIFF).

    ``note`` is a key and a text that are stored in a PNG or JPEG (:mod:`d2crealsr.store.notes`). With ``names_colours``
    a PNG says that its colours are sRGB, as published pairs do. Nothing else about the picture is written.
    """
    suffix = path.suffix.lower()
    if suffix in (".jpg", ".jpeg"):
        data = opencv.encode_jpeg(image, jpeg_quality)
        data = data if note is None else with_note(data, *note)
    elif suffix in (".tif", ".tiff"):
        data = opencv.encode_tiff(image)
    else:
        data = opencv.encode_png(image)
        data = marked_as_srgb(data) if names_colours else data
        data = data if note is None else with_note(data, *note)
    files.write_bytes(path, data)


def png_like(image: NDArray[Any], like: bytes, name: str) -> bytes:
    """An image as PNG, with the colour profile of the file ``like``, so that its values mean the same colours.

    Raises
    ------
    ImageError
        ``colour_profile``: the file has colours of which there is no profile.
    """
    header = read_header(like, name)
    if header.strange_colours:
        raise ImageError(
            f"{name}: has {header.strange_colours}, which cannot be kept when it is written as PNG; export it with the "
            "profile sRGB",
            reason="colour_profile",
        )
    of_grey = header.profile[_SPACE] == b"GRAY" and bool((image == image[..., :1]).all())
    png = opencv.encode_png(np.ascontiguousarray(image[..., 0]) if of_grey else image)
    return with_chunk(png, b"iCCP", b"icc\0\0" + zlib.compress(header.profile)) if header.profile else png


def _as_rgb(pixels: NDArray[Any], name: str) -> Image:
    """Convert grey to RGB, and drop an alpha channel that hides nothing."""
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 4:
        if not _is_opaque(pixels):
            raise _transparent(name)
        pixels = pixels[..., :3]
    if pixels.shape[2] != 3:
        raise unsupported(f"{name}: has {pixels.shape[2]} channels")
    return opencv.as_image(np.ascontiguousarray(pixels))


def _is_opaque(pixels: NDArray[Any]) -> bool:
    return bool((pixels[..., 3] == np.iinfo(pixels.dtype).max).all())


def _transparent(name: str) -> ImageError:
    return ImageError(
        f"{name}: has transparent pixels, expected an opaque picture; flatten it", reason="unsupported_image"
    )


def _oriented(image: Image, orientation: int) -> Image:
    return opencv.as_image(np.ascontiguousarray(turned(image, orientation)))
