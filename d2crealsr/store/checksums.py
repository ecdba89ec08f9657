"""JSON that contains a checksum of itself: ``dataset.json`` and the lines of the journal.

The last entry of the object is ``checksum``: the SHA-256 of all its bytes, in which the 64 digits of this entry are
zeros. A single changed bit anywhere in the bytes is therefore noticed, the digits included.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CHECKSUM", "is_intact", "sealed"]

CHECKSUM = "checksum"

_ZEROS = b"0" * 64
_LAST_ENTRY = re.compile(rb'"checksum": "([^"]{64})"\s*\}\s*\Z')
_LONGEST_END = 128
"""More bytes than the last entry has, with everything that follows it."""


def sealed(content: Mapping[str, Any], *, indent: int | None = None) -> bytes:
    """An object as JSON with its checksum: one line of ASCII without a line end or, indented, lines of UTF-8.

    Numbers of numpy are written as plain numbers.
    """
    zeros = {**content, CHECKSUM: _ZEROS.decode()}
    text = json.dumps(zeros, indent=indent, ensure_ascii=indent is None, default=lambda number: number.item())
    data = text.encode(errors="backslashreplace") + (b"\n" if indent is not None else b"")
    place = data.rindex(_ZEROS)
    return data[:place] + hashlib.sha256(data).hexdigest().encode() + data[place + len(_ZEROS) :]


def is_intact(data: bytes) -> bool:
    """Whether the bytes are as :func:`sealed` made them."""
    found = _LAST_ENTRY.search(data, max(len(data) - _LONGEST_END, 0))
    if found is None:
        return False
    digest = hashlib.sha256(data[: found.start(1)])
    digest.update(_ZEROS + data[found.end(1) :])
    return digest.hexdigest().encode() == found[1]
