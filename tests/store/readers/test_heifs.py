"""HEIC, written by pillow-heif itself, as no package ships a picture of a camera."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import PIL.Image
import pytest

from d2crealsr.errors import ImageError
from d2crealsr.store.exif import exif_in
from d2crealsr.store.headers import read_header
from d2crealsr.store.images import decode_image
from d2crealsr.store.readers.heifs import HEIF
from tests.icc import ADOBE_RGB, matrix_profile

pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")

RGB = np.kron(np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))


def heic(pixels: np.ndarray = RGB, **options: Any) -> bytes:
    file = io.BytesIO()
    mode = "RGB" if pixels.dtype == np.uint8 else "RGB;16"
    image = pillow_heif.from_bytes(mode, pixels.shape[1::-1], pixels.tobytes())
    image.save(file, quality=-1, **options)
    return file.getvalue()


def test_the_picture_is_read() -> None:
    got = decode_image(heic(chroma=444), "a.heic")
    assert got.dtype == np.uint8
    assert np.abs(got.astype(int) - RGB).max() <= 2


def test_exif_data_are_read_and_their_flag_is_not_applied_twice() -> None:
    exif = PIL.Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Apple", "iPhone 12", 6
    data = heic(exif=exif.tobytes())
    header = read_header(data, "a.heic")
    assert exif_in(HEIF.exif_of(io.BytesIO(data))).camera_name == "Apple iPhone 12"
    assert decode_image(data, "a.heic").shape[:2] == (header.height, header.width)


def test_a_profile_is_used() -> None:
    profile = matrix_profile("Wide", ADOBE_RGB, 2.2)
    assert read_header(heic(icc_profile=profile), "a.heic").profile == profile


def test_a_truncated_or_large_file_is_refused() -> None:
    data = heic()
    for length in (16, 300, len(data) - 200):
        with pytest.raises(ImageError, match=r"a\.heic: .*copy it from the camera again"):
            decode_image(data[:length], "a.heic")
    with pytest.raises(ImageError, match="96x64 pixels, at most 5,000 are read"):
        read_header(data, "a.heic", max_pixels=5000)


def test_avif_is_another_format() -> None:
    assert HEIF.begins(heic()[:32])
    assert not HEIF.begins(b"\0\0\0\x20ftypavif\0\0\0\0mif1miaf")
    assert not HEIF.begins(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif")
