"""The orientation flag in XMP, which has EXIF's fields as XML."""

from __future__ import annotations

import re

__all__ = ["orientation_in_xmp"]

_FLAG = re.compile(rb"""tiff:Orientation\s*(?:=\s*["']|>)\s*([1-8])""")


def orientation_in_xmp(xmp: bytes) -> int:
    """Orientation 1–8, written as attribute or element; 0 where there is none."""
    found = _FLAG.search(xmp)
    return int(found[1]) if found else 0
