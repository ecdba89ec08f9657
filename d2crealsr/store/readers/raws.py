"""Camera RAW, developed by LibRaw (rawpy) with one fixed rendering, so that both shots of a scene get the same.

A white balance that the caller gives for both shots, no automatic brightness, and no adjustment of the white level to
the brightest pixel, which LibRaw makes by default. Bayer filters are demosaiced by the edge-aware interpolation whose
errors registration predicts (:mod:`d2crealsr.registration.demosaic`). Those of AHD in LibRaw are others, which made the
true errors larger than from JPEG (ADR 18). Other sensors are left to LibRaw.

The result is linear light with the primaries of sRGB. It is stored in 16 bits with the curve of sRGB, as images in
memory are, which loses nothing of 14-bit sensors.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import tempfile
import warnings
from functools import cache
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import threadpoolctl

from d2crealsr import opencv
from d2crealsr.store.primaries import SRGB_CURVE
from d2crealsr.store.readers import jpegs
from d2crealsr.store.readers.reader import Developed, Development, Header, Reader
from d2crealsr.store.readers.tags import EXIF_MARK, SIGNATURES, TagFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from d2crealsr.store.readers.reader import Balance

__all__ = ["RAW", "begins_raw", "rendered"]

_SUFFIXES = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".fff", ".iiq", ".mef", ".mos", ".mrw", ".nef", ".nrw",
    ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)  # fmt: skip
_STARTS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM", b"FOVb", b"II\x1a\0\0\0HEAPCCDR")
"""How files begin that are no TIFF: Fujifilm, Olympus, Panasonic, Minolta, Sigma, and Canon before 2004."""
_CR3 = b"ftypcrx "
_SUBFILE, _PHOTOMETRIC, _MAKE, _INNER, _DNG_VERSION = 254, 262, 271, 330, 50706
_SENSOR = (32803, 34892)
"""Photometric interpretations of a colour filter array, and of sensor data with all colours at each pixel."""
_STRIP = 256
_EXIF_ORIENTATION = {0: 1, 3: 3, 5: 8, 6: 6}
"""By LibRaw's code of the turn that makes a picture upright."""


def begins_raw(start: bytes) -> bool:
    """Whether a file is camera RAW. Most are TIFF files whose first directory is sensor data or a preview of others."""
    if start.startswith(_STARTS) or start[4:12] == _CR3:
        return True
    if not start.startswith(SIGNATURES):
        return False
    if start[8:10] == b"CR":
        return True
    try:
        tiff = TagFile(io.BytesIO(start))
        entries = {tag: (kind, place) for tag, kind, _, place in tiff.entries(tiff.first)}
        values = {tag: tiff.value(kind, 1, place)[0] for tag, (kind, place) in entries.items() if kind in (3, 4)}
    except (ValueError, struct.error):
        return False
    preview = bool(values.get(_SUBFILE, 0) & 1) and _INNER in entries
    of_camera = values.get(_PHOTOMETRIC) in _SENSOR and _MAKE in entries
    return preview or of_camera or _DNG_VERSION in entries


@contextlib.contextmanager
def _opened(file: Any) -> Iterator[Any]:
    """A file open in LibRaw, whose errors become ValueError."""
    import rawpy

    with rawpy.RawPy() as raw, threadpoolctl.threadpool_limits(limits=1):
        try:
            raw.open_buffer(file)
            yield raw
        except rawpy.LibRawUnsufficientMemoryError as error:
            raise MemoryError("developing needs more memory than there is") from error
        except rawpy.LibRawFileUnsupportedError as error:
            raise ValueError("camera RAW of a kind that LibRaw does not read") from error
        except rawpy.LibRawError as error:
            text = error.args[0] if error.args else ""
            said = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
            raise ValueError(f"the data is truncated or damaged ({said})") from error


def _header(file: IO[bytes]) -> Header:
    with _opened(file) as raw:
        sizes = raw.sizes
        return Header(
            sizes.width, sizes.height, "RGB", 16, orientation=_EXIF_ORIENTATION.get(sizes.flip, 1),
            pixels=sizes.raw_width * sizes.raw_height,
        )  # fmt: skip


def _balance(data: bytes) -> Balance:
    with _opened(io.BytesIO(data)) as raw:
        return _own_balance(raw)


def _own_balance(raw: Any) -> Balance:
    """The white balance of the camera, or that of daylight where the file does not tell; empty without either."""
    for found in (raw.camera_whitebalance, raw.daylight_whitebalance):
        numbers = tuple(float(number) for number in found)
        if np.isfinite(numbers).all() and min(numbers[:3]) > 0:
            return numbers
    return ()


def _develop(data: bytes, balance: Balance) -> Developed:
    with _opened(io.BytesIO(data)) as raw:
        _unpack(raw)
        balance = balance or _own_balance(raw)
        phase = _phase(raw)
        if phase:
            pixels = _mosaic(rendered(raw, balance, "LINEAR", "raw"), phase)
        else:
            pixels = rendered(raw, balance, "AHD", "sRGB")
        matrix = raw.color_matrix[:, :3]
    if phase:  # now that the memory of LibRaw is free
        pixels = _in_srgb(_demosaiced(pixels, phase), matrix)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    for first in range(0, len(pixels), _STRIP):
        pixels[first : first + _STRIP] = _srgb_of_linear()[pixels[first : first + _STRIP]]
    return Developed(pixels, phase, balance)


def rendered(raw: Any, balance: Balance, demosaicing: str, colours: str) -> NDArray[np.uint16]:
    """What LibRaw makes of the sensor data: linear light of 16 bits, (H, W, 3)."""
    import rawpy

    pixels: NDArray[np.uint16] = raw.postprocess(
        demosaic_algorithm=rawpy.DemosaicAlgorithm[demosaicing],
        output_color=rawpy.ColorSpace[colours],
        user_wb=list(balance or (1.0, 1.0, 1.0, 1.0)),
        no_auto_bright=True,
        adjust_maximum_thr=0.0,
        highlight_mode=rawpy.HighlightMode.Clip,
        gamma=(1, 1),
        output_bps=16,
        user_flip=0,
    )
    return pixels


def _mosaic(sampled: NDArray[np.uint16], phase: str) -> NDArray[np.uint16]:
    """What each pixel measured, (H, W): bilinear interpolation leaves that as it is."""
    mosaic = sampled[..., 1].copy()
    for number, letter in enumerate(phase):
        part = np.s_[number // 2 :: 2, number % 2 :: 2]
        mosaic[part] = sampled[part][..., "RGB".index(letter)]
    return mosaic


def _demosaiced(mosaic: NDArray[np.uint16], phase: str) -> NDArray[np.uint16]:
    """Edge-aware demosaicing of a mosaic of any phase."""
    top, left = divmod(phase.index("R"), 2)
    if top or left:
        mosaic = np.pad(mosaic, ((top, 0), (left, 0)), mode="reflect")  # so that red comes first
    return opencv.demosaic_edge_aware(mosaic)[top:, left:]


def _in_srgb(pixels: NDArray[np.uint16], matrix: NDArray[Any]) -> NDArray[np.uint16]:
    """Linear light of the camera's colours in the primaries of sRGB, in the memory of the input."""
    for first in range(0, len(pixels), _STRIP):
        strip = pixels[first : first + _STRIP].astype(np.float32) @ matrix.T.astype(np.float32)
        pixels[first : first + _STRIP] = np.rint(np.clip(strip, 0, 65535))
    return pixels


def _unpack(raw: Any) -> None:
    """Have LibRaw read the sensor data. What it says of damage goes to the standard error of the process, and nowhere
    else if it reads on."""
    with tempfile.TemporaryFile() as said, _standard_error_to(said):
        raw.unpack()
        said.seek(0)
        if b"data corrupted" in (text := said.read()) or b"Unexpected end of file" in text:
            raise ValueError("the data is truncated or damaged")


@contextlib.contextmanager
def _standard_error_to(file: IO[bytes]) -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # the process has no standard error
        yield
        return
    try:
        os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _phase(raw: Any) -> str:
    """The first two rows of a Bayer filter, such as ``RGGB``; empty for other filters."""
    pattern = raw.raw_pattern
    if pattern is None or pattern.shape != (2, 2):
        return ""
    letters = raw.color_desc.decode("ascii")
    found = "".join(letters[index] for index in raw.raw_colors_visible[:2, :2].ravel())
    return found if sorted(found) == ["B", "G", "G", "R"] else ""


@cache
def _srgb_of_linear() -> NDArray[np.uint16]:
    """Stored values of sRGB by stored values of linear light, 16 bits."""
    exponent, a, b, c, threshold = SRGB_CURVE
    linear = np.arange(65536) / 65535
    encoded = np.where(linear <= threshold * c, linear / c, (linear ** (1 / exponent) - b) / a)
    stored: NDArray[np.uint16] = np.rint(encoded * 65535).astype(np.uint16)
    return stored


def _settings() -> str:
    """The fixed rendering in words, with the versions of the programs."""
    try:
        import rawpy
    except ImportError:
        return ""
    version = ".".join(map(str, rawpy.libraw_version))
    return f"LibRaw {version}, edge-aware demosaicing, no automatic brightness, linear, stored as sRGB of 16 bits"


def _exif(file: IO[bytes]) -> IO[bytes]:
    """The file itself where it is a TIFF, perhaps under another mark; else what the embedded JPEG has."""
    start = file.read(4)
    file.seek(0)
    if start in SIGNATURES:
        return file
    if start[:2] in (b"II", b"MM"):
        return io.BytesIO((b"II*\0" if start[:2] == b"II" else b"MM\0*") + file.read()[4:])
    import rawpy

    with _opened(file) as raw, warnings.catch_warnings():
        try:
            preview = raw.extract_thumb()
        except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
            return io.BytesIO()
    if preview.format != rawpy.ThumbFormat.JPEG:
        return io.BytesIO()
    return io.BytesIO(jpegs.JPEG.header(io.BytesIO(preview.data)).exif.removeprefix(EXIF_MARK))


RAW = Reader(
    name="camera RAW",
    suffixes=_SUFFIXES,
    begins=begins_raw,
    header=_header,
    decode=lambda data: _develop(data, ()).pixels,
    exif=_exif,
    development=Development(_settings, _balance, _develop),
    extra="raw",
    library="rawpy",
)
