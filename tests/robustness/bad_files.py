"""Captures as they should not be: each kind of bad input as a function from a good pair of captures to two files.

A kind says what may become of its scene: reason codes, ``accepted`` where the picture is good in spite of how it is
stored, or anything that is no wrong pair. Randomness is passed in.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from d2crealsr import opencv
from tests.icc import ADOBE_RGB, SRGB, matrix_profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2crealsr.imaging.geometry import CaptureMapping

__all__ = ["ANY", "KINDS", "Base", "File", "Kind", "Made", "special"]

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


def _good(base: Base) -> Made:
    return Made(hr=File(".jpg", base.hr), lr=File(".jpg", base.lr), truth=base.truth)


def _side(rng: np.random.Generator) -> Side:
    return "hr" if rng.integers(2) else "lr"


def _with(base: Base, side: Side, file: File, **changes: Any) -> Made:
    return replace(_good(base), **{side: file}, **changes)


def _pixels(base: Base, side: Side) -> Pixels:
    return base.hr_pixels if side == "hr" else base.lr_pixels


def _bytes(base: Base, side: Side) -> bytes:
    return base.hr if side == "hr" else base.lr


def _saved(image: PIL.Image.Image | Pixels, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    (image if isinstance(image, PIL.Image.Image) else PIL.Image.fromarray(image)).save(data, kind, **options)
    return data.getvalue()


_ENDINGS = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif", "WEBP": ".webp", "BMP": ".bmp"}


def _format(rng: np.random.Generator, *choices: str) -> str:
    return str(rng.choice(choices or list(_ENDINGS)))


def _file(image: PIL.Image.Image | Pixels, kind: str, **options: Any) -> File:
    if kind == "WEBP":
        options = {"lossless": True, "method": 0, **options}
    if kind == "PNG":
        options = {"compress_level": 1, **options}
    return File(_ENDINGS[kind], _saved(image, kind, **options))


# --- whole pictures that are only stored unusually ---------------------------------------------------------------


@kind("accepted")
def clean(rng: np.random.Generator, base: Base, other: Base) -> Made:
    return _good(base)


@kind("accepted")
def other_format(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    return _with(base, side, _file(_pixels(base, side), _format(rng, "PNG", "TIFF", "WEBP", "BMP")))


@kind("accepted")
def wrong_ending(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    content = _file(_pixels(base, side), _format(rng, "PNG", "TIFF", "WEBP", "BMP")).content
    return _with(base, side, File(".jpg", content))


@kind("accepted", *REJECTED)
def grey(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    return _with(base, side, _file(PIL.Image.fromarray(_pixels(base, side)).convert("L"), _format(rng, "PNG", "JPEG")))


@kind("unsupported_image")
def palette(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    image = PIL.Image.fromarray(_pixels(base, side)).quantize(256)
    return _with(base, side, _file(image, _format(rng, "PNG", "TIFF", "BMP")))


@kind("unsupported_image")
def one_bit(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    return _with(base, side, _file(PIL.Image.fromarray(_pixels(base, side)).convert("1"), _format(rng, "PNG", "TIFF")))


@kind("accepted")
def opaque_alpha(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    image = PIL.Image.fromarray(_pixels(base, side)).convert("RGBA")
    return _with(base, side, _file(image, _format(rng, "PNG", "WEBP", "TIFF")))


@kind("accepted")
def sixteen_bit(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    pixels = _pixels(base, side).astype(np.uint16) * 257
    if rng.integers(2):
        return _with(base, side, File(".png", opencv.encode_png(pixels)))
    return _with(base, side, File(".tif", opencv.encode_tiff(pixels)))


def _exif(orientation: int) -> PIL.Image.Exif:
    flags = PIL.Image.Exif()
    flags[0x0112] = orientation
    return flags


_STORED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}
"""An upright picture as it is stored under each flag."""


@kind("accepted")
def exif_rotated(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """All eight flags, in JPEG, TIFF, BigTIFF, PNG and WebP."""
    side, flag, form = _side(rng), int(rng.integers(1, 9)), _format(rng, "JPEG", "TIFF", "PNG", "WEBP")
    options: dict[str, Any] = {"quality": 95} if form == "JPEG" else {}
    if form == "TIFF":
        options["big_tiff"] = bool(rng.integers(2))
    stored = np.ascontiguousarray(_STORED[flag](_pixels(base, side)))
    return _with(base, side, _file(stored, form, exif=_exif(flag), **options))


def _read(flag: int, size: tuple[int, int]) -> NDArray[np.float64]:
    """Where a flag that is wrong carries each pixel of an upright picture (x, y, 1)."""
    width, height = size
    flip_x, flip_y = (
        np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1.0]]),
        np.array([[1, 0, 0], [0, -1, height - 1], [0, 0, 1.0]]),
    )
    swap = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1.0]])
    turn = swap if flag >= 5 else np.eye(3)
    first = {
        1: np.eye(3),
        2: flip_x,
        3: flip_x @ flip_y,
        4: flip_y,
        5: np.eye(3),
        6: flip_y,
        7: flip_x @ flip_y,
        8: flip_x,
    }
    return turn @ first[flag]


@kind("accepted", *REJECTED)
def exif_lies(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """A flag on a picture that is upright: HR is turned or mirrored when it is read; mirrored is never a pair."""
    flag = int(rng.integers(2, 9))
    content = _file(base.hr_pixels, "PNG", exif=_exif(flag))
    if flag in (2, 4, 5, 7):
        return _with(base, "hr", content, truth=None)
    T = _read(flag, base.truth.hr_size)
    size = base.truth.hr_size if flag == 3 else type(base.truth.hr_size)(*base.truth.hr_size[::-1])
    truth = replace(base.truth, H_hr_to_lr=base.truth.H_hr_to_lr @ np.linalg.inv(T), hr_size=size)
    return _with(base, "hr", content, truth=truth)


# --- colours -----------------------------------------------------------------------------------------------------


@kind("unsupported_image")
def cmyk(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    return _with(
        base, side, _file(PIL.Image.fromarray(_pixels(base, side)).convert("CMYK"), _format(rng, "JPEG", "TIFF"))
    )


@kind("unsupported_image")
def lab(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    return _with(base, side, _file(PIL.Image.fromarray(_pixels(base, side)).convert("LAB"), "TIFF"))


@kind("unsupported_image")
def transparent(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    image = np.dstack([_pixels(base, side), rng.integers(0, 256, _pixels(base, side).shape[:2], dtype=np.uint8)])
    return _with(base, side, _file(image, _format(rng, "PNG", "WEBP", "TIFF")))


@kind("unsupported_image")
def float_tiff(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """Floating point, in one or three channels, with NaN and infinity among the pixels."""
    side = _side(rng)
    pixels = _pixels(base, side).astype(np.float32) / 255
    pixels[rng.integers(0, 2, pixels.shape[:2]) == 1] = rng.choice([np.nan, np.inf, -np.inf])
    if rng.integers(2):
        pixels = pixels[..., 0]
    return _with(base, side, File(".tif", opencv.encode_tiff(pixels)))


@kind("accepted", *REJECTED)
def profile_hr(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """HR as it would be in Adobe RGB: converted, recorded."""
    form = _format(rng, "PNG", "JPEG", "TIFF", "WEBP")
    return _with(base, "hr", _file(base.hr_pixels, form, icc_profile=matrix_profile("Adobe RGB", ADOBE_RGB, 2.2)))


@kind("colour_profile")
def profile_lr(rng: np.random.Generator, base: Base, other: Base) -> Made:
    form = _format(rng, "PNG", "JPEG", "TIFF", "WEBP")
    profile = matrix_profile("=cmd()|Adobe RGB", ADOBE_RGB, float(rng.uniform(1, 3)))
    return _with(base, "lr", _file(base.lr_pixels, form, icc_profile=profile))


@kind("accepted")
def profile_srgb(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    return _with(base, side, _file(_pixels(base, side), "PNG", icc_profile=matrix_profile("Camera RGB", SRGB)))


@kind("colour_profile")
def profile_broken(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    profile = matrix_profile("Adobe RGB", ADOBE_RGB, 2.2)
    profile = profile[: int(rng.integers(1, 300))] if rng.integers(2) else rng.bytes(400)
    return _with(base, side, _file(_pixels(base, side), "PNG", icc_profile=profile))


# --- damaged files -----------------------------------------------------------------------------------------------


def _any_file(rng: np.random.Generator, base: Base, side: Side) -> File:
    form = _format(rng, "JPEG", "PNG", "TIFF", "WEBP")
    return File(".jpg", _bytes(base, side)) if form == "JPEG" else _file(_pixels(base, side), form)


@kind("unreadable", "unsupported_image")
def truncated(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    file = _any_file(rng, base, side)
    return _with(base, side, replace(file, content=file.content[: int(rng.uniform(0.001, 0.99) * len(file.content))]))


@kind("unreadable")
def zero_bytes(rng: np.random.Generator, base: Base, other: Base) -> Made:
    return _with(base, _side(rng), File(".jpg", b""))


@kind("unreadable", "unsupported_image")
def noise_bytes(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """Random bytes, half of them behind the first bytes of a real format."""
    starts = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0\x08\0\0\0", b"RIFF\xff\0\0\0WEBPVP8 ", b"BM"]
    start = starts[int(rng.integers(len(starts)))]
    return _with(base, _side(rng), File(".png", start + rng.bytes(int(rng.integers(1, 5000)))))


@kind("unreadable")
def other_content(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """What no capture is: text, HTML, a GIF, an archive, a program."""
    gif = _saved(PIL.Image.fromarray(base.lr_pixels).convert("P"), "GIF")
    contents = [b"a note\n", b"<html><script>alert(1)</script></html>", gif, b"PK\3\4" + rng.bytes(200), b"\x7fELF"]
    return _with(base, _side(rng), File(".jpg", contents[int(rng.integers(len(contents)))]))


@kind("unsupported_image")
def several_pictures(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side, form = _side(rng), _format(rng, "PNG", "WEBP", "TIFF")
    frame = PIL.Image.fromarray(np.ascontiguousarray(_pixels(base, side)[::-1]))
    return _with(base, side, _file(_pixels(base, side), form, save_all=True, append_images=[frame]))


def _png_says(content: bytes, width: int, height: int) -> bytes:
    header = struct.pack(">II", width, height) + content[24:29]
    return content[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + content[33:]


def _jpeg_says(content: bytes, width: int, height: int) -> bytes:
    place = 2
    while content[place + 1] not in (0xC0, 0xC1, 0xC2):
        place += 2 + int(struct.unpack_from(">H", content, place + 2)[0])
    return content[: place + 5] + struct.pack(">HH", height, width) + content[place + 9 :]


def _says(rng: np.random.Generator, base: Base, side: Side, width: int, height: int) -> File:
    if rng.integers(2):
        return File(".jpg", _jpeg_says(_bytes(base, side), min(width, 65_500), min(height, 65_500)))
    return File(".png", _png_says(_file(_pixels(base, side), "PNG").content, width, height))


@kind("too_large")
def absurd_size(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """Some thousand bytes that promise more pixels than there is memory for."""
    width, height = (int(side) for side in rng.integers(20_000, 2**31 - 1, 2))
    side = _side(rng)
    return _with(base, side, _says(rng, base, side, width, height))


@kind(ANY)
def header_lies(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """A size that is not the data's: of a JPEG the decoder may make up the rest."""
    side = _side(rng)
    height, width = _pixels(base, side).shape[:2]
    width, height = (max(1, int(n * rng.uniform(0.3, 1.9))) for n in (width, height))
    return _with(base, side, _says(rng, base, side, width, height), truth=None)


@kind(ANY)
def bits_flipped_in_jpeg(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """In the compressed data: it decodes without complaint, to something else from there on."""
    side = _side(rng)
    data = bytearray(_bytes(base, side))
    for place in rng.integers(700, len(data) - 2, int(rng.integers(1, 8))):
        data[place] ^= 1 << int(rng.integers(8))
    return _with(base, side, File(".jpg", bytes(data)), damaged=True)


@kind("unreadable")
def bits_flipped_in_png(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    data = bytearray(_file(_pixels(base, side), "PNG").content)
    data[int(rng.integers(100, len(data) - 100))] ^= 1 << int(rng.integers(8))
    return _with(base, side, File(".png", bytes(data)))


@kind(ANY)
def bytes_changed_in_header(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    file = _any_file(rng, base, side)
    data = bytearray(file.content)
    for place in rng.integers(0, min(700, len(data)), int(rng.integers(1, 6))):
        data[place] = int(rng.integers(256))
    return _with(base, side, replace(file, content=bytes(data)), damaged=True)


@kind(ANY)
def two_files_in_one(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """The first part of one capture and the last of another, as a failing card leaves them."""
    side = _side(rng)
    one, two = _bytes(base, side), _bytes(other, side)
    cut = int(rng.uniform(0.1, 0.9) * min(len(one), len(two)))
    return _with(base, side, File(".jpg", one[:cut] + two[cut:]), damaged=True)


# --- the wrong picture -------------------------------------------------------------------------------------------


@kind(*REJECTED)
def another_scene(rng: np.random.Generator, base: Base, other: Base) -> Made:
    return _with(base, "lr", File(".jpg", other.lr), truth=None)


@kind("hr_lr_swapped")
def exchanged(rng: np.random.Generator, base: Base, other: Base) -> Made:
    return Made(hr=File(".jpg", base.lr), lr=File(".jpg", base.hr), truth=None)


@kind(*REJECTED)
def one_picture_twice(rng: np.random.Generator, base: Base, other: Base) -> Made:
    file = File(".jpg", _bytes(base, _side(rng)))
    return Made(hr=file, lr=file, truth=None)


@kind(*REJECTED)
def mirrored(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    return _with(base, side, _file(np.ascontiguousarray(_pixels(base, side)[:, ::-1]), "PNG"), truth=None)


@kind(*REJECTED)
def nothing_to_see(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """Black, white, grey, a ramp, noise or a checkerboard."""
    side = _side(rng)
    shape = _pixels(base, side).shape
    ramp = np.broadcast_to(np.linspace(0, 255, shape[1])[None, :, None], shape)
    checks = np.indices(shape[:2]).sum(axis=0)[..., None] // 8 % 2 * 255 + np.zeros(3)
    pictures = [np.full(shape, level) for level in (0, 128, 255)] + [ramp, checks, rng.integers(0, 256, shape)]
    return _with(base, side, _file(pictures[int(rng.integers(6))].astype(np.uint8), "PNG"), truth=None)


@kind("too_small", *REJECTED)
def tiny_or_thin(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = _side(rng)
    sizes = [(1, 1), (2, 3), (1, 500), (500, 1), (7, 7), (31, 33), (3, 900), (16, 16)]
    height, width = sizes[int(rng.integers(len(sizes)))]
    return _with(base, side, _file(np.ascontiguousarray(_pixels(base, side)[:height, :width]), "PNG"), truth=None)


@kind(*REJECTED)
def other_zoom(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """LR enlarged or reduced: the scale between the two is not the one asked for."""
    height, width = base.lr_pixels.shape[:2]
    factor = float(rng.choice([0.4, 0.6, 1.6, 2.5]))
    image = PIL.Image.fromarray(base.lr_pixels).resize((int(width * factor), int(height * factor)))
    return _with(base, "lr", _file(image, "PNG"), truth=None)


@kind("content_mismatch", *REJECTED)
def half_another_scene(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """LR's one half from one card, the other half from another."""
    pixels = base.lr_pixels.copy()
    height, width = (min(a, b) for a, b in zip(pixels.shape[:2], other.lr_pixels.shape[:2], strict=True))
    pixels[:height, width // 2 : width] = other.lr_pixels[:height, width // 2 : width]
    return _with(base, "lr", _file(pixels, "PNG"), truth=None)


# --- no files ----------------------------------------------------------------------------------------------------


@kind("unreadable", "missing_hr", "missing_lr")
def no_file(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """A loop of links, a link to nothing, a folder, a pipe, or nothing, in a capture's place."""
    names: tuple[Special, ...] = ("loop", "dangling", "folder", "fifo", "absent")
    return _with(base, _side(rng), special(names[int(rng.integers(5))]), truth=None)
