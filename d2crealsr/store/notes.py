"""Short notes inside image files: stored when a file is written, and read from its header.

A PNG stores a note as a ``tEXt`` chunk under its key (PNG 3rd edition, §11.3.3.2), a JPEG as a comment, ``KEY: TEXT``.
A TIFF stores it in its ``ImageDescription``, as a JSON object with the note under its key, as written by tifffile.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from typing import TYPE_CHECKING

from d2crealsr.store.files import open_regular
from d2crealsr.store.readers import jpegs, pngs, tiffs

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["is_whole", "note_in", "with_note"]

_END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
"""The chunk that every PNG ends with."""


def with_note(image: bytes, key: str, text: str) -> bytes:
    """The same PNG or JPEG with a note, whose key and text are plain ASCII."""
    if image.startswith(jpegs.SIGNATURE):
        return jpegs.with_comment(image, f"{key}: {text}".encode("ascii"))
    return pngs.with_chunk(image, b"tEXt", key.encode("ascii") + b"\0" + text.encode("ascii"))


def note_in(path: Path, key: str) -> str:
    """The note under that key in a PNG, JPEG or TIFF file; empty where there is none, or no image that can be read."""
    try:
        with open_regular(path) as file:
            start = file.read(len(pngs.SIGNATURE))
            if start == pngs.SIGNATURE:
                return pngs.text_in(file, key)
            if start.startswith(jpegs.SIGNATURE):
                label = f"{key}: ".encode("ascii")
                own = (comment for comment in jpegs.comments_in(file) if comment.startswith(label))
                return next(own, label)[len(label) :].decode("ascii")
            described = json.loads(tiffs.read_directory(file).content(tiffs.DESCRIPTION).rstrip(b"\0") or b"{}")
    except (OSError, ValueError, RecursionError, struct.error):
        return ""  # damaged, or no TIFF: it carries no note of ours
    found = described.get(key, "") if isinstance(described, dict) else ""
    return found if isinstance(found, str) else ""


def is_whole(path: Path) -> bool:
    """Whether a file that carries a note ends as it was written: copies that were cut short keep the note."""
    try:
        with open_regular(path) as file:
            is_png = file.read(len(pngs.SIGNATURE)) == pngs.SIGNATURE
            file.seek(-len(_END), os.SEEK_END)
            return not is_png or file.read() == _END
    except OSError:
        return False
