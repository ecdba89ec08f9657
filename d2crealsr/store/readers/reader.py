"""What the reader of an image format is made of, and what it says of a file before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Header", "Reader"]


class Header(NamedTuple):
    """What an image's header says, before decoding.

    ``width`` and ``height`` are as stored. ``mode`` is Pillow's name of the bands, ``bits`` how many each sample has;
    ``orientation`` is EXIF's flag, 0 without. ``profile`` is the ICC colour profile of the pixels, embedded or made
    from what the file says of its colours, empty without. Where these cannot be converted, ``strange_colours`` says
    what they are. ``pixels`` is the largest number of pixels that decoding holds: a tile may be larger than the
    picture. ``unusual`` says why it is not read, empty where it is.
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """How the image files of one format are read.

    Attributes
    ----------
    name : str
        The format's name for people.
    suffixes : tuple of str
        File name endings, lower case. They tell which files of a folder are pictures; which reader reads a picture is
        told by its content.
    begins : callable
        Whether a file's first bytes (:data:`d2crealsr.store.readers.START` of them) are those of the format.
    header : callable
        What an open file says of its picture: its bounds, so that a picture too large is refused before any memory is
        taken. Its time and memory go with the file's size whatever the file says. Raises what it likes for damage.
    decode : callable
        The samples as they lie in the file, from all of its bytes: (H, W) or (H, W, 3 or 4), uint8 or uint16, RGB, not
        yet oriented. Raises ValueError for damage.
    refuses : callable
        Why decoding would cost more than the header promises, from all bytes of the file; empty where it does not.
    linear : bool
        The values are linear light; otherwise the camera encoded them by a tone curve.
    extra, library : str
        The package that reads the format, and the extra of this package that brings it; empty where nothing is needed.
        ``header`` and ``decode`` import it.
    """

    name: str
    suffixes: tuple[str, ...]
    begins: Callable[[bytes], bool]
    header: Callable[[IO[bytes]], Header]
    decode: Callable[[bytes], NDArray[Any]]
    refuses: Callable[[bytes], str] = lambda _data: ""
    linear: bool = False
    extra: str = ""
    library: str = ""
