"""HEIC and JPEG 2000 without personal data: the pixels, the colours and the exposure stay."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest

from d2crealsr.errors import ImageError
from d2crealsr.store.exif import read_exif
from d2crealsr.store.headers import read_header
from d2crealsr.store.images import decode_image
from d2crealsr.store.personal import without_personal_data
from tests.store.personal.test_personal import SECRETS, exif_of, file_of, picture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_XML = b"\0\0\0\x0exml SECRET"


def heic() -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    saved = io.BytesIO()
    made = pillow_heif.from_pillow(picture())
    made.save(saved, quality=90, exif=exif_of(1).tobytes(), xmp=b"<x:xmpmeta>SECRET</x:xmpmeta>")
    return saved.getvalue() + b"\0\0\0\x0emoovSECRET"


def jpeg_2000() -> bytes:
    return file_of("JPEG2000", comment="SECRET") + _XML


@pytest.mark.parametrize("made", [heic, jpeg_2000])
def test_boxes_that_are_no_picture_are_not_copied(made: Callable[[], bytes]) -> None:
    data = made()
    assert any(secret in data for secret in SECRETS)
    cleaned = without_personal_data(data, "a")
    assert not any(secret in cleaned for secret in SECRETS)
    assert read_header(cleaned, "a").profile == read_header(data, "a").profile
    np.testing.assert_array_equal(decode_image(cleaned, "a"), decode_image(data, "a"))
    assert without_personal_data(cleaned, "a") == cleaned


def test_a_heic_keeps_how_it_was_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(without_personal_data(heic(), "a"))
    found = read_exif(path)
    assert (found.camera, found.lens, found.focal_mm, found.time) == ("EOS R6", "RF 24", 50.0, "2026-05-01T10:00:00")
    assert (found.camera_serial, found.lens_serial, found.place) == ("", "", None)


@pytest.mark.parametrize("made", [heic, jpeg_2000])
def test_a_damaged_file_of_boxes_is_cleaned_or_refused(made: Callable[[], bytes]) -> None:
    data, rng = made(), np.random.default_rng(4)
    for _ in range(60):
        damaged = bytearray(data)
        for at in rng.integers(0, min(len(data), 700), 2):
            damaged[at] = rng.integers(256)
        for given in (bytes(damaged), data[: rng.integers(20, len(data))]):
            with contextlib.suppress(ImageError):
                without_personal_data(given, "a")


def test_jpeg_2000_without_boxes_loses_its_comments() -> None:
    boxes = file_of("JPEG2000", comment="SECRET")
    stream = boxes[boxes.index(b"\xff\x4f\xff\x51") :]
    cleaned = without_personal_data(stream, "a")
    assert b"SECRET" in stream
    assert b"SECRET" not in cleaned
    np.testing.assert_array_equal(decode_image(cleaned, "a"), decode_image(stream, "a"))
