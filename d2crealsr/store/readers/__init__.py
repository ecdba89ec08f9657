"""The table of readers, one for each image format.

To add a format, write a module with its :class:`~d2crealsr.store.readers.reader.Reader` and add a line to
:data:`READERS`. The table determines which files of a folder are pictures, how headers are checked, and what error
messages and the documentation say about formats.
"""

from __future__ import annotations

from d2crealsr.store.readers import bitmaps, heifs, jpegs, pngs, raws, tiffs
from d2crealsr.store.readers.reader import Header, Reader

__all__ = ["IMAGE_SUFFIXES", "READERS", "START", "UNKNOWN", "Header", "Reader", "reader_of"]

READERS: tuple[Reader, ...] = (
    pngs.PNG,
    jpegs.JPEG,
    tiffs.TIFF,
    bitmaps.BMP,
    bitmaps.WEBP,
    bitmaps.JPEG_2000,
    raws.RAW,
    heifs.HEIF,
)
"""Every reader. A file is read by the first one that recognises its first bytes."""

IMAGE_SUFFIXES = tuple(suffix for reader in READERS for suffix in reader.suffixes)
"""Endings (lower case) of the names of files that count as images."""

START = 4096
"""Number of bytes at the beginning of a file from which its format is recognised."""

UNKNOWN = f"of no image format that is read: {', '.join(reader.name for reader in READERS)}"


def reader_of(start: bytes) -> Reader:
    """The reader for a file that begins with these bytes; raises ValueError if there is none."""
    for reader in READERS:
        if reader.begins(start):
            return reader
    raise ValueError(UNKNOWN)
