"""Read the segments of a JPEG before anything is decoded, and find out how much work decoding would be.

An MPO of a camera is a JPEG with further pictures behind the first one, such as that of its other eye. The first one is
read.

We read the segments with our own code because of files that are made to do harm. The standard allows a picture of a few
kilobytes to have any number of scans, each of which costs as much as decoding the whole picture. Pillow joins any
number of EXIF segments in quadratic time. (ITU-T T.81, annex B.)
"""

from __future__ import annotations

import re
import struct
from typing import IO, TYPE_CHECKING

from d2crealsr import opencv
from d2crealsr.store.readers.reader import Header, Reader
from d2crealsr.store.readers.tags import EXIF_MARK, colours_in_exif, orientation_in_exif
from d2crealsr.store.xmp import orientation_in_xmp

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["JPEG", "MOST_SCANS", "SIGNATURE", "comments_in", "too_elaborate", "with_comment"]

SIGNATURE = b"\xff\xd8\xff"

_APP1, _APP2, _SCAN, _END, _COMMENT = 0xE1, 0xE2, 0xDA, 0xD9, 0xFE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_READ_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
"""Sequential and progressive frames; the others are lossless or hierarchical."""
_XMP, _ICC = b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"

MOST_SCANS = 64
"""Most scans of one picture. Usual progressive pictures have ten; the most elaborate encoders write about twenty."""
_MOST_SEGMENTS = 4096
"""Most segments in front of the pixels. Depth maps and similar data fill about a hundred."""

_MOST_FILLING = 64

_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def _header(file: IO[bytes]) -> Header:
    """Read the segments of an open JPEG up to its first scan; raises ValueError if they are damaged."""
    frame, exif, xmp, profile = None, b"", b"", []
    for number, (marker, length) in enumerate(_segments(file)):
        if number > _MOST_SEGMENTS:
            raise ValueError(f"more than {_MOST_SEGMENTS} segments")
        if marker in _FRAMES and frame is None:
            frame = marker, *struct.unpack(">BHHB", file.read(6))
        elif marker == _APP1:
            content = file.read(length)
            if content.startswith(EXIF_MARK):
                exif = exif or content
            elif content.startswith(_XMP):
                xmp = xmp or content
        elif marker == _APP2 and (content := file.read(length)).startswith(_ICC):
            profile.append(content[len(_ICC) :])
    if frame is None:
        raise ValueError("no picture before its first scan")
    marker, bits, height, width, channels = frame
    unusual = "lossless or hierarchical JPEG" if marker not in _READ_FRAMES else f"JPEG of {bits} bits" * (bits != 8)
    mode = {1: "L", 3: "RGB", 4: "CMYK"}.get(channels, f"of {channels} channels")
    orientation = orientation_in_exif(exif) or orientation_in_xmp(xmp)
    colours = b"".join(part[2:] for part in sorted(profile)) or colours_in_exif(exif)
    return Header(width, height, mode, orientation=orientation, profile=colours, unusual=unusual, exif=exif)


def _segments(file: IO[bytes]) -> Iterator[tuple[int, int]]:
    """Marker and content length of every segment before the first scan. The file is positioned at the content."""
    place = 2
    while True:
        file.seek(place)
        start = file.read(4)
        filled = 0
        while start[:2] == b"\xff\xff" and filled < _MOST_FILLING:  # fill bytes may precede any marker
            start, filled = start[1:] + file.read(1), filled + 1
        place += filled
        if len(start) < 4 or start[0] != 0xFF:
            raise ValueError("truncated or damaged between its segments")
        marker, length = start[1], int.from_bytes(start[2:], "big")
        if marker == _SCAN:
            return
        if length < 2:
            raise ValueError("truncated or damaged between its segments")
        yield marker, length - 2
        place += 2 + length


def with_comment(jpeg: bytes, comment: bytes) -> bytes:
    """The same JPEG with a comment of at most 65,533 bytes, behind the segment that JFIF wants to be the first."""
    place = 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:place] + struct.pack(">BBH", 0xFF, _COMMENT, 2 + len(comment)) + comment + jpeg[place:]


def comments_in(file: IO[bytes]) -> Iterator[bytes]:
    """The comments of an open JPEG; raises ValueError where its segments are damaged."""
    for number, (marker, length) in enumerate(_segments(file)):
        if number > _MOST_SEGMENTS:
            raise ValueError(f"more than {_MOST_SEGMENTS} segments")
        if marker == _COMMENT:
            yield file.read(length)


def too_elaborate(data: bytes) -> str:
    """Why decoding a JPEG would take minutes (it has more than :data:`MOST_SCANS` scans); empty if it would not."""
    if data.count(b"\xff\xda") <= MOST_SCANS:  # true for nearly all files
        return ""
    place, scans = 2, 0
    while found := _NEXT_MARKER.search(data, place):
        marker, place = found[0][1], found.end()
        if marker == _END:
            break
        scans += marker == _SCAN
        if scans > MOST_SCANS:
            return (
                f"a JPEG of more than {MOST_SCANS} scans, each of which costs as much as the whole picture; "
                "save it again as JPEG or PNG"
            )
        place += int.from_bytes(data[place : place + 2], "big")
    return ""


JPEG = Reader(
    name="JPEG",
    suffixes=(".jpg", ".jpeg", ".mpo"),
    begins=lambda start: start.startswith(SIGNATURE),
    header=_header,
    decode=opencv.decode_jpeg,
    refuses=too_elaborate,
)
