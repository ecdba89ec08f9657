"""Recognise archives that would unpack to more than their own size."""

from __future__ import annotations

import os
import zipfile
from typing import IO

__all__ = ["is_packed"]


def is_packed(file: IO[bytes]) -> bool:
    """Whether an archive unpacks to more than its own size. torch writes none of this kind, but a zip bomb is one."""
    if not zipfile.is_zipfile(file):
        return False
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        return sum(entry.file_size for entry in archive.infolist()) > size
