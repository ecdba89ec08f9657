"""Image files without personal data: no position, serial numbers, names or notes of the maker; the picture as it was.

Only what is known to be harmless is kept: what describes the picture (size, orientation, colours), the camera, the
lens and the exposure. The coded pixels are copied byte by byte.

To add a format, write a function from bytes to bytes and add a line to :data:`CLEANERS`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from d2crealsr.errors import ImageError
from d2crealsr.store.headers import read_header
from d2crealsr.store.personal import sensor_files
from d2crealsr.store.personal.boxes import cleaned_heif, cleaned_jpeg_2000
from d2crealsr.store.personal.chunks import cleaned_png, cleaned_webp
from d2crealsr.store.personal.directories import cleaned_tiff
from d2crealsr.store.personal.segments import cleaned_jpeg
from d2crealsr.store.readers import START, reader_of
from d2crealsr.store.readers.raws import RAW

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2crealsr.store.readers import Header

__all__ = ["CLEANERS", "has_notes", "without_personal_data"]

CLEANERS: dict[str, Callable[[bytes, int], bytes]] = {
    "JPEG": cleaned_jpeg,
    "PNG": cleaned_png,
    "TIFF": cleaned_tiff,
    "WebP": cleaned_webp,
    "HEIC": cleaned_heif,
    "JPEG 2000": cleaned_jpeg_2000,
    "BMP": lambda data, orientation: data,
    RAW.name: sensor_files.cleaned_sensor_file,
}
"""What makes a file of a format free of personal data, by the name of its reader. It is given the orientation of the
picture, which must stay, wherever the file has it from."""


def without_personal_data(data: bytes, name: str) -> bytes:
    """The same image file without personal data; ``data`` itself if there is nothing to take out.

    Raises
    ------
    ImageError
        When this is not possible: the file is damaged, or of a format that has no line in :data:`CLEANERS`.

    See Also
    --------
    has_notes : Whether the notes of the maker stay.
    """
    try:
        kind = reader_of(data[:START]).name
    except ValueError as error:
        raise ImageError(f"{name}: {error}") from error
    if kind not in CLEANERS:
        raise ImageError(f"{name}: personal data of {kind} cannot be left out; export it as JPEG or TIFF")
    before = read_header(data, name)
    try:
        cleaned = CLEANERS[kind](data, before.orientation)
        after = read_header(cleaned, name)
    except (ValueError, struct.error, IndexError) as error:
        raise ImageError(f"{name}: personal data cannot be left out ({error}); export it again") from error
    if _picture_of(after) != _picture_of(before):
        raise ImageError(f"{name}: personal data cannot be left out without changing the picture; export it again")
    return cleaned


def has_notes(data: bytes) -> bool:
    """Whether a file keeps notes of the maker, as camera RAW does, whose pixels cannot be read without them."""
    try:
        return reader_of(data[:START]) is RAW and sensor_files.has_notes(data)
    except (ValueError, struct.error):
        return False


def _picture_of(header: Header) -> tuple[object, ...]:
    """What must stay of a header; further pictures of a file are left out."""
    return header.width, header.height, header.mode, header.bits, header.orientation, header.profile
