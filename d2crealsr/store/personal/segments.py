"""JPEG files with nothing but the picture, its colours, and harmless EXIF data.

What follows the picture is left out, such as the second picture of an MPO, which has EXIF data of its own, or a film.
(ITU-T T.81, annex B.)
"""

from __future__ import annotations

import re

from d2crealsr.store.personal.directories import cleaned_exif
from d2crealsr.store.readers.tiffs import orientation_in_exif
from d2crealsr.store.xmp import orientation_packet

__all__ = ["cleaned_jpeg"]

_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_APP0, _APP1, _APP2, _APP14, _APP15, _COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
_START_OF_IMAGE, _END_OF_IMAGE, _SCAN = 0xD8, 0xD9, 0xDA
_HARMLESS = {_APP0: b"JFIF\0", _APP2: b"ICC_PROFILE\0", _APP14: b"Adobe"}
"""How the segments of applications begin that are kept."""

_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
"""The marker after the coded pixels of a scan, in which an 0xff is followed by a 0 or a restart marker."""


def cleaned_jpeg(data: bytes, orientation: int) -> bytes:
    """A JPEG without personal data; raises ValueError if it is damaged between its segments."""
    parts, place, has_exif, flag = [data[:2]], 2, False, 0
    while found := _NEXT_MARKER.match(data, place):
        marker, content = found[0][-1], found.end() + 2
        if marker == _END_OF_IMAGE:
            return b"".join([*parts, b"\xff\xd9"])
        end = found.end() + int.from_bytes(data[found.end() : content], "big")
        if marker == _APP1 and data.startswith(_EXIF, content) and not has_exif:
            if exif := cleaned_exif(data[content + len(_EXIF) : end]):
                parts.append(_segment(_EXIF + exif))
            has_exif, flag = True, orientation_in_exif(exif)
        elif marker == _SCAN and orientation > 1 and not flag:  # it stood in XMP
            parts.append(_segment(_XMP + orientation_packet(orientation)))
            flag = orientation
        if _is_harmless(marker, data, content):
            parts.append(b"\xff" + data[found.end() - 1 : end])
        if marker == _SCAN:
            following = _NEXT_MARKER.search(data, end)
            pixels_end = len(data) if following is None else following.start()
            parts.append(data[end:pixels_end])
            if following is None:  # cut off within the picture
                return b"".join(parts)
            end = pixels_end
        place = end
    raise ValueError("it is damaged between its segments")


def _is_harmless(marker: int, data: bytes, content: int) -> bool:
    if _APP0 <= marker <= _APP15:
        return marker in _HARMLESS and data.startswith(_HARMLESS[marker], content)
    return marker not in (_COMMENT, _START_OF_IMAGE)


def _segment(content: bytes) -> bytes:
    return b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content
