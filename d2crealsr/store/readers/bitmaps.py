"""BMP, WebP and JPEG 2000, read by imageio, as no other reader here is better at them. The first picture is read.

imageio reads these formats with Pillow, which also reads their headers. Its own limit of pixels is switched off,
because the caller has a limit. What Pillow does not report of JPEG 2000 is read from the boxes of the file: a colour
profile, and the bits of a sample, since Pillow reduces 16 bits to 8 (ISO/IEC 15444-1, annexes A and I).
"""

from __future__ import annotations

import contextlib
import functools
import struct
import threading
import warnings
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from d2crealsr.store.readers.reader import Header, Reader
from d2crealsr.store.readers.tags import colours_in_exif, orientation_in_exif
from d2crealsr.store.xmp import orientation_in_xmp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["BMP", "JPEG_2000", "WEBP"]

_pillow = threading.Lock()

_BOXES, _STREAM = b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"
"""How JPEG 2000 begins: with a file of boxes, or with the bare stream of a picture."""
_ICC = 2
_LONGEST_PROFILE = 16 << 20


@contextlib.contextmanager
def _without_limit() -> Iterator[None]:
    """Let Pillow read a picture of any size, silently, in one thread at a time."""
    with _pillow, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = limit


def _header(file: IO[bytes], name: str) -> Header:
    with _without_limit(), PIL.Image.open(file, formats=(name,)) as image:
        size, mode, said = image.size, image.mode, dict(image.info)
    exif = _bytes(said.get("exif"))
    return Header(
        *size, mode, orientation=orientation_in_exif(exif) or orientation_in_xmp(_bytes(said.get("xmp"))),
        profile=_bytes(said.get("icc_profile")) or colours_in_exif(exif), exif=exif,
    )  # fmt: skip


def _decode(data: bytes, ending: str) -> NDArray[Any]:
    """The first picture of a file: grey, RGB or RGBA."""
    import imageio.v3  # here, as few runs need it

    with _without_limit():
        try:
            pixels = imageio.v3.imread(data, index=0, plugin="pillow", extension=ending)
        except (OSError, SyntaxError, struct.error) as error:  # what Pillow raises for damaged files
            raise ValueError(f"the data is truncated or damaged ({' '.join(str(error).split())})") from error
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    grey_with_opacity = pixels.ndim == 3 and pixels.shape[2] == 2
    return pixels[..., [0, 0, 0, 1]] if grey_with_opacity else pixels


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _header_of_jpeg_2000(file: IO[bytes]) -> Header:
    header = _header(file, "JPEG2000")
    file.seek(0)
    start = file.read(_LONGEST_PROFILE)
    stream = start.find(_STREAM)
    samples = start[stream + 42 : stream + 42 + 3 * start[stream + 41] : 3] if stream >= 0 else b""
    bits = {(sample & 127) + 1 for sample in samples}
    unusual = "" if max(bits, default=8) <= 8 else f"JPEG 2000 of {max(bits)} bits, of which only 8 would be read"
    return header._replace(profile=header.profile or _profile_in(start), unusual=unusual)


def _profile_in(boxes: bytes) -> bytes:
    """The colour profile in the header box of JPEG 2000; empty if it has none."""
    inner = next((content for kind, content in _boxes(boxes) if kind == b"jp2h"), b"")
    colours = [content for kind, content in _boxes(inner) if kind == b"colr"]
    return next((content[3:] for content in colours if content[:1] == bytes([_ICC])), b"")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the boxes up to the first of another form than those of a header."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if length < 8:
            return
        yield kind, data[at + 8 : at + length]
        at += length


BMP = Reader(
    name="BMP",
    suffixes=(".bmp",),
    begins=lambda start: start.startswith(b"BM"),
    header=functools.partial(_header, name="BMP"),
    decode=functools.partial(_decode, ending=".bmp"),
)
WEBP = Reader(
    name="WebP",
    suffixes=(".webp",),
    begins=lambda start: start.startswith(b"RIFF") and start[8:12] == b"WEBP",
    header=functools.partial(_header, name="WEBP"),
    decode=functools.partial(_decode, ending=".webp"),
)
JPEG_2000 = Reader(
    name="JPEG 2000",
    suffixes=(".jp2", ".j2k", ".jpf", ".jpx"),
    begins=lambda start: start.startswith((_BOXES, _STREAM)),
    header=_header_of_jpeg_2000,
    decode=functools.partial(_decode, ending=".jp2"),
)
