"""Make an ICC profile from colours that are given by numbers (primaries, white, curve) instead of a profile.

All pictures whose colours are not sRGB are then treated in the same way, by :mod:`d2crealsr.store.profiles`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ADOBE_RGB",
    "PRIMARIES",
    "SRGB_CURVE",
    "TRANSFERS",
    "UNSPECIFIED",
    "Primaries",
    "UnknownColours",
    "power",
    "profile_of",
    "profile_of_code",
]

Curve: TypeAlias = tuple[float, float, float, float, float]
"""``g, a, b, c, d``: linear light is ``(a·x + b)^g`` from x = d on and ``c·x`` below (ICC.1:2022, 10.18, type 3)."""

SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_TELEVISION: Curve = (1 / 0.45, 1 / 1.0993, 0.0993 / 1.0993, 1 / 4.5, 0.081)
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


class UnknownColours(ValueError):
    """These colours cannot be made into a profile; the text says which they are."""


class Primaries(NamedTuple):
    """Name of a set of colours, and x and y of its red, green, blue and white."""

    name: str
    transfer: int
    places: tuple[float, ...]


def power(exponent: float) -> Curve:
    """The curve of a plain power."""
    return exponent, 1.0, 0.0, 0.0, 0.0


_D65 = (0.3127, 0.329)
PRIMARIES = {
    1: Primaries("BT.709", 1, (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, *_D65)),
    4: Primaries("BT.470 M", 4, (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.31, 0.316)),
    5: Primaries("BT.601 625", 6, (0.64, 0.33, 0.29, 0.6, 0.15, 0.06, *_D65)),
    6: Primaries("BT.601 525", 6, (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65)),
    7: Primaries("SMPTE 240M", 6, (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65)),
    9: Primaries("BT.2020", 14, (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, *_D65)),
    11: Primaries("DCI P3", 17, (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.314, 0.351)),
    12: Primaries("Display P3", 13, (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, *_D65)),
    22: Primaries("EBU 3213", 1, (0.63, 0.34, 0.295, 0.605, 0.155, 0.077, *_D65)),
}
"""By their number in ITU-T H.273, Table 2."""

UNSPECIFIED = 2
"""The number of primaries or transfers that are not said."""

ADOBE_RGB = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *_D65)
"""Of Adobe RGB (1998), whose curve is a power of 563/256."""

TRANSFERS: dict[int, tuple[str, Curve]] = {
    1: ("BT.709", _TELEVISION),
    4: ("gamma 2.2", power(2.2)),
    5: ("gamma 2.8", power(2.8)),
    6: ("BT.601", _TELEVISION),
    8: ("linear", power(1)),
    13: ("sRGB curve", SRGB_CURVE),
    14: ("BT.2020", _TELEVISION),
    15: ("BT.2020", _TELEVISION),
}
"""By their number in ITU-T H.273, Table 3. PQ (16) and HLG (18) describe scenes brighter than the white of sRGB."""


def profile_of(name: str, places: Sequence[float], curve: Curve) -> bytes:
    """An ICC profile of RGB colours.

    Parameters
    ----------
    name : str
        Description, ASCII.
    places : Sequence[float]
        CIE 1931 x and y of red, green, blue and white, eight numbers.
    curve : Curve
        From samples (0–1) to linear light, the same for every channel.

    Raises
    ------
    UnknownColours
        When these coordinates do not form a valid set of colours.
    """
    matrix = _to_d50(places)
    numbers = (*matrix.ravel(), *curve)
    if not np.isfinite(numbers).all() or np.abs(numbers).max() >= 32_768:
        raise UnknownColours(f"{name} of impossible numbers")
    text = name.encode("ascii") + b"\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"wtpt": b"XYZ " + bytes(4) + _fixed(_D50),
        b"TRC": b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed(curve),
        **{
            letter + b"XYZ": b"XYZ " + bytes(4) + _fixed(column)
            for letter, column in zip((b"r", b"g", b"b"), matrix.T, strict=True)
        },
    }
    names = [key for key in tags if key != b"TRC"] + [b"rTRC", b"gTRC", b"bTRC"]
    body, start, at = b"", 128 + 4 + 12 * len(names), {}
    for key, content in tags.items():
        at[key] = struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    table = b"".join(key + at[b"TRC" if key.endswith(b"TRC") else key] for key in names)
    head = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x04200000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + _fixed(_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(names)) + table + body


def profile_of_code(primaries: int, transfer: int) -> bytes:
    """An ICC profile of colours by their numbers in ITU-T H.273; empty for sRGB, and where the numbers say nothing.

    Raises
    ------
    UnknownColours
        When these colours cannot be converted.
    """
    if UNSPECIFIED in (primaries, transfer) or (primaries, transfer) == (1, 13):
        return b""
    if primaries not in PRIMARIES or transfer not in TRANSFERS:
        raise UnknownColours(f"{primaries}, {transfer} of ITU-T H.273")
    name, curve = TRANSFERS[transfer]
    colours = PRIMARIES[primaries]
    return profile_of(colours.name if colours.transfer == transfer else f"{colours.name} {name}", colours.places, curve)


def _fixed(numbers: Sequence[float]) -> bytes:
    """Numbers in the format s15Fixed16Number of ICC."""
    return struct.pack(f">{len(numbers)}i", *(round(float(number) * 65_536) for number in numbers))


def _to_d50(places: Sequence[float]) -> np.ndarray:
    """XYZ of the primaries in columns, adapted from their white to D50 as ICC requires (Bradford)."""
    with np.errstate(all="ignore"):
        x, y = np.array(places[::2]), np.array(places[1::2])
        tall = np.array([x / y, np.ones(4), (1 - x - y) / y])
        try:
            matrix = tall[:, :3] * np.linalg.solve(tall[:, :3], tall[:, 3])
            gains = (_BRADFORD @ np.array(_D50)) / (_BRADFORD @ tall[:, 3])
            return np.linalg.solve(_BRADFORD, gains[:, None] * (_BRADFORD @ matrix))
        except np.linalg.LinAlgError as error:
            raise UnknownColours("primaries in one line") from error
