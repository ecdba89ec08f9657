"""The parts of a reader of an image format, and the header that it reads before anything is decoded."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeAlias

from d2crealsr.store.readers.tags import EXIF_MARK

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Balance", "Developed", "Development", "Header", "Reader"]

Balance: TypeAlias = tuple[float, ...]
"""A white balance: multipliers of the colours of a sensor; empty if it is not known."""


class Header(NamedTuple):
    """Facts about an image from its header, before decoding.

    ``width`` and ``height`` are as stored. ``mode`` is Pillow's name of the bands, and ``bits`` the number of bits per
    sample. ``orientation`` is EXIF's flag, or 0 if there is none. ``profile`` is the ICC colour profile of the pixels,
    either embedded or made from other colour data of the file; empty if there is none. If the colours cannot be
    converted, ``strange_colours`` names them. ``pixels`` is the largest number of pixels that decoding keeps in memory;
    it may be larger than the picture, because a tile may be. ``unusual`` says why the image cannot be read; empty if it
    can. ``exif`` are the EXIF data where they are a part of the file by themselves.
    """

    width: int
    height: int
    mode: str
    bits: int = 8
    orientation: int = 0
    profile: bytes = b""
    strange_colours: str = ""
    pictures: int = 1
    pixels: int = 0
    unusual: str = ""
    exif: bytes = b""


class Developed(NamedTuple):
    """Sensor data after development: pixels as of ``Reader.decode``, in the curve of sRGB, which is therefore known.

    ``phase`` are the first two rows of the colour filter as stored, such as ``RGGB``; empty if it is no Bayer filter.
    ``balance`` is the white balance that was used.
    """

    pixels: NDArray[Any]
    phase: str
    balance: Balance


class Development(NamedTuple):
    """How a format of sensor data is developed.

    Attributes
    ----------
    settings : callable
        Describes the fixed rendering, with the version of the program; empty if that is not installed.
    balance : callable
        The white balance that the camera stored in a file with these bytes.
    develop : callable
        Develops a file with these bytes by a white balance, or by its own if that is empty.
    """

    settings: Callable[[], str]
    balance: Callable[[bytes], Balance]
    develop: Callable[[bytes, Balance], Developed]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """How the image files of one format are read.

    Attributes
    ----------
    name : str
        Name of the format for people.
    suffixes : tuple of str
        Endings of file names, in lower case. They tell which files of a folder are pictures. The reader of a picture is
        chosen by its content.
    begins : callable
        Tells whether the first bytes of a file (:data:`d2crealsr.store.readers.START` of them) are those of the format.
    header : callable
        Reads the header of an open file. It contains the size, so that a picture that is too large is refused before
        memory is allocated. Time and memory must be bounded by the size of the file, whatever the file contains. A
        damaged file may raise any exception.
    decode : callable
        Decodes the samples from all bytes of the file: (H, W) or (H, W, 3 or 4), uint8 or uint16, RGB, not yet
        oriented. Raises ValueError for a damaged file.
    refuses : callable
        Says, from all bytes of the file, why decoding would cost more than the header indicates; empty if it would not.
    exif : callable, optional
        Finds the EXIF data of an open file: something open that is read as a TIFF. By default those of the header.
    linear : bool
        Whether the values are linear light. Otherwise the camera has encoded them with a tone curve.
    development : Development, optional
        For formats of sensor data. ``decode`` then develops by the white balance of the file itself.
    extra, library : str
        The extra of this package that installs the library, and the library that reads the format. Both are empty if
        none is needed. ``header`` and ``decode`` import the library.
    """

    name: str
    suffixes: tuple[str, ...]
    begins: Callable[[bytes], bool]
    header: Callable[[IO[bytes]], Header]
    decode: Callable[[bytes], NDArray[Any]]
    refuses: Callable[[bytes], str] = lambda _data: ""
    exif: Callable[[IO[bytes]], IO[bytes]] | None = None
    linear: bool = False
    development: Development | None = None
    extra: str = ""
    library: str = ""

    def exif_of(self, file: IO[bytes]) -> IO[bytes]:
        """The EXIF data of an open file, to be read as a TIFF; empty if it has none."""
        return io.BytesIO(self.header(file).exif.removeprefix(EXIF_MARK)) if self.exif is None else self.exif(file)
