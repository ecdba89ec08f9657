"""Read the first directory of a TIFF, and check that OpenCV decodes a picture of this kind correctly.

The TIFF format allows many thousands of combinations. OpenCV decodes some of them to wrong numbers without an error: it
returns uninitialised memory for separate planes of 16 bits, and a negative for grey with white at zero. A TIFF is
therefore read only if its combination is one whose decoding is verified by the tests.
"""

from __future__ import annotations

import io
import struct
from typing import IO, TYPE_CHECKING, NamedTuple

from d2crealsr import opencv
from d2crealsr.store.readers.raws import begins_raw
from d2crealsr.store.readers.reader import Header, Reader
from d2crealsr.store.readers.tags import (
    DAMAGED,
    ORIENTATION,
    SIGNATURES,
    TagFile,
    colours_in_exif,
    orientation_in_exif,
)
from d2crealsr.store.xmp import orientation_in_xmp

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DESCRIPTION", "TIFF", "Directory", "orientation_in_exif", "read_directory"]

_WIDTH, _HEIGHT, _COMPRESSION, DESCRIPTION = 256, 257, 259, 270
_SUBFILE, _BITS, _PHOTOMETRIC, _SAMPLES, _PLANAR, _PREDICTOR = 254, 258, 262, 277, 284, 317
_TILE_WIDTH, _TILE_LENGTH, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _XMP, _ICC_PROFILE = 322, 323, 338, 339, 700, 34675

_COMPRESSIONS = {
    1: "none", 2: "CCITT RLE", 3: "CCITT Group 3", 4: "CCITT Group 4", 5: "LZW", 6: "old-style JPEG", 7: "JPEG",
    8: "Deflate", 32773: "PackBits", 32946: "Deflate", 33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000",
    34661: "JBIG", 34712: "JPEG 2000", 34713: "Nikon NEF", 34887: "LERC", 34892: "lossy JPEG of a DNG",
    34925: "LZMA", 34933: "PNG", 34934: "JPEG XR", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL",
    52546: "JPEG XL",
}  # fmt: skip
_PHOTOMETRICS = {
    0: "grey with white at zero", 1: "grey", 2: "RGB", 3: "palette", 4: "transparency mask", 5: "CMYK", 6: "YCbCr",
    8: "CIELAB (LAB)", 9: "ICCLAB (LAB)", 10: "ITULAB (LAB)", 32803: "unprocessed sensor data",
    32844: "LogL", 32845: "LogLuv", 34892: "linear raw data",
}  # fmt: skip
_FORMATS = {1: "unsigned", 2: "signed integer", 3: "floating point", 4: "unsigned", 5: "complex", 6: "complex"}
_PREDICTED = (5, 8, 32946)
"""Compressions for which the decoder reverts differences. For others it does not, and reports no error."""
_LOSSLESS = (1, 5, 8, 32773, 32946)
_FAX = (2, 3, 4)
_JPEG = 7
_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_READ = (_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _YCBCR)
_DEPTHS = {_WHITE_IS_ZERO: (1, 8), _GREY: (1, 8, 16), _RGB: (8, 16), _PALETTE: (8,), _YCBCR: (8,)}
_OPACITY = 2
_TILE_BLOCK = 1024
"""An uncompressed tile of 8 bits has a multiple of so many bytes. OpenCV's libtiff takes others for damaged."""


_WANTED = (
    _SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, DESCRIPTION, ORIENTATION, _SAMPLES, _PLANAR,
    _PREDICTOR, _TILE_WIDTH, _TILE_LENGTH, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _XMP, _ICC_PROFILE,
)  # fmt: skip


class Directory(NamedTuple):
    """The first directory of a TIFF: whole numbers by tag, and the number of directories."""

    tags: dict[int, Sequence[int]]
    pages: int

    def first(self, tag: int, default: int) -> int:
        """The first number of a tag."""
        return next(iter(self.tags.get(tag, ())), default)

    def content(self, tag: int) -> bytes:
        """The bytes of a tag; empty if it is missing."""
        value = self.tags.get(tag, b"")
        return value if isinstance(value, bytes) else b""


def read_directory(file: IO[bytes]) -> Directory:
    """Read the first directory of an open TIFF; raises ValueError if it is damaged."""
    tiff = TagFile(file)
    return Directory(tiff.directory(tiff.first, _WANTED), tiff.pages())


def _without_orientation(data: bytes) -> bytes:
    """The same TIFF with orientation 1, because OpenCV applies the flag of some TIFFs whatever it is asked to do."""
    tiff = TagFile(io.BytesIO(data))
    for tag, _, _, place in tiff.entries(tiff.first):
        if tag == ORIENTATION:
            return data[:place] + struct.pack(tiff.order + "HH", 1, 0) + data[place + 4 :]
    return data


def _tile_pixels(found: Directory) -> int:
    """Pixels of a tile, which the decoder keeps in memory; 0 for a picture in strips, which never exceed it."""
    return found.first(_TILE_WIDTH, 0) * found.first(_TILE_LENGTH, 0)


def _mode_of(found: Directory) -> str:
    """Pillow's name of the picture's colours, as in the headers of other formats.

    The picture is RGBA if a fourth sample is decoded as opacity. In RGBX the fourth sample must hide nothing.
    """
    photometric, bits = found.first(_PHOTOMETRIC, 1), found.first(_BITS, 1)
    if photometric == _PALETTE:
        return "P"
    if photometric in (_RGB, _YCBCR):
        decoded_as_written = found.first(_EXTRA_SAMPLES, 0) == _OPACITY and bits == 16
        return "RGB" if found.first(_SAMPLES, 1) == 3 else "RGBA" if decoded_as_written else "RGBX"
    return "1" if bits == 1 else "L"


def _unusual(found: Directory) -> str:
    """The reason why a TIFF would not be decoded correctly; empty if it would be.

    The following kinds are decoded correctly, in strips or tiles of either byte order: grey and RGB of 8 or 16 bits;
    separate planes and white at zero, with 8 bits only; palettes, and grey of fewer bits; JPEG of 8 bits; fax of one
    bit.
    """
    bits, samples = found.tags.get(_BITS, (1,)), found.first(_SAMPLES, 1)
    photometric, planar = found.first(_PHOTOMETRIC, -1), found.first(_PLANAR, 1)
    compression, kind = found.first(_COMPRESSION, 1), found.first(_SAMPLE_FORMAT, 1)
    depth = bits[0] if bits else 1
    colours = _PHOTOMETRICS.get(photometric, f"photometric interpretation {photometric}")
    extra = samples - (1 if photometric in (_WHITE_IS_ZERO, _GREY, _PALETTE) else 3)
    packing = _COMPRESSIONS.get(compression, f"number {compression}")
    if found.first(_SUBFILE, 0) & 5:
        return "its first picture is a preview or a mask of another (a raw file?)"
    if photometric not in _READ:
        return f"colour mode {colours}"
    if _FORMATS.get(kind) != "unsigned":
        name = _FORMATS.get(kind, f"of format {kind}")
        return f"samples are {name} of {depth} bits" + (" (mode F)" if kind == 3 else f" (int{depth})" * (kind == 2))
    if len(set(bits)) > 1 or depth not in _DEPTHS[photometric]:
        return f"{colours} of {'/'.join(map(str, bits))} bits"
    if compression not in (*_LOSSLESS, *(_FAX if depth == 1 else ()), *((_JPEG,) if depth == 8 else ())):
        return f"the compression {packing} is not built in" + f" for {depth} bits" * (compression in (*_FAX, _JPEG))
    if extra not in ((0, 1) if photometric == _RGB else (0,)):
        return f"{colours} with {samples} samples a pixel" + " (LA)" * (samples == 2)
    if planar != 1 and samples > 1 and (depth != 8 or photometric != _RGB):
        return f"planes of {colours} of {depth} bits one after the other"
    predictor = found.first(_PREDICTOR, 1)
    if predictor != 1 and (predictor != 2 or compression not in _PREDICTED):
        return f"{packing} compression with predictor {predictor}"
    tile_bits = _tile_pixels(found) * depth * (samples if planar == 1 else 1)
    if compression == 1 and depth <= 8 and tile_bits % (8 * _TILE_BLOCK):
        return f"uncompressed tiles whose bytes are no multiple of {_TILE_BLOCK:,}"
    return ""


def _header(file: IO[bytes]) -> Header:
    try:
        found = read_directory(file)
    except struct.error as error:
        raise ValueError(DAMAGED) from error
    width, height = found.first(_WIDTH, 0), found.first(_HEIGHT, 0)
    if not width or not height:
        raise ValueError(DAMAGED)
    return Header(
        width, height, _mode_of(found), found.first(_BITS, 1),
        orientation=found.first(ORIENTATION, 0) or orientation_in_xmp(found.content(_XMP)),
        profile=found.content(_ICC_PROFILE) or colours_in_exif(file), pictures=found.pages,
        pixels=_tile_pixels(found), unusual=_unusual(found),
    )  # fmt: skip


TIFF = Reader(
    name="TIFF",
    suffixes=(".tif", ".tiff"),
    begins=lambda start: start.startswith(SIGNATURES) and not begins_raw(start),
    header=_header,
    decode=lambda data: opencv.decode(_without_orientation(data)),
    exif=lambda file: file,
)
