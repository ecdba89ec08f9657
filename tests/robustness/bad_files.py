"""Captures as they should not be: damaged files, wrong pictures and missing files, after those stored unusually."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from tests.robustness import unusual_files
from tests.robustness.bad_kinds import (
    ANY,
    KINDS,
    REJECTED,
    Base,
    File,
    Kind,
    Made,
    Side,
    any_format,
    any_side,
    bytes_of,
    file_of,
    kind,
    pixels_of,
    saved,
    special,
    with_file,
)

if TYPE_CHECKING:
    from tests.robustness.bad_kinds import Base, Made, Side, Special

__all__ = ["ANY", "KINDS", "Base", "File", "Kind", "Made", "special", "unusual_files"]

# --- damaged files -----------------------------------------------------------------------------------------------


def _any_file(rng: np.random.Generator, base: Base, side: Side) -> File:
    form = any_format(rng, "JPEG", "PNG", "TIFF", "WEBP")
    return File(".jpg", bytes_of(base, side)) if form == "JPEG" else file_of(pixels_of(base, side), form)


@kind("unreadable", "unsupported_image")
def truncated(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    file = _any_file(rng, base, side)
    return with_file(
        base, side, replace(file, content=file.content[: int(rng.uniform(0.001, 0.99) * len(file.content))])
    )


@kind("unreadable")
def zero_bytes(rng: np.random.Generator, base: Base, other: Base) -> Made:
    return with_file(base, any_side(rng), File(".jpg", b""))


@kind("unreadable", "unsupported_image")
def noise_bytes(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """Random bytes, half of them behind the first bytes of a real format."""
    starts = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0\x08\0\0\0", b"RIFF\xff\0\0\0WEBPVP8 ", b"BM"]
    start = starts[int(rng.integers(len(starts)))]
    return with_file(base, any_side(rng), File(".png", start + rng.bytes(int(rng.integers(1, 5000)))))


@kind("unreadable")
def other_content(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """What no capture is: text, HTML, a GIF, an archive, a program."""
    gif = saved(PIL.Image.fromarray(base.lr_pixels).convert("P"), "GIF")
    contents = [b"a note\n", b"<html><script>alert(1)</script></html>", gif, b"PK\3\4" + rng.bytes(200), b"\x7fELF"]
    return with_file(base, any_side(rng), File(".jpg", contents[int(rng.integers(len(contents)))]))


@kind("unsupported_image")
def several_pictures(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side, form = any_side(rng), any_format(rng, "PNG", "TIFF")
    frame = PIL.Image.fromarray(np.ascontiguousarray(pixels_of(base, side)[::-1]))
    return with_file(base, side, file_of(pixels_of(base, side), form, save_all=True, append_images=[frame]))


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
        return File(".jpg", _jpeg_says(bytes_of(base, side), min(width, 65_500), min(height, 65_500)))
    return File(".png", _png_says(file_of(pixels_of(base, side), "PNG").content, width, height))


@kind("too_large")
def absurd_size(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """Some thousand bytes that promise more pixels than there is memory for."""
    width, height = (int(side) for side in rng.integers(20_000, 2**31 - 1, 2))
    side = any_side(rng)
    return with_file(base, side, _says(rng, base, side, width, height))


@kind(ANY)
def header_lies(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """A size that is not the data's: of a JPEG the decoder may make up the rest."""
    side = any_side(rng)
    height, width = pixels_of(base, side).shape[:2]
    width, height = (max(1, int(n * rng.uniform(0.3, 1.9))) for n in (width, height))
    return with_file(base, side, _says(rng, base, side, width, height), truth=None)


@kind(ANY)
def bits_flipped_in_jpeg(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """In the compressed data: it decodes without complaint, to something else from there on."""
    side = any_side(rng)
    data = bytearray(bytes_of(base, side))
    for place in rng.integers(700, len(data) - 2, int(rng.integers(1, 8))):
        data[place] ^= 1 << int(rng.integers(8))
    return with_file(base, side, File(".jpg", bytes(data)), damaged=True)


@kind("unreadable")
def bits_flipped_in_png(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    data = bytearray(file_of(pixels_of(base, side), "PNG").content)
    data[int(rng.integers(100, len(data) - 100))] ^= 1 << int(rng.integers(8))
    return with_file(base, side, File(".png", bytes(data)))


@kind(ANY)
def bytes_changed_in_header(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    file = _any_file(rng, base, side)
    data = bytearray(file.content)
    for place in rng.integers(0, min(700, len(data)), int(rng.integers(1, 6))):
        data[place] = int(rng.integers(256))
    return with_file(base, side, replace(file, content=bytes(data)), damaged=True)


@kind(ANY)
def two_files_in_one(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """The first part of one capture and the last of another, as a failing card leaves them."""
    side = any_side(rng)
    one, two = bytes_of(base, side), bytes_of(other, side)
    cut = int(rng.uniform(0.1, 0.9) * min(len(one), len(two)))
    return with_file(base, side, File(".jpg", one[:cut] + two[cut:]), damaged=True)


# --- the wrong picture -------------------------------------------------------------------------------------------


@kind(*REJECTED)
def another_scene(rng: np.random.Generator, base: Base, other: Base) -> Made:
    return with_file(base, "lr", File(".jpg", other.lr), truth=None)


@kind("hr_lr_swapped")
def exchanged(rng: np.random.Generator, base: Base, other: Base) -> Made:
    return Made(hr=File(".jpg", base.lr), lr=File(".jpg", base.hr), truth=None)


@kind(*REJECTED)
def one_picture_twice(rng: np.random.Generator, base: Base, other: Base) -> Made:
    file = File(".jpg", bytes_of(base, any_side(rng)))
    return Made(hr=file, lr=file, truth=None)


@kind(*REJECTED)
def mirrored(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    return with_file(base, side, file_of(np.ascontiguousarray(pixels_of(base, side)[:, ::-1]), "PNG"), truth=None)


@kind(*REJECTED)
def nothing_to_see(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """Black, white, grey, a ramp, noise or a checkerboard."""
    side = any_side(rng)
    shape = pixels_of(base, side).shape
    ramp = np.broadcast_to(np.linspace(0, 255, shape[1])[None, :, None], shape)
    checks = np.indices(shape[:2]).sum(axis=0)[..., None] // 8 % 2 * 255 + np.zeros(3)
    pictures = [np.full(shape, level) for level in (0, 128, 255)] + [ramp, checks, rng.integers(0, 256, shape)]
    return with_file(base, side, file_of(pictures[int(rng.integers(6))].astype(np.uint8), "PNG"), truth=None)


@kind("too_small", *REJECTED)
def tiny_or_thin(rng: np.random.Generator, base: Base, other: Base) -> Made:
    side = any_side(rng)
    sizes = [(1, 1), (2, 3), (1, 500), (500, 1), (7, 7), (31, 33), (3, 900), (16, 16)]
    height, width = sizes[int(rng.integers(len(sizes)))]
    return with_file(
        base, side, file_of(np.ascontiguousarray(pixels_of(base, side)[:height, :width]), "PNG"), truth=None
    )


@kind(*REJECTED)
def other_zoom(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """LR enlarged or reduced: the scale between the two is not the one asked for."""
    height, width = base.lr_pixels.shape[:2]
    factor = float(rng.choice([0.4, 0.6, 1.6, 2.5]))
    image = PIL.Image.fromarray(base.lr_pixels).resize((int(width * factor), int(height * factor)))
    return with_file(base, "lr", file_of(image, "PNG"), truth=None)


@kind("content_mismatch", *REJECTED)
def half_another_scene(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """LR's one half from one card, the other half from another."""
    pixels = base.lr_pixels.copy()
    height, width = (min(a, b) for a, b in zip(pixels.shape[:2], other.lr_pixels.shape[:2], strict=True))
    pixels[:height, width // 2 : width] = other.lr_pixels[:height, width // 2 : width]
    return with_file(base, "lr", file_of(pixels, "PNG"), truth=None)


# --- no files ----------------------------------------------------------------------------------------------------


@kind("unreadable", "missing_hr", "missing_lr")
def no_file(rng: np.random.Generator, base: Base, other: Base) -> Made:
    """A loop of links, a link to nothing, a folder, a pipe, or nothing, in a capture's place."""
    names: tuple[Special, ...] = ("loop", "dangling", "folder", "fifo", "absent")
    return with_file(base, any_side(rng), special(names[int(rng.integers(5))]), truth=None)
