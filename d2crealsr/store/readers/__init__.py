"""The image formats that are read: the one table of their readers.

A format is added by a module with its :class:`~d2crealsr.store.readers.reader.Reader`, and its line in
:data:`READERS`. What is taken for a picture in a folder, what a header is checked against, error messages and
documentation follow from the table.
"""

from __future__ import annotations

from d2crealsr.store.readers import bitmaps, jpegs, pngs, tiffs
from d2crealsr.store.readers.reader import Header, Reader

__all__ = ["IMAGE_SUFFIXES", "READERS", "START", "UNKNOWN", "Header", "Reader", "reader_of"]

READERS: tuple[Reader, ...] = (
    pngs.PNG,
    jpegs.JPEG,
    tiffs.TIFF,
    bitmaps.BMP,
    bitmaps.WEBP,
)
"""Every reader; the first that takes a file's first bytes for its own reads it."""

IMAGE_SUFFIXES = tuple(suffix for reader in READERS for suffix in reader.suffixes)
"""File name endings (lower case) taken for images."""

START = 32
"""How many of a file's first bytes tell its format."""

UNKNOWN = f"of no image format that is read: {', '.join(reader.name for reader in READERS)}"


def reader_of(start: bytes) -> Reader:
    """The reader of the file that begins with these bytes; raises ValueError where there is none."""
    for reader in READERS:
        if reader.begins(start):
            return reader
    raise ValueError(UNKNOWN)
