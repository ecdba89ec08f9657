"""Read the chunks of a PNG before anything is decoded: size, colours, orientation, number of pictures.

We read the chunks with our own code because some may come after the pixels, where Pillow finds them only after
decoding, and because Pillow takes a PNG with a long colour profile for damaged. (PNG 3rd edition, W3C 2025, chapters 5
and 11.)
"""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from d2crealsr import opencv
from d2crealsr.store.primaries import (
    PRIMARIES,
    SRGB_CURVE,
    TRANSFERS,
    UNSPECIFIED,
    UnknownColours,
    power,
    profile_of,
    profile_of_code,
)
from d2crealsr.store.readers.reader import Header, Reader
from d2crealsr.store.readers.tags import colours_in_exif, orientation_in_exif
from d2crealsr.store.xmp import orientation_in_xmp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

__all__ = ["PNG", "SIGNATURE", "marked_as_srgb", "text_in", "with_chunk", "without_texts"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_HEADER_END = 33
"""Where the first chunk (``IHDR``) ends: 8 bytes of signature, 12 around 13 of content."""
_PERCEPTUAL = b"\0"
"""The rendering intent for photographs, which an ``sRGB`` chunk must name."""

_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_COLOURS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_EXIF_TEXTS = (b"Raw profile type exif", b"Raw profile type APP1")
_XMP_TEXT = b"XML:com.adobe.xmp"

_LARGEST_CONTENT = 16 << 20
"""Most bytes to which a profile or a text is unpacked. The largest profiles of printers have a few million."""
_SRGB_GAMMA, _NEAR_GAMMA, _NEAR_PLACE = 45_455, 500, 0.005


def _header(file: IO[bytes]) -> Header:
    """Read the chunks of an open PNG; raises ValueError if it has no valid header."""
    chunks = _chunks(file)
    width, height, depth, kind = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    if not width or not height or kind not in _MODES:
        raise ValueError("broken PNG file")
    (pictures,) = struct.unpack_from(">I", chunks.get(b"acTL", b"").ljust(4, b"\0"))
    profile, strange = b"", ""
    try:
        profile = _profile(chunks)
    except UnknownColours as error:
        strange = str(error)
    mode = "1" if kind == 0 and depth == 1 else _MODES[kind]
    blocks = [block for block in (chunks.get(b"eXIf", b""), *_exif_texts(chunks)) if block]
    if not profile and not strange and not any(kind in chunks for kind in _COLOURS):
        profile = next(filter(None, map(colours_in_exif, blocks)), b"")
    orientation = _orientation(blocks) or orientation_in_xmp(chunks.get(_XMP_TEXT, b""))
    exif = next(iter(blocks), b"")
    return Header(width, height, mode, depth, orientation, profile, strange, pictures, exif=exif)


def _exif_texts(chunks: dict[bytes, bytes]) -> Iterator[bytes]:
    """EXIF data in hexadecimal text, as ImageMagick writes them."""
    return (_unhexed(chunks.get(keyword, b"")) for keyword in _EXIF_TEXTS)


def _orientation(blocks: Iterable[bytes]) -> int:
    """The first orientation in EXIF data; 0 if there is none."""
    return next((flag for flag in map(orientation_in_exif, blocks) if flag), 0)


def _profile(chunks: dict[bytes, bytes]) -> bytes:
    """The colours as an ICC profile, from the first existing chunk of cICP, iCCP, sRGB, gAMA with cHRM.

    Empty if they are sRGB. Raises UnknownColours if they cannot be converted.
    """
    code = chunks.get(b"cICP", b"")
    if len(code) == 4 and UNSPECIFIED not in code[:2]:
        return _profile_of_code(*code)
    if b"iCCP" in chunks:
        content = chunks[b"iCCP"].partition(b"\0")[2]
        return _unpacked(content[1:]) or b"damaged"
    if b"sRGB" in chunks:
        return b""
    return _profile_of_numbers(chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b""))


def _chunks(file: IO[bytes]) -> dict[bytes, bytes]:
    """Contents of the chunks that matter: chunks by their kind, texts by their keyword. The first of each counts."""
    found: dict[bytes, bytes] = {}
    for kind, length, _ in _walk(file):
        if not found and (kind != b"IHDR" or length != 13):
            raise ValueError("broken PNG file")
        if kind in _TEXTS:
            start = file.read(min(length, 80))
            keyword = start.partition(b"\0")[0]
            if keyword in (*_EXIF_TEXTS, _XMP_TEXT) and keyword not in found:
                found[keyword] = _text(kind, start[len(keyword) + 1 :] + file.read(length - len(start)))
        elif kind in (b"IHDR", b"eXIf", b"acTL", *_COLOURS) and kind not in found:
            found[kind] = file.read(length)
    if not found:
        raise ValueError("broken PNG file")
    return found


def without_texts(data: bytes) -> bytes:
    """The same PNG without texts and colours: libpng could unpack megabytes of them, and prints warnings about them."""
    parts, kept = [], 0
    for kind, length, place in _walk(io.BytesIO(data)):
        if kind in (*_TEXTS, *_COLOURS):
            parts.append(data[kept:place])
            kept = place + 12 + length
    return b"".join([*parts, data[kept:]]) if parts else data


def with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    """The same PNG with one more chunk, before the pixels, so that it is found when the header is read."""
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return png[:_HEADER_END] + chunk + png[_HEADER_END:]


def marked_as_srgb(png: bytes) -> bytes:
    """The same PNG with an ``sRGB`` chunk: its colours are those of sRGB (PNG 3rd edition, 11.3.2.5)."""
    return with_chunk(png, b"sRGB", _PERCEPTUAL)


def text_in(file: IO[bytes], keyword: str) -> str:
    """The plain text (``tEXt``) under a keyword in an open PNG; empty if there is none."""
    wanted = keyword.encode("latin-1") + b"\0"
    for kind, length, _ in _walk(file):
        if kind == b"tEXt" and (content := file.read(length)).startswith(wanted):
            return content.removeprefix(wanted).decode("latin-1")
    return ""


def _walk(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Kind, content length and position of every chunk. The file is positioned at the content."""
    place = len(SIGNATURE)
    while True:
        file.seek(place)
        start = file.read(8)
        if len(start) < 8 or start[4:] == b"IEND":
            return
        (length,) = struct.unpack(">I", start[:4])
        yield start[4:], length, place
        place += 12 + length


def _text(kind: bytes, content: bytes) -> bytes:
    """The unpacked text after its keyword; empty if it is damaged."""
    if kind == b"tEXt":
        return content
    packed = kind == b"zTXt"
    if kind == b"iTXt":
        packed, rest = content[:1] == b"\1", content[2:]
        content = b"\0" + b"".join(rest.split(b"\0", 2)[2:])
        if not packed:
            return content[1:]
    return _unpacked(content[1:])


def _unpacked(data: bytes) -> bytes:
    """Unpacked data of at most :data:`_LARGEST_CONTENT` bytes; empty if the data are damaged or longer."""
    with contextlib.suppress(zlib.error):
        unpacking = zlib.decompressobj()
        content = unpacking.decompress(data, _LARGEST_CONTENT)
        return content if unpacking.eof else b""
    return b""


def _unhexed(text: bytes) -> bytes:
    r"""EXIF data from a text like ``\nexif\n      120\n45786966…``; empty for other texts."""
    with contextlib.suppress(ValueError):
        return bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))
    return b""


def _profile_of_numbers(gamma_chunk: bytes, places_chunk: bytes) -> bytes:
    """The colours of gAMA and cHRM; empty if they are sRGB. A missing chunk stands for the value of sRGB.

    A gAMA of 45455 means the curve of sRGB, but with other primaries it is a plain power.
    """
    gamma, places = _SRGB_GAMMA, PRIMARIES[1].places
    if len(gamma_chunk) == 4:
        (gamma,) = struct.unpack(">I", gamma_chunk)
    if len(places_chunk) == 32:
        x_and_y = [number / 100_000 for number in struct.unpack(">8I", places_chunk)]
        places = (*x_and_y[2:], *x_and_y[:2])
    of_srgb = max(abs(a - b) for a, b in zip(places, PRIMARIES[1].places, strict=True)) < _NEAR_PLACE
    with_srgbs_curve = abs(gamma - _SRGB_GAMMA) <= _NEAR_GAMMA and (of_srgb or len(gamma_chunk) != 4)
    if of_srgb and with_srgbs_curve:
        return b""
    if not gamma:
        raise UnknownColours("a gAMA chunk of 0")
    name = f"PNG gAMA {gamma / 100_000:g}" if of_srgb else f"PNG cHRM gAMA {gamma / 100_000:g}"
    return profile_of(name, places, SRGB_CURVE if with_srgbs_curve else power(100_000 / gamma))


def _profile_of_code(primaries: int, transfer: int, matrix: int, full_range: int) -> bytes:
    """The colours of a cICP chunk, whose numbers are defined in ITU-T H.273; empty for sRGB."""
    said = f"the cICP chunk {primaries}, {transfer}, {matrix}, {full_range}"
    if primaries not in PRIMARIES or transfer not in TRANSFERS or matrix != 0 or full_range != 1:
        raise UnknownColours(said)
    return profile_of_code(primaries, transfer)


def _decode(data: bytes) -> NDArray[Any]:
    """The pixels. Grey of which one level is transparent (``tRNS``, 11.3.1.1) becomes RGBA, as colours do by itself."""
    pixels = opencv.decode(without_texts(data))
    level = next(
        (data[at + 8 : at + 10] for kind, size, at in _walk(io.BytesIO(data)) if (kind, size) == (b"tRNS", 2)), b""
    )
    if pixels.ndim != 2 or not level:
        return pixels
    depth, most = data[_HEADER_END - 9], np.iinfo(pixels.dtype).max
    largest = 2**depth - 1
    transparent = (int.from_bytes(level, "big") & largest) * (most // largest)
    alpha = np.where(pixels == transparent, 0, most).astype(pixels.dtype)
    return np.dstack([pixels, pixels, pixels, alpha])


PNG = Reader(
    name="PNG",
    suffixes=(".png",),
    begins=lambda start: start.startswith(SIGNATURE),
    header=_header,
    decode=_decode,
)
