"""HEIC and JPEG 2000 files, which consist of boxes, with nothing but the pictures and harmless EXIF data.

A HEIC file keeps every part at its old place, so that addresses stay valid. Whatever does not belong to a picture, its
properties or its EXIF data becomes zeros. (ISO/IEC 14496-12, sections 8.11.3 and 8.11.6; ISO/IEC 23008-12, annex A;
ISO/IEC 15444-1, annexes A and I.)
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from d2crealsr.store.personal.directories import cleaned_exif

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cleaned_heif", "cleaned_jpeg_2000"]

_FREE, _EXIF = b"free", b"Exif"
_PICTURES = (b"hvc1", b"lhv1", b"grid", b"iden", b"iovl", b"jpeg", b"tmap")
_ITEMS, _PLACES, _INLINE, _PROPERTIES, _LIST = b"iinf", b"iloc", b"idat", b"iprp", b"ipco"
_IN_META = (b"hdlr", b"dinf", b"pitm", b"iref", b"grpl", _ITEMS, _PLACES, _PROPERTIES)
_DESCRIPTION = b"udes"
_PREFIX = b"Exif\0\0"

_OF_JPEG_2000, _STREAM = (b"jP  ", b"ftyp", b"jp2h"), b"jp2c"
_COMMENT, _TILE = 0xFF64, 0xFF90


class _Box(NamedTuple):
    """A box: its kind, where it begins, where its content begins, and where it ends."""

    kind: bytes
    at: int
    inner: int
    end: int


def _boxes(data: bytes, at: int, end: int) -> Iterator[_Box]:
    """The boxes of a part; raises ValueError if one of them does not lie within it."""
    while at < end:
        length, kind = struct.unpack_from(">I4s", data, at)
        inner = at + 8
        if length == 1:
            length, inner = struct.unpack_from(">Q", data, at + 8)[0], at + 16
        last = at + length if length else end
        if not inner <= last <= end:
            raise ValueError("it is cut off")
        yield _Box(kind, at, inner, last)
        at = last


class _Numbers:
    """Numbers of any size, one after the other."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def next(self, size: int) -> int:
        self.at += size
        if self.at > len(self.data):
            raise ValueError("it is cut off")
        return int.from_bytes(self.data[self.at - size : self.at], "big")


def cleaned_heif(data: bytes, orientation: int) -> bytes:
    """A HEIC file without personal data; raises ValueError or struct.error if it is damaged.

    ``orientation`` is a property of the picture here, and stays.
    """
    made = bytearray(len(data))
    for box in _boxes(data, 0, len(data)):
        _keep(made, data, box, whole=box.kind == b"ftyp", free=box.kind not in (b"ftyp", b"meta", b"mdat"))
        if box.kind == b"meta":
            _clean_meta(made, data, box)
    return bytes(made)


def _keep(made: bytearray, data: bytes, box: _Box, *, whole: bool, free: bool = False) -> None:
    """Copy a box, or only how it begins; with ``free`` as one that readers pass over."""
    end = box.end if whole else box.inner
    made[box.at : end] = data[box.at : end]
    if free:
        made[box.at + 4 : box.at + 8] = _FREE


def _clean_meta(made: bytearray, data: bytes, meta: _Box) -> None:
    """Copy what describes the pictures, and the content of those items that are pictures or EXIF data."""
    inner = {box.kind: box for box in _boxes(data, meta.inner + 4, meta.end)}
    made[meta.inner : meta.inner + 4] = data[meta.inner : meta.inner + 4]
    for box in _boxes(data, meta.inner + 4, meta.end):
        _keep(made, data, box, whole=box.kind in _IN_META, free=box.kind not in (*_IN_META, _INLINE))
    if _ITEMS not in inner or _PLACES not in inner:
        raise ValueError("it does not say where its pictures are")
    if _PROPERTIES in inner:
        _clean_properties(made, data, inner[_PROPERTIES])
    kinds = dict(_kinds(data, inner[_ITEMS]))
    idat = inner[_INLINE].inner if _INLINE in inner else 0
    for item, parts in _places(data, inner[_PLACES], idat):
        if any(at + size > len(data) or not size for at, size in parts):
            raise ValueError("it is cut off")
        content = b"".join(data[at : at + size] for at, size in parts)
        content = _cleaned_item(kinds.get(item, b""), content).ljust(len(content), b"\0")
        for at, size in parts:
            made[at : at + size], content = content[:size], content[size:]


def _clean_properties(made: bytearray, data: bytes, properties: _Box) -> None:
    """Take out descriptions that people wrote. The other properties keep their numbers."""
    for group in _boxes(data, properties.inner, properties.end):
        if group.kind == _LIST:
            for box in _boxes(data, group.inner, group.end):
                if box.kind == _DESCRIPTION:
                    made[box.at + 4 : box.end] = _FREE + bytes(box.end - box.at - 8)


def _cleaned_item(kind: bytes, content: bytes) -> bytes:
    if kind in _PICTURES:
        return content
    start = 4 + int.from_bytes(content[:4], "big")
    if kind != _EXIF or start > len(content):
        return b""
    start += len(_PREFIX) * content.startswith(_PREFIX, start)
    prefix = b"\0\0\0\0" if start == 4 else struct.pack(">I", start - 4).ljust(start, b"\0")
    return prefix + cleaned_exif(content[start:])


def _kinds(data: bytes, items: _Box) -> Iterator[tuple[int, bytes]]:
    """Number and kind of every item."""
    first = items.inner + (8 if data[items.inner] else 6)
    for box in _boxes(data, first, items.end):
        version = data[box.inner]
        if version not in (2, 3):
            raise ValueError("its items have no kind")
        size = 4 if version == 3 else 2
        place = box.inner + 4 + size + 2
        yield int.from_bytes(data[box.inner + 4 : box.inner + 4 + size], "big"), data[place : place + 4]


def _places(data: bytes, places: _Box, inline: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Number of every item, and the address and the length of its parts in the file."""
    version, read = data[places.inner], _Numbers(data[: places.end], places.inner + 4)
    sizes = read.next(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    for _ in range(read.next(wide)):
        item = read.next(wide)
        way = read.next(2) & 15 if version else 0
        if read.next(2) or way > 1:
            raise ValueError("its pictures lie in another file or item")
        base = read.next(base_size) + (inline if way else 0)
        parts = []
        for _ in range(read.next(2)):
            read.next(index_size if version else 0)
            at = base + read.next(offset_size)
            parts.append((at, read.next(length_size)))
        yield item, parts


def cleaned_jpeg_2000(data: bytes, orientation: int) -> bytes:
    """A JPEG 2000 file without personal data; raises ValueError or struct.error if it is damaged."""
    if not data.startswith(b"\0\0\0\x0c"):
        return _without_comments(data)
    parts = []
    for box in _boxes(data, 0, len(data)):
        if box.kind in _OF_JPEG_2000:
            parts.append(data[box.at : box.end])
        elif box.kind == _STREAM:
            stream = _without_comments(data[box.inner : box.end])
            parts += [struct.pack(">I4sQ", 1, _STREAM, 16 + len(stream)), stream]
    return b"".join(parts)


def _without_comments(stream: bytes) -> bytes:
    """The coded picture without the comments before its first tile."""
    parts, at = [stream[:2]], 2
    while True:
        marker, length = struct.unpack_from(">HH", stream, at)
        if marker == _TILE:
            return b"".join([*parts, stream[at:]])
        if marker != _COMMENT:
            parts.append(stream[at : at + 2 + length])
        at += 2 + length
