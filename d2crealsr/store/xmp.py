"""The orientation flag in XMP, which contains the fields of EXIF as XML."""

from __future__ import annotations

import re

__all__ = ["orientation_in_xmp"]

_FLAG = re.compile(rb"""tiff:Orientation\s*(?:=\s*["']|>)\s*([1-8])""")


def orientation_in_xmp(xmp: bytes) -> int:
    """Orientation 1–8, from an attribute or an element; 0 if there is none."""
    found = _FLAG.search(xmp)
    return int(found[1]) if found else 0
