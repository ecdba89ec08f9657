"""The structure of TIFF: directories of tags. EXIF data have it too, in a file of any format.

Only what a directory needs is read, and what is read is bounded by the size of the file (TIFF 6.0, section 2; BigTIFF).
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
from typing import IO, TYPE_CHECKING

from d2crealsr.store.primaries import ADOBE_RGB, power, profile_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

__all__ = ["DAMAGED", "EXIF_MARK", "ORIENTATION", "SIGNATURES", "TagFile", "colours_in_exif", "orientation_in_exif"]

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of a TIFF: little or big endian, with addresses of 32 or (BigTIFF) 64 bits."""
EXIF_MARK = b"Exif\0\0"
"""What stands in front of EXIF data in a segment of a JPEG."""
ORIENTATION = 274
DAMAGED = "the TIFF is truncated or damaged"

_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}
"""Types of whole numbers and bytes. Other types do not describe the pixels."""
_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value by its type. Values of other types have one byte."""
_MOST_PAGES = 100
"""Pages are counted up to this number. A file with more than one is refused anyway."""
_MOST_NUMBERS = 64
_EXIF, _COLOUR_SPACE, _INTEROPERABILITY, _INDEX = 34665, 40961, 40965, 1
_UNCALIBRATED = 65535


class TagFile:
    """An open TIFF or BigTIFF, with its byte order and the sizes of its structures; raises ValueError if it is none."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.size = file, file.seek(0, os.SEEK_END)
        head = self.take(0, 8)
        if head[:4] not in SIGNATURES:
            raise ValueError("no TIFF")
        self.order, self.big = "<" if head[:2] == b"II" else ">", b"+" in head[:4]
        self.address, self.count, self.entry, self.inline = ("Q", "Q", 20, 8) if self.big else ("I", "H", 12, 4)
        self.first = self.number(8 if self.big else 4, self.address)

    def take(self, at: int, size: int) -> bytes:
        """Read ``size`` bytes, but never more than the file contains."""
        if at + size > self.size:
            raise ValueError(DAMAGED)
        self.file.seek(at)
        return self.file.read(size)

    def number(self, at: int, code: str) -> int:
        code = self.order + code
        return int(struct.unpack(code, self.take(at, struct.calcsize(code)))[0])

    def entries(self, at: int) -> Iterator[tuple[int, int, int, int]]:
        """For every entry of the directory at an address: tag, type, number of values and position of the value."""
        count = self.number(at, self.count)
        start = at + struct.calcsize(self.count)
        body = self.take(start, count * self.entry)
        for place in range(0, len(body), self.entry):
            yield (
                *struct.unpack_from(self.order + "HH" + self.address, body, place),
                start + place + self.entry - self.inline,
            )

    def value(self, kind: int, number: int, place: int) -> Sequence[int]:
        """The value of an entry: all bytes, or at most as many numbers as a picture may have samples."""
        code = _TYPES[kind]
        number = number if code == "B" else min(number, _MOST_NUMBERS)
        size = struct.calcsize(code) * number
        data = self.take(place if size <= self.inline else self.number(place, self.address), size)
        return data if code == "B" else struct.unpack(f"{self.order}{number}{code}", data)

    def directory(self, at: int, wanted: Collection[int]) -> dict[int, Sequence[int]]:
        """The wanted tags of the directory at an address, of which the first of each counts.

        Raises ValueError if its values claim more bytes than a file of this size can hold.
        """
        tags: dict[int, Sequence[int]] = {}
        claimed = 0
        for tag, kind, number, place in self.entries(at):
            claimed += number * _SIZES.get(kind, 1)
            if claimed > 2 * self.size:  # tags may share bytes, but a decoder keeps each value
                raise ValueError(DAMAGED)
            if tag in wanted and tag not in tags and kind in _TYPES:
                tags[tag] = self.value(kind, number, place)
        return tags

    def pages(self) -> int:
        """Number of directories, counted up to :data:`_MOST_PAGES`."""
        at, seen = self.first, set[int]()
        while at and at not in seen and len(seen) < _MOST_PAGES:
            seen.add(at)
            end = at + struct.calcsize(self.count) + self.entry * self.number(at, self.count)
            at = self.number(end, self.address) if end + self.inline <= self.size else 0
        return len(seen)


def orientation_in_exif(exif: bytes) -> int:
    """The orientation flag in EXIF data (which is a TIFF without pixels); 0 if there is none."""
    with contextlib.suppress(ValueError):
        tiff = TagFile(io.BytesIO(exif.removeprefix(EXIF_MARK)))
        for tag, kind, number, place in tiff.entries(tiff.first):
            if tag == ORIENTATION and kind in _TYPES and number:
                return tiff.value(kind, number, place)[0]
    return 0


def colours_in_exif(exif: bytes | IO[bytes]) -> bytes:
    """An ICC profile of Adobe RGB if EXIF data name these colours; otherwise empty, which stands for sRGB.

    Cameras name them without a profile: the colour space is "uncalibrated", and the interoperability index is ``R03``
    (DCF 2.0, "optional file").
    """
    with contextlib.suppress(ValueError, struct.error):
        tiff = TagFile(io.BytesIO(exif.removeprefix(EXIF_MARK)) if isinstance(exif, bytes) else exif)
        at = tiff.directory(tiff.first, (_EXIF,)).get(_EXIF, ())
        tags = tiff.directory(at[0], (_COLOUR_SPACE, _INTEROPERABILITY)) if at else {}
        at = tags.get(_INTEROPERABILITY, ())
        if at and tags.get(_COLOUR_SPACE) == (_UNCALIBRATED,):
            index = tiff.directory(at[0], (_INDEX,)).get(_INDEX, b"")
            if bytes(index).rstrip(b"\0 ") == b"R03":
                return profile_of("Adobe RGB (1998)", ADOBE_RGB, power(563 / 256))
    return b""
