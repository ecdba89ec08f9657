"""JPEGs whose segments ask for more than their pixels are worth, and kinds of JPEG that are not read."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from d2crealsr import opencv
from d2crealsr.errors import ImageError
from d2crealsr.store.images import decode_image, read_header, read_image, write_image
from d2crealsr.store.notes import note_in
from d2crealsr.store.readers import jpegs
from tests.icc import ADOBE_RGB, matrix_profile

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.kron(np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))


def jpeg(**options: Any) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(PIXELS).save(file, "JPEG", quality=95, **options)
    return file.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def exif(orientation: int) -> bytes:
    flags = PIL.Image.Exif()
    flags[0x0112] = orientation
    return flags.tobytes()


def with_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = jpeg(progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def test_a_progressive_picture_is_read_as_ever() -> None:
    assert np.abs(decode_image(jpeg(progressive=True), "a.jpg").astype(int) - decode_image(jpeg(), "a.jpg")).max() <= 1
    assert not jpegs.too_elaborate(with_scans(40))


@pytest.mark.parametrize(
    "options", [{"subsampling": 0}, {"subsampling": 2}, {"progressive": True}, {"keep_rgb": True}, {"exif": exif(6)}]
)
def test_decoding_to_rgb_gives_the_pixels_of_decoding_to_bgr(options: dict[str, Any]) -> None:
    data = jpeg(**options)
    assert np.array_equal(opencv.decode_jpeg(data), opencv.decode(data))


def test_a_grey_jpeg_is_decoded_to_equal_channels() -> None:
    grey = opencv.encode_jpeg(PIXELS[..., 0])
    assert np.array_equal(opencv.decode_jpeg(grey), np.repeat(opencv.decode(grey)[..., None], 3, axis=2))


def test_the_first_picture_of_an_mpo_is_read() -> None:
    file = io.BytesIO()
    pictures = [PIL.Image.fromarray(shown) for shown in (PIXELS, 255 - PIXELS)]
    pictures[0].save(file, "MPO", quality=95, save_all=True, append_images=pictures[1:])
    assert np.array_equal(decode_image(file.getvalue(), "a.mpo"), decode_image(jpeg(), "a.jpg"))


def test_scans_are_bounded_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand scans of 200 million pixels took 94 seconds, in which no signal was heard."""
    monkeypatch.setattr("d2crealsr.opencv.decode_jpeg", None)
    with pytest.raises(ImageError, match=r"more than 64 scans.*save it again") as refused:
        decode_image(with_scans(100), "a.jpg")
    assert refused.value.reason == "unsupported_image"


def test_what_only_looks_like_scans_is_none() -> None:
    """In a preview within EXIF data, or behind the picture, as phones append a film."""
    inside = segment(0xE2, b"\xff\xda\0\2" * 200)
    data = jpeg()
    assert np.array_equal(
        decode_image(data[:2] + inside + data[2:] + b"\xff\xda\0\2" * 200, "a.jpg"), decode_image(data, "a.jpg")
    )


def test_segments_are_bounded_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("d2crealsr.opencv.decode_jpeg", None)
    data = jpeg()
    with pytest.raises(ImageError, match="more than 4096 segments"):
        decode_image(data[:2] + segment(0xE1, exif(6)) * 5000 + data[2:], "a.jpg")


def test_the_first_exif_segment_counts_and_comes_before_xmp() -> None:
    data, xmp = jpeg(), b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="8"/>'
    plain = decode_image(data, "a.jpg")
    for segments, turned in (
        (segment(0xE1, xmp), np.rot90(plain)),
        (segment(0xE1, xmp) + segment(0xE1, exif(6)) + segment(0xE1, exif(3)), np.rot90(plain, -1)),
    ):
        assert np.array_equal(decode_image(data[:2] + segments + data[2:], "a.jpg"), turned)


def test_a_profile_in_several_segments_in_any_order_is_one_profile() -> None:
    profile = matrix_profile("Adobe RGB (1998)", ADOBE_RGB, 2.2)
    parts = [profile[:100], profile[100:300], profile[300:]]
    segments = [
        segment(0xE2, b"ICC_PROFILE\0" + bytes([number, 3]) + part) for number, part in enumerate(parts, start=1)
    ]
    data = jpeg()
    assert read_header(data[:2] + b"".join(segments[::-1]) + data[2:], "a.jpg").profile == profile


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [(1, 0xC3, "lossless or hierarchical JPEG"), (1, 0xC5, "lossless or hierarchical"), (4, 12, "JPEG of 12 bits")],
)
def test_kinds_that_are_not_read_are_named(place: int, value: int, why: str) -> None:
    data = bytearray(jpeg())
    data[data.index(b"\xff\xc0") + place] = value
    with pytest.raises(ImageError, match=why) as refused:
        decode_image(bytes(data), "a.jpg")
    assert refused.value.reason == "unsupported_image"


@pytest.mark.parametrize("filling", [1, 60, 100_000])
def test_a_filled_marker_is_read_or_damaged(filling: int) -> None:
    data = jpeg()
    filled = data[:2] + b"\xff" * filling + data[2:]
    if filling < 64:
        assert np.array_equal(decode_image(filled, "a.jpg"), decode_image(data, "a.jpg"))
    else:
        with pytest.raises(ImageError, match="header cannot be read"):
            decode_image(filled, "a.jpg")


def test_a_note_in_a_jpeg_is_read_back_and_leaves_its_pixels(tmp_path: Path) -> None:
    plain, noted = tmp_path / "plain.jpg", tmp_path / "noted.jpg"
    write_image(plain, PIXELS)
    write_image(noted, PIXELS, note=("key", "a text"))
    assert note_in(noted, "key") == "a text"
    assert note_in(noted, "ke") == note_in(plain, "key") == ""
    assert np.array_equal(read_image(noted), read_image(plain))
    with PIL.Image.open(noted) as picture:
        assert (picture.info["comment"], picture.info["jfif"]) == (b"key: a text", 257)
    noted.write_bytes(plain.read_bytes()[:30])
    assert note_in(noted, "key") == ""
