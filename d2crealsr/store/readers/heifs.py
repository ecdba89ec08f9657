"""HEIC, read by libheif (pillow-heif): the primary picture, upright, with the depth of the file.

libheif itself turns a picture as its container says, so the orientation in EXIF data, which says the same, is not used.
"""

from __future__ import annotations

import contextlib
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from d2crealsr.store.primaries import UnknownColours, profile_of_code
from d2crealsr.store.readers.reader import Header, Reader
from d2crealsr.store.readers.tags import colours_in_exif

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["HEIF"]

_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")


def _begins(start: bytes) -> bool:
    """Whether the container says that it holds pictures of HEVC. AVIF is another format in the same container."""
    if start[4:8] != b"ftyp":
        return False
    length = min(int.from_bytes(start[:4], "big"), len(start))
    brands = [start[8:12], *(start[at : at + 4] for at in range(16, length - 3, 4))]
    return brands[0] in _BRANDS and not (brands[0] in (b"mif1", b"msf1") and any(one in _AVIF for one in brands))


@contextlib.contextmanager
def _opened(source: Any) -> Iterator[Any]:
    """The primary picture of a file in libheif, not decoded yet. Its errors become ValueError."""
    import pillow_heif

    pillow_heif.options.DECODE_THREADS = 1
    try:
        found = pillow_heif.open_heif(source, convert_hdr_to_8bit=False)
        yield found[found.primary_index]
    except (OSError, RuntimeError, SyntaxError, EOFError, IndexError, ValueError) as error:
        raise ValueError(f"the data is truncated or damaged ({' '.join(str(error).split())})") from error


def _header(file: IO[bytes]) -> Header:
    with _opened(file) as image:
        (width, height), mode, said = image.size, image.mode, image.info
        bits = int(said.get("bit_depth", 8))
    exif = said.get("exif") or b""
    profile, strange = said.get("icc_profile") or b"", ""
    code = said.get("nclx_profile")
    if not profile and code:
        try:
            profile = profile_of_code(code["color_primaries"], code["transfer_characteristics"])
        except UnknownColours as error:
            strange = f"the colours {error}"
    return Header(
        width, height, mode.partition(";")[0], 16 if bits > 8 else 8, profile=profile or colours_in_exif(exif),
        strange_colours=strange, exif=exif,
    )  # fmt: skip


def _decode(data: bytes) -> NDArray[Any]:
    with _opened(data) as image:
        return np.asarray(image)


HEIF = Reader(
    name="HEIC",
    suffixes=(".heic", ".heif", ".hif"),
    begins=_begins,
    header=_header,
    decode=_decode,
    extra="heif",
    library="pillow-heif",
)
