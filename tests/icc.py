"""Small colour profiles (ICC.1:2001-04, matrix and curve, or grey), made for tests and bad inputs."""

from __future__ import annotations

import struct

import numpy as np

__all__ = ["ADOBE_RGB", "SRGB", "WIDE_GREY", "matrix_profile"]

_D50 = (0.9642, 1.0, 0.8249)

SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
"""XYZ (D50) of sRGB's primaries, in columns."""
ADOBE_RGB = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
"""XYZ (D50) of the primaries of Adobe RGB (1998), in columns."""
WIDE_GREY = None
"""Instead of primaries: a profile of grey alone."""


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)


def _description(text: str) -> bytes:
    plain = text.encode("ascii") + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(plain)) + plain + bytes(4 + 4 + 2 + 1 + 67)


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def _curve(gamma: float | None) -> bytes:
    """A power, or sRGB's own curve as a table of 1024 steps."""
    if gamma is not None:
        return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
    x = np.linspace(0, 1, 1024)
    linear = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    table = np.rint(linear * 65535).astype(">u2").tobytes()
    return b"curv" + bytes(4) + struct.pack(">I", 1024) + table


def matrix_profile(name: str, primaries: np.ndarray | None = SRGB, gamma: float | None = None) -> bytes:
    """A monitor profile: its description, XYZ of its primaries (:data:`WIDE_GREY` for grey), its curve."""
    tags = {b"desc": _description(name), b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(_D50)}
    if primaries is None:
        tags[b"kTRC"] = _curve(gamma)
    else:
        for channel, column in zip(b"rgb", primaries.T, strict=True):
            tags[bytes([channel]) + b"XYZ"] = _xyz(tuple(column))
            tags[bytes([channel]) + b"TRC"] = _curve(gamma)
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for signature, content in tags.items():
        table += signature + struct.pack(">2I", start + len(body), len(content))
        body += _padded(content)
    space = b"GRAY" if primaries is None else b"RGB "
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x02100000, b"mntr", space, b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", *(round(value * 65536) for value in _D50))
    return header.ljust(128, b"\0") + table + body
