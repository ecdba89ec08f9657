"""PNG and WebP files with nothing but the picture, its colours, and harmless EXIF data.

(PNG 3rd edition, W3C 2025, chapter 5; WebP container, RFC 9649, section 2.)
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from d2crealsr.store.personal.directories import cleaned_exif
from d2crealsr.store.readers.pngs import SIGNATURE
from d2crealsr.store.readers.tiffs import orientation_in_exif
from d2crealsr.store.xmp import orientation_packet

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cleaned_png", "cleaned_webp"]

_PICTURE = (
    b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"sBIT", b"pHYs", b"mDCV", b"cLLI",
)  # fmt: skip
_XMP_TEXT = b"XML:com.adobe.xmp\0\0\0\0\0"
_PREFIX = b"Exif\0\0"
_HAS_EXIF, _HAS_XMP = 0x08, 0x04


def cleaned_png(data: bytes, orientation: int) -> bytes:
    """A PNG without personal data; raises ValueError or struct.error if it is damaged between its chunks."""
    parts, place, flag = [SIGNATURE], len(SIGNATURE), 0
    while True:
        length, kind = struct.unpack_from(">I4s", data, place)
        content, place = data[place + 8 : place + 8 + length], place + 12 + length
        if kind == b"IEND":
            break
        if kind in _PICTURE:
            parts.append(data[place - 12 - length : place])
        elif kind == b"eXIf" and not flag and (exif := cleaned_exif(content.removeprefix(_PREFIX))):
            flag = orientation_in_exif(exif)
            parts.append(_png_chunk(b"eXIf", exif))
    if orientation > 1 and not flag:
        parts.append(_png_chunk(b"iTXt", _XMP_TEXT + orientation_packet(orientation)))
    return b"".join([*parts, _png_chunk(b"IEND", b"")])


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def cleaned_webp(data: bytes, orientation: int) -> bytes:
    """A WebP file without personal data; raises ValueError or struct.error if it is damaged between its chunks."""
    chunks, flag = [], 0
    for kind, content in _riff_chunks(data):
        if kind == b"EXIF":
            exif = cleaned_exif(content.removeprefix(_PREFIX))
            flag = flag or orientation_in_exif(exif)
            chunks += [(kind, exif)] if exif else []
        elif kind in (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP"):
            chunks.append((kind, content))
    if orientation > 1 and not flag:
        chunks.append((b"XMP ", orientation_packet(orientation)))
    kinds = {kind for kind, _ in chunks}
    there = _HAS_EXIF * (b"EXIF" in kinds) | _HAS_XMP * (b"XMP " in kinds)
    body = b"".join(
        kind
        + struct.pack("<I", len(content))
        + (bytes([content[0] & ~(_HAS_EXIF | _HAS_XMP) | there]) + content[1:] if kind == b"VP8X" else content)
        + b"\0" * (len(content) % 2)
        for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        if place + 8 + length > len(data):
            raise ValueError("it is cut off")
        yield kind, data[place + 8 : place + 8 + length]
        place += 8 + length + length % 2
