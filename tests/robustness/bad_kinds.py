"""What a kind of bad input is: a function from a good pair of captures to two files, and what may become of its scene.

That is reason codes, ``accepted`` where the picture is good in spite of how it is stored, or anything that is no wrong
pair. Randomness is passed in.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import PIL.Image
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2crealsr.imaging.geometry import CaptureMapping


Pixels: TypeAlias = NDArray[Any]
Side: TypeAlias = Literal["hr", "lr"]
Special: TypeAlias = Literal["loop", "dangling", "folder", "fifo", "absent"]

ANY = "any"
"""Every outcome but an accepted wrong pair, an internal error or a hang."""

REJECTED = frozenset(
    {
        "implausible_homography", "scale_mismatch", "crop_too_small", "clipped", "low_texture", "not_same_scene",
        "content_mismatch", "colour_mismatch", "position_uncertain", "residual_too_large", "too_few_matches",
        "hr_lr_swapped", "card_off_centre", "hr_not_sharper",
    }
)  # fmt: skip
"""What looking at the pictures may find; any of them keeps a wrong pair out."""


@dataclass(frozen=True, kw_only=True)
class Base:
    """A good pair: both captures' JPEG bytes and pixels, and where HR truly lies."""

    hr: bytes
    lr: bytes
    hr_pixels: Pixels
    lr_pixels: Pixels
    truth: CaptureMapping


@dataclass(frozen=True)
class File:
    """A file's ending and content; ``special`` where it is no file at all."""

    ending: str
    content: bytes
    special: Special | Literal[""] = ""


@dataclass(frozen=True, kw_only=True)
class Made:
    """Two files and what is true of them: the mapping (None: no pair is right), and whether pixels may be damaged."""

    hr: File
    lr: File
    truth: CaptureMapping | None
    damaged: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of bad input: its name, the outcomes that are right, and how it is made."""

    name: str
    expected: frozenset[str]
    make: Callable[[np.random.Generator, Base, Base], Made]


KINDS: dict[str, Kind] = {}

_Function: TypeAlias = "Callable[[np.random.Generator, Base, Base], Made]"


def kind(*expected: str) -> Callable[[_Function], _Function]:
    """Register a kind under its function's name."""

    def register(function: _Function) -> _Function:
        name = function.__name__.strip("_").replace("_", "-")
        KINDS[name] = Kind(name, frozenset(expected), function)
        return function

    return register


def special(name: Special) -> File:
    """Something in a file's place."""
    return File(".png", b"", name)


def good(base: Base) -> Made:
    return Made(hr=File(".jpg", base.hr), lr=File(".jpg", base.lr), truth=base.truth)


def any_side(rng: np.random.Generator) -> Side:
    return "hr" if rng.integers(2) else "lr"


def with_file(base: Base, side: Side, file: File, **changes: Any) -> Made:
    return replace(good(base), **{side: file}, **changes)


def pixels_of(base: Base, side: Side) -> Pixels:
    return base.hr_pixels if side == "hr" else base.lr_pixels


def bytes_of(base: Base, side: Side) -> bytes:
    return base.hr if side == "hr" else base.lr


def saved(image: PIL.Image.Image | Pixels, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    (image if isinstance(image, PIL.Image.Image) else PIL.Image.fromarray(image)).save(data, kind, **options)
    return data.getvalue()


_ENDINGS = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif", "WEBP": ".webp", "BMP": ".bmp"}


def any_format(rng: np.random.Generator, *choices: str) -> str:
    return str(rng.choice(choices or list(_ENDINGS)))


def file_of(image: PIL.Image.Image | Pixels, kind: str, **options: Any) -> File:
    if kind == "WEBP":
        options = {"lossless": True, "method": 0, **options}
    if kind == "PNG":
        options = {"compress_level": 1, **options}
    return File(_ENDINGS[kind], saved(image, kind, **options))
