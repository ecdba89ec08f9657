"""BMP, WebP and JPEG 2000: the first picture, with the pixels that OpenCV decodes too, and errors for damaged files."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import PIL.Image
import pytest

from d2crealsr.errors import ImageError
from d2crealsr.store.headers import read_header
from d2crealsr.store.images import decode_image
from tests.icc import ADOBE_RGB, matrix_profile

RGB = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8), (9, 9), 2)
KINDS = ("BMP", "WEBP", "JPEG2000")


def written(kind: str, mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(RGB).convert(mode).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_pixels_are_those_of_opencv(kind: str, mode: str) -> None:
    data = written(kind, mode)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decode_image(data, "a"), pixels[..., ::-1])


def test_opaque_grey_and_one_bit_are_read() -> None:
    grey = np.asarray(PIL.Image.fromarray(RGB).convert("L"))
    assert np.array_equal(decode_image(written("JPEG2000", "LA"), "a"), np.stack([grey] * 3, axis=2))
    assert set(np.unique(decode_image(written("BMP", "1"), "a"))) == {0, 255}


def test_the_first_picture_of_an_animation_is_read() -> None:
    data = written("WEBP", lossless=True, save_all=True, append_images=[PIL.Image.fromarray(255 - RGB)])
    assert np.array_equal(decode_image(data, "a"), RGB)


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_file_is_refused(kind: str) -> None:
    data = written(kind)
    for length in (40, len(data) // 3, len(data) - 20):
        with pytest.raises(ImageError, match=r"a: .*; copy it from the camera again"):
            decode_image(data[:length], "a")


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_picture_is_refused_by_its_header(kind: str) -> None:
    with pytest.raises(ImageError, match=r"80x64 pixels, at most 5,000 are read") as caught:
        read_header(written(kind), "a", max_pixels=5000)
    assert caught.value.reason == "too_large"


def test_jpeg_2000_that_would_lose_bits_is_refused() -> None:
    deep = cv2.imencode(".jp2", RGB.astype(np.uint16) * 257)[1].tobytes()
    with pytest.raises(ImageError, match="JPEG 2000 of 16 bits, of which only 8 would be read"):
        decode_image(deep, "a")


def test_the_profile_of_jpeg_2000_is_found() -> None:
    profile = matrix_profile("Wide", ADOBE_RGB, 2.2)
    data = written("JPEG2000", irreversible=False)
    at = data.index(b"colr") - 4
    (length,) = struct.unpack_from(">I", data, at)
    box = struct.pack(">I4s3B", 11 + len(profile), b"colr", 2, 0, 0) + profile
    header = data.index(b"jp2h") - 4
    (whole,) = struct.unpack_from(">I", data, header)
    grown = struct.pack(">I", whole - length + len(box)) + data[header + 4 : at] + box + data[at + length :]
    assert read_header(data[:header] + grown, "a").profile == profile
