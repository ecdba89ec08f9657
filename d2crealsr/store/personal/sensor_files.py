"""Camera RAW without what EXIF says about people and places; the notes of the maker stay.

Nothing is moved, because makers note addresses within the file. Entries are taken out of their directories, and their
values become zeros: the position, serial numbers, names, comments and XMP. The notes of the maker have what is needed
to develop the sensor data, and nobody has documented all of what else they have.

The directories are those of the file itself, if it is a TIFF perhaps under another mark, those of EXIF data in embedded
previews, and those in the boxes of Canon's CR3. (TIFF 6.0, section 2; EXIF 2.32, section 4.6; DNG 1.4, chapter 4.)
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cleaned_sensor_file", "has_notes"]

_EXIF, _SUBFILES, _GPS = 34665, 330, 34853
_PERSONAL = frozenset(
    {
        *(_GPS, 700, 33432, 33723, 34377, 37394, 37510, *range(40091, 40096), 42016, 42032, 42033, 42037),
        *(50735, 50781, 50827, 50828),
    }
)
"""Position, XMP, copyright, IPTC, Photoshop, security, comment, title to subject, numbers of the image, owner, serial
numbers of body and lens; and of DNG: serial number, number of the image, name and content of the original file."""

_OF_TIFF = frozenset({269, 270, 285, 315, 316})
"""Document, description, page, artist, computer. Panasonic uses numbers as low as these for something else."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_MOST_DIRECTORIES = 64
_ENTRY, _INLINE = 12, 4

_HEADER = rb"(?:II\*\0|MM\0\*)"
_PREVIEW = re.compile(rb"Exif\0\0(?=" + _HEADER + rb")")
_BOX = re.compile(rb"CMT([1-4])(?=" + _HEADER + rb")")
_XMP = re.compile(rb"<x:xmpmeta\b.*?</x:xmpmeta>", re.DOTALL)
_MARKS = (b"II*\0", b"MM\0*", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")
_PANASONIC = b"IIU\0"
_LONGEST_SEGMENT = 65536
_BOX_OF_NOTES, _BOX_OF_POSITION = b"3", b"4"
_NOTES = frozenset({37500, 50740})
"""Notes of the maker in EXIF data and in a DNG."""


class _Block(NamedTuple):
    """A part of a file with directories: from where their addresses count, where it ends, and what is taken out."""

    base: int
    end: int
    personal: frozenset[int]
    whole: bool = False


def cleaned_sensor_file(data: bytes, orientation: int) -> bytes:
    """Camera RAW without personal data outside of the notes of the maker; ``orientation`` stays as it is.

    Raises ValueError or struct.error if the file is damaged, or has no directories that are known.
    """
    made = bytearray(data)
    blocks = list(_blocks(data))
    if not blocks:
        raise ValueError("its structure is not known")
    for block in blocks:
        _clean(made, block)
    for packet in _XMP.finditer(data):
        made[packet.start() : packet.end()] = b" " * (packet.end() - packet.start())
    return bytes(made)


def has_notes(data: bytes) -> bool:
    """Whether camera RAW has notes of the maker. Those of files that are no TIFF are not looked for."""
    made = bytearray(data)
    # Mostly the first block has them, so that the rest of the file is not searched for others.
    return not data.startswith(_MARKS) or any(_NOTES & _clean(made, block) for block in _blocks(data))


def _blocks(data: bytes) -> Iterator[_Block]:
    everything = _PERSONAL | _OF_TIFF
    if data.startswith(_MARKS):
        yield _Block(0, len(data), _PERSONAL if data.startswith(_PANASONIC) else everything)
    for found in _PREVIEW.finditer(data):
        yield _Block(found.end(), min(len(data), found.end() + _LONGEST_SEGMENT), everything)
    for found in _BOX.finditer(data):
        (length,) = struct.unpack_from(">I", data, found.start() - 4)
        end = min(len(data), found.start() - 4 + length)
        if found[1] != _BOX_OF_NOTES:
            yield _Block(found.end(), end, everything, whole=found[1] == _BOX_OF_POSITION)


def _clean(made: bytearray, block: _Block) -> set[int]:
    """Take personal entries out of all directories that the first one leads to. Returns the tags that are left."""
    order = "<" if made[block.base : block.base + 2] == b"II" else ">"
    todo = [(int(struct.unpack_from(f"{order}I", made, block.base + 4)[0]), block.whole)]
    seen: set[int] = set()
    tags: set[int] = set()
    while todo:
        at, whole = todo.pop()
        if at and at not in seen and len(seen) < _MOST_DIRECTORIES:
            seen.add(at)
            others, left = _clean_directory(made, block, (order, at, whole))
            todo += others
            tags |= left
    return tags


def _clean_directory(
    made: bytearray, block: _Block, place: tuple[str, int, bool]
) -> tuple[list[tuple[int, bool]], set[int]]:
    """Rewrite a directory.

    Returns the addresses of those that it leads to, and whether they go as a whole; and the tags that are left.
    """
    order, at, whole = place
    start = block.base + at
    (count,) = struct.unpack_from(f"{order}H", made, start)
    end = start + 2 + _ENTRY * count
    if end + _INLINE > block.end:
        raise ValueError("its directories are damaged")
    (following,) = struct.unpack_from(f"{order}I", made, end)
    kept: list[bytes] = []
    left: set[int] = set()
    others = [] if whole else [(int(following), False)]
    for first in range(start + 2, end, _ENTRY):
        tag, kind, values = struct.unpack_from(f"{order}HHI", made, first)
        size = _SIZES.get(kind, 0) * values
        value = first + _ENTRY - _INLINE
        if size > _INLINE:
            value = block.base + struct.unpack_from(f"{order}I", made, value)[0]
        personal = whole or tag in block.personal
        if kind in (4, 13) and tag in (_EXIF, _SUBFILES, _GPS) and value + size <= block.end:
            others += [(int(to), personal) for to in struct.unpack_from(f"{order}{values}I", made, value)]
        if not personal:
            kept.append(bytes(made[first : first + _ENTRY]))
            left.add(tag)
        elif size > _INLINE:
            last = min(value + size, block.end)
            made[value:last] = bytes(max(0, last - value))
    content = struct.pack(f"{order}H", len(kept)) + b"".join(kept)
    content += struct.pack(f"{order}I", 0 if whole else following)
    made[start : end + _INLINE] = content.ljust(end + _INLINE - start, b"\0")
    return others, left
