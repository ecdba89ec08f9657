"""TIFF files and EXIF data, which are TIFFs without pixels, with nothing but what is known to be harmless.

The result has every part at its old place, so that addresses stay valid. Whatever no kept entry refers to becomes
zeros: entries that are left out, their values, and what programs left behind between them. (TIFF 6.0, section 2;
EXIF 2.32, section 4.6.)
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from d2crealsr.store.xmp import orientation_in_xmp, orientation_packet

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cleaned_exif", "cleaned_tiff"]

_NAMES_AND_NOTES = frozenset({269, 270, 285, 315, 316, 700})
"""Tags below 32768 that may name people or contain anything: document, description, page, artist, computer, XMP."""

_EXIF, _INTEROPERABILITY, _SUBFILES, _XMP, _ICC_PROFILE, _ORIENTATION = 34665, 40965, 330, 700, 34675, 274

_TAKEN = (
    33434, 33437, 34850, 34855, *range(34864, 34870), 36864, 36867, 36868, *range(36880, 36883), 37121, 37122,
    *range(37377, 37387), 37396, *range(37520, 37523), *range(40960, 40964), *range(41486, 41489), 41493, 41495,
    *range(41728, 41731), *range(41985, 41995), 41996, *range(42034, 42037), 42240,
)  # fmt: skip
"""How a picture was taken: exposure, sensitivity, time, focal length, lens, colour space. Left out are the notes of the
maker, comments, numbers of the image, of the body and of the lens, and the owner."""

_PIXELS = ((273, 279), (324, 325))
"""Tags with the addresses and with the lengths of strips and of tiles."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_MOST_DIRECTORIES = 64


class _Entry(NamedTuple):
    """An entry of a directory: its tag, the type and the number of its values, and where it and they stand."""

    tag: int
    kind: int
    values: int
    at: int
    place: int
    size: int


class _Copy:
    """The bytes of a TIFF, and its copy, which begins as zeros."""

    def __init__(self, data: bytes) -> None:
        if data[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            raise ValueError("no TIFF")
        self.data, self.made = data, bytearray(len(data))
        self.order, self.big = "<" if data[:2] == b"II" else ">", b"+" in data[:4]
        self.address, self.count, self.entry, self.inline = ("Q", "Q", 20, 8) if self.big else ("I", "H", 12, 4)
        self.end = 0
        self.seen: set[int] = set()
        self.keep(0, 16 if self.big else 8)

    def keep(self, at: int, size: int) -> None:
        """Copy a part."""
        self.write(at, self.data[at : at + size])

    def write(self, at: int, content: bytes) -> None:
        """Write a part of the copy."""
        self.made[at : at + len(content)] = content
        self.end = max(self.end, at + len(content))

    def number(self, at: int, code: str) -> int:
        return int(struct.unpack_from(self.order + code, self.data, at)[0])

    def entries(self, at: int) -> Iterator[_Entry]:
        """The entries of the directory at an address whose values lie within the file."""
        first = at + struct.calcsize(self.count)
        for start in range(first, first + self.entry * self.number(at, self.count), self.entry):
            tag, kind, count = struct.unpack_from(self.order + "HH" + self.address, self.data, start)
            size = _SIZES.get(kind, 0) * count
            value = start + self.entry - self.inline
            place = value if size <= self.inline else self.number(value, self.address)
            if size and place + size <= len(self.data):
                yield _Entry(tag, kind, count, start, place, size)

    def numbers(self, entry: _Entry) -> tuple[int, ...]:
        code = f"{self.order}{entry.values}{_NUMBERS.get(entry.kind, '')}"
        return struct.unpack_from(code, self.data, entry.place) if entry.kind in _NUMBERS else ()

    def write_directory(self, at: int, entries: list[_Entry], following: int) -> None:
        """Write a directory with these entries only, in their order."""
        self.write(at, struct.pack(self.order + self.count, len(entries)))
        place = at + struct.calcsize(self.count)
        for entry in entries:
            content = bytearray(self.data[entry.at : entry.at + self.entry])
            if entry.size <= self.inline:  # bytes beside a short value
                content[self.entry - self.inline + entry.size :] = bytes(self.inline - entry.size)
                if entry.tag == _XMP:
                    continue
            else:
                self.keep_value(entry)
            self.write(place, bytes(content))
            place += self.entry
        self.write(place, struct.pack(self.order + self.address, following))

    def keep_value(self, entry: _Entry) -> None:
        if entry.tag != _XMP:
            self.keep(entry.place, entry.size)
            return
        packet = orientation_packet(orientation_in_xmp(self.data[entry.place : entry.place + entry.size]))
        if len(packet) > entry.size:
            raise ValueError("its XMP has no room for the orientation")
        self.write(entry.place, packet.ljust(entry.size))


def cleaned_tiff(data: bytes, orientation: int) -> bytes:
    """A TIFF without personal data; raises ValueError or struct.error if it is damaged."""
    copy = _Copy(data)
    at = copy.number(8 if copy.big else 4, copy.address)
    while at:
        at = _picture(copy, at, orientation)
    return bytes(copy.made)


def cleaned_exif(exif: bytes) -> bytes:
    """EXIF data, which begin as a TIFF does, without personal data and without the thumbnail; empty if damaged."""
    try:
        copy = _Copy(exif)
        _picture(copy, copy.number(8 if copy.big else 4, copy.address), 1, alone=True)
    except (ValueError, struct.error):
        return b""
    return bytes(copy.made[: copy.end])


def _picture(copy: _Copy, at: int, orientation: int, *, alone: bool = False) -> int:
    """Copy the directory of a picture with its pixels; returns the address of the next one, 0 with ``alone``."""
    _enter(copy, at)
    found = list(copy.entries(at))
    tags = {entry.tag for entry in found}
    kept = [entry for entry in found if _is_harmless(entry.tag, tags, orientation)]
    following = copy.number(at + struct.calcsize(copy.count) + copy.entry * copy.number(at, copy.count), copy.address)
    following = 0 if alone else following
    copy.write_directory(at, kept, following)
    for addresses, lengths in _PIXELS:
        parts = [next((copy.numbers(entry) for entry in found if entry.tag == tag), ()) for tag in (addresses, lengths)]
        if len(parts[0]) != len(parts[1]):
            raise ValueError("the lengths of its strips are missing")
        for place, length in zip(*parts, strict=True):
            copy.keep(place, length)
    for entry in kept:
        if entry.tag == _EXIF:
            for place in copy.numbers(entry):
                _settings(copy, place)
        elif entry.tag == _SUBFILES:
            for place in copy.numbers(entry):
                _picture(copy, place, orientation, alone=True)
    return following


def _is_harmless(tag: int, tags: set[int], orientation: int) -> bool:
    if tag == _XMP:
        return _ORIENTATION not in tags and orientation > 1
    return (tag < 32768 and tag not in _NAMES_AND_NOTES) or tag in (_EXIF, _ICC_PROFILE, *_TAKEN)


def _settings(copy: _Copy, at: int) -> None:
    """Copy the directory of EXIF, and the one in it that names the colour space of interchange."""
    _enter(copy, at)
    kept = [entry for entry in copy.entries(at) if entry.tag in _TAKEN or entry.tag == _INTEROPERABILITY]
    copy.write_directory(at, kept, 0)
    for entry in kept:
        if entry.tag == _INTEROPERABILITY:
            for place in copy.numbers(entry):
                _enter(copy, place)
                copy.write_directory(place, [each for each in copy.entries(place) if each.tag in (1, 2)], 0)


def _enter(copy: _Copy, at: int) -> None:
    """Note a directory; raises ValueError if it was entered before or if there are too many."""
    if at in copy.seen or len(copy.seen) >= _MOST_DIRECTORIES:
        raise ValueError("its directories form a loop")
    copy.seen.add(at)
