"""Broken image files: a picture of the size that the header says, or an ImageError of one line with a known code."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2crealsr import opencv
from d2crealsr.errors import ImageError
from d2crealsr.store.headers import MAX_PIXELS
from d2crealsr.store.images import read_capture, read_header, read_image_and_alpha, read_size
from d2crealsr.store.profiles import foreign_profile
from tests.icc import ADOBE_RGB, SRGB, WIDE_GREY, matrix_profile

from .mutations import broken_bytes

CODES = frozenset({"unreadable", "unsupported_image", "too_large", "colour_profile"})
LIMIT = 100_000
"""Pixels: what is larger is refused by its header, so that broken sizes cost no time here."""


def _corpus() -> list[bytes]:
    """A few hundred bytes of every format and colour mode that there is."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 28, 3), dtype=np.uint8)
    image, found = PIL.Image.fromarray(pixels), []

    def save(kind: str, picture: PIL.Image.Image = image, **options: Any) -> None:
        data = io.BytesIO()
        picture.save(data, kind, **options)
        found.append(data.getvalue())

    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    for kind in ("PNG", "JPEG", "TIFF", "BMP", "WEBP"):
        save(kind)
    for mode in ("1", "L", "LA", "P", "RGBA"):
        save("PNG", image.convert(mode))
    for mode in ("L", "CMYK"):
        save("JPEG", image.convert(mode), exif=exif)
    for mode in ("1", "L", "P", "RGBA", "CMYK", "LAB", "F", "I"):
        save("TIFF", image.convert(mode), exif=exif)
    save("TIFF", big_tiff=True, exif=exif)
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        save("TIFF", compression=compression)
    for kind in ("PNG", "JPEG", "TIFF", "WEBP"):
        save(kind, icc_profile=matrix_profile("Adobe", ADOBE_RGB, 2.2), exif=exif)
    save("PNG", save_all=True, append_images=[image.rotate(90)])
    save("JPEG", progressive=True)
    found.append(opencv.encode_png(pixels.astype(np.uint16) * 257))
    found.append(opencv.encode_tiff(pixels.astype(np.uint16) * 257))
    return [*found, b""]


def check(error: ImageError, codes: frozenset[str] | set[str] = CODES) -> None:
    assert error.reason in codes
    assert str(error).isprintable(), str(error)
    assert str(error).startswith("a.png: ")


@settings(settings.get_profile("fuzz"))
@given(data=broken_bytes(_corpus()), convert=st.booleans())
def test_captures(data: bytes, convert: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = _file(tmp_path_factory, data)
    try:
        read = read_capture(path, convert=convert, max_pixels=LIMIT)
    except ImageError as error:
        check(error)
        return
    header = read_header(data, "a.png", max_pixels=LIMIT)
    assert read.pixels.shape == (header.height, header.width, 3)
    assert read.pixels.dtype in (np.uint8, np.uint16)
    assert read_size(path) == (header.width, header.height)


@settings(settings.get_profile("fuzz"))
@given(data=broken_bytes(_corpus()))
def test_any_image(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = _file(tmp_path_factory, data)
    try:
        if np.prod(read_size(path)) > LIMIT:
            return
        pixels, alpha = read_image_and_alpha(path)
    except ImageError as error:
        check(error)
        return
    assert pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS
    assert alpha is None or alpha.shape == pixels.shape[:2]


PROFILES = [
    matrix_profile("a", ADOBE_RGB, 2.2),
    matrix_profile("b", SRGB),
    matrix_profile("c", WIDE_GREY, 1.8),
]


@settings(settings.get_profile("fuzz"))
@given(profile=broken_bytes(PROFILES))
def test_profiles(profile: bytes) -> None:
    try:
        name = foreign_profile(profile, "a.png")
    except ImageError as error:
        check(error, {"colour_profile"})
        return
    assert name.isprintable()
    assert not name.startswith(("=", "+", "-", "@"))


def _file(factory: pytest.TempPathFactory, data: bytes) -> Path:
    path = factory.getbasetemp() / "a.png"
    path.write_bytes(data)
    return path
