"""The orientation flag in XMP, which contains the fields of EXIF as XML."""

from __future__ import annotations

import re

__all__ = ["orientation_in_xmp", "orientation_packet"]

_FLAG = re.compile(rb"""tiff:Orientation\s*(?:=\s*["']|>)\s*([1-8])""")


def orientation_in_xmp(xmp: bytes) -> int:
    """Orientation 1–8, from an attribute or an element; 0 if there is none."""
    found = _FLAG.search(xmp)
    return int(found[1]) if found else 0


def orientation_packet(orientation: int) -> bytes:
    """XMP with nothing but an orientation."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
        f'tiff:Orientation="{orientation}"/></rdf:RDF></x:xmpmeta>'
    ).encode()
