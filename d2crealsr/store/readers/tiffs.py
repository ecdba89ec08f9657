"""Read the first directory of a TIFF, and check that OpenCV decodes a picture of this kind correctly.

The TIFF format allows many thousands of combinations. OpenCV decodes some of them to wrong numbers without an error: it
returns uninitialised memory for separate planes of 16 bits, and a negative for grey with white at zero. A TIFF is
therefore read only if its combination is one whose decoding is verified by the tests.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
from typing import IO, TYPE_CHECKING, NamedTuple

from d2crealsr import opencv
from d2crealsr.store.readers.reader import Header, Reader
from d2crealsr.store.xmp import orientation_in_xmp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["DESCRIPTION", "TIFF", "Directory", "orientation_in_exif", "read_directory"]

_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of a TIFF: little or big endian, with addresses of 32 or (BigTIFF) 64 bits."""

_WIDTH, _HEIGHT, _COMPRESSION, DESCRIPTION, _ORIENTATION = 256, 257, 259, 270, 274
_SUBFILE, _BITS, _PHOTOMETRIC, _SAMPLES, _PLANAR, _PREDICTOR = 254, 258, 262, 277, 284, 317
_TILE_WIDTH, _TILE_LENGTH, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _XMP, _ICC_PROFILE = 322, 323, 338, 339, 700, 34675

_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}
"""Types of whole numbers and bytes (TIFF 6.0, section 2; BigTIFF). Other types do not describe the pixels."""

_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value by its type. Values of other types have one byte."""

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
_MOST_PAGES = 100
"""Pages are counted up to this number. A file with more than one is refused anyway."""
_MOST_NUMBERS = 64
_TILE_BLOCK = 1024
"""An uncompressed tile of 8 bits has a multiple of so many bytes. OpenCV's libtiff takes others for damaged."""


_WANTED = (
    _SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, DESCRIPTION, _ORIENTATION, _SAMPLES, _PLANAR,
    _PREDICTOR, _TILE_WIDTH, _TILE_LENGTH, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _XMP, _ICC_PROFILE,
)  # fmt: skip
_DAMAGED = "the TIFF is truncated or damaged"


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


class _Tiff:
    """An open TIFF or BigTIFF, with its byte order and the sizes of its structures."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.size = file, file.seek(0, os.SEEK_END)
        head = self.take(0, 8)
        if head[:4] not in _SIGNATURES:
            raise ValueError("no TIFF")
        self.order, self.big = "<" if head[:2] == b"II" else ">", b"+" in head[:4]
        self.address, self.count, self.entry, self.inline = ("Q", "Q", 20, 8) if self.big else ("I", "H", 12, 4)
        self.first = self.number(8 if self.big else 4, self.address)

    def take(self, at: int, size: int) -> bytes:
        """Read ``size`` bytes, but never more than the file contains."""
        if at + size > self.size:
            raise ValueError(_DAMAGED)
        self.file.seek(at)
        return self.file.read(size)

    def number(self, at: int, code: str) -> int:
        code = self.order + code
        return int(struct.unpack(code, self.take(at, struct.calcsize(code)))[0])

    def entries(self, at: int) -> Iterator[tuple[int, int, int, int]]:
        """For every entry of the directory at an address: tag, type, number of values and position of the value."""
        count = self.number(at, self.count)
        start = at + struct.calcsize(self.count)
        body = self.take(start, count * self.entry)
        for place in range(0, len(body), self.entry):
            yield (
                *struct.unpack_from(self.order + "HH" + self.address, body, place),
                start + place + self.entry - self.inline,
            )

    def value(self, kind: int, number: int, place: int) -> Sequence[int]:
        """The value of an entry: all bytes, or at most as many numbers as a picture may have samples."""
        code = _TYPES[kind]
        number = number if code == "B" else min(number, _MOST_NUMBERS)
        size = struct.calcsize(code) * number
        data = self.take(place if size <= self.inline else self.number(place, self.address), size)
        return data if code == "B" else struct.unpack(f"{self.order}{number}{code}", data)

    def pages(self) -> int:
        """Number of directories, counted up to :data:`_MOST_PAGES`."""
        at, seen = self.first, set[int]()
        while at and at not in seen and len(seen) < _MOST_PAGES:
            seen.add(at)
            end = at + struct.calcsize(self.count) + self.entry * self.number(at, self.count)
            at = self.number(end, self.address) if end + self.inline <= self.size else 0
        return len(seen)


def read_directory(file: IO[bytes]) -> Directory:
    """Read the first directory of an open TIFF; raises ValueError if it is damaged."""
    tiff = _Tiff(file)
    tags: dict[int, Sequence[int]] = {}
    claimed = 0
    for tag, kind, number, place in tiff.entries(tiff.first):
        claimed += number * _SIZES.get(kind, 1)
        if claimed > 2 * tiff.size:  # tags may share bytes, but a decoder keeps each value
            raise ValueError(_DAMAGED)
        if tag in _WANTED and tag not in tags and kind in _TYPES:
            tags[tag] = tiff.value(kind, number, place)
    return Directory(tags, tiff.pages())


def orientation_in_exif(exif: bytes) -> int:
    """The orientation flag in EXIF data (which is a TIFF without pixels); 0 if there is none."""
    with contextlib.suppress(ValueError):
        tiff = _Tiff(io.BytesIO(exif.removeprefix(b"Exif\0\0")))
        for tag, kind, number, place in tiff.entries(tiff.first):
            if tag == _ORIENTATION and kind in _TYPES and number:
                return tiff.value(kind, number, place)[0]
    return 0


def _without_orientation(data: bytes) -> bytes:
    """The same TIFF with orientation 1, because OpenCV applies the flag of some TIFFs whatever it is asked to do."""
    tiff = _Tiff(io.BytesIO(data))
    for tag, _, _, place in tiff.entries(tiff.first):
        if tag == _ORIENTATION:
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
        raise ValueError(_DAMAGED) from error
    width, height = found.first(_WIDTH, 0), found.first(_HEIGHT, 0)
    if not width or not height:
        raise ValueError(_DAMAGED)
    return Header(
        width, height, _mode_of(found), found.first(_BITS, 1),
        orientation=found.first(_ORIENTATION, 0) or orientation_in_xmp(found.content(_XMP)),
        profile=found.content(_ICC_PROFILE), pictures=found.pages, pixels=_tile_pixels(found), unusual=_unusual(found),
    )  # fmt: skip


TIFF = Reader(
    name="TIFF",
    suffixes=(".tif", ".tiff"),
    begins=lambda start: start.startswith(_SIGNATURES),
    header=_header,
    decode=lambda data: opencv.decode(_without_orientation(data)),
)
