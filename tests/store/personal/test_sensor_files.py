"""Camera RAW without positions, serial numbers and names: its sensor data and the notes of its maker stay."""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.dng import write_dng
from d2crealsr.errors import ImageError
from d2crealsr.store.exif import read_exif
from d2crealsr.store.images import decode_image
from d2crealsr.store.personal import has_notes, without_personal_data
from tests.store.personal.test_personal import SECRETS, exif_of, file_of

if TYPE_CHECKING:
    from pathlib import Path

_XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>SECRET-8</x:xmpmeta>"


def with_exif(dng: bytes) -> bytes:
    """The DNG with a first directory that has all entries of the old one, those of EXIF data, and leads to theirs."""
    made = bytearray(dng + bytes(len(dng) % 2))
    shift, written = len(made), exif_of(0)
    written.endian = "<"
    exif = bytearray(written.tobytes()[6:])
    made += _moved(exif, shift)
    first, added = struct.unpack_from("<I", made, 4)[0], shift + struct.unpack_from("<I", exif, 4)[0]
    entries = {entry[:2]: entry for at in (added, first) for entry in _entries(made, at)}
    entries[struct.pack("<H", 50735)] = struct.pack("<HHII", 50735, 2, 9, len(made))
    entries[struct.pack("<H", 700)] = struct.pack("<HHII", 700, 1, len(_XMP), len(made) + 10)
    made += b"SECRET-7\0\0" + _XMP + b"\0" * (len(_XMP) % 2)
    directory = sorted(entries.values(), key=lambda entry: struct.unpack_from("<H", entry)[0])
    struct.pack_into("<I", made, 4, len(made))
    return bytes(made + struct.pack("<H", len(directory)) + b"".join(directory) + bytes(4))


def _entries(data: bytes, at: int) -> list[bytes]:
    (count,) = struct.unpack_from("<H", data, at)
    return [bytes(data[at + 2 + 12 * n : at + 14 + 12 * n]) for n in range(count)]


_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 10: 8, 12: 8}


def _moved(exif: bytearray, shift: int) -> bytearray:
    """EXIF data whose addresses count from another place."""
    moved = bytearray(exif)
    todo = [struct.unpack_from("<I", exif, 4)[0]]
    while todo:
        at = todo.pop()
        for number, entry in enumerate(_entries(exif, at)):
            tag, kind, values, value = struct.unpack("<HHII", entry)
            if tag in (0x8769, 0x8825, 0xA005):
                todo.append(value)
            if tag in (0x8769, 0x8825, 0xA005) or _SIZES[kind] * values > 4:
                struct.pack_into("<I", moved, at + 10 + 12 * number, value + shift)
    return moved


@pytest.fixture(scope="module")
def dng(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    pytest.importorskip("rawpy", reason="the extra raw is not installed")
    path = tmp_path_factory.mktemp("dng") / "a.dng"
    mosaic = np.random.default_rng(2).integers(600, 4000, (24, 32), dtype=np.uint16)
    write_dng(path, mosaic)
    return path.read_bytes()


def test_camera_raw_keeps_its_pixels_and_its_exposure_but_nothing_personal(dng: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.dng").write_bytes(data := with_exif(dng))
    before = read_exif(tmp_path / "a.dng")
    assert (before.camera_serial, before.place is None) == ("SECRET-1", False)
    cleaned = without_personal_data(data, "a")
    assert [secret for secret in SECRETS if secret in cleaned.replace(b"maker SECRET-4", b"")] == []
    assert b"maker SECRET-4" in cleaned  # needed to develop the file
    assert (has_notes(data), has_notes(dng)) == (True, False)
    (tmp_path / "a.dng").write_bytes(cleaned)
    after = read_exif(tmp_path / "a.dng")
    assert after == before._replace(camera_serial="", lens_serial="", place=None)
    np.testing.assert_array_equal(decode_image(cleaned, "a"), decode_image(data, "a"))
    assert without_personal_data(cleaned, "a") == cleaned
    assert without_personal_data(dng, "a") == dng


def test_previews_and_boxes_in_camera_raw_are_cleaned_too(dng: bytes) -> None:
    from d2crealsr.store.personal.sensor_files import cleaned_sensor_file

    preview = file_of("JPEG", exif=exif_of(1))
    cleaned = cleaned_sensor_file(b"FUJIFILMCCD-RAW " + preview, 1)
    assert len(cleaned) == 16 + len(preview)
    assert not any(secret in cleaned.replace(b"maker SECRET-4", b"") for secret in SECRETS)
    position = exif_of(1).tobytes()[6:]
    box = struct.pack(">I", 8 + len(position)) + b"CMT4" + position
    assert b"Jane" not in cleaned_sensor_file(b"\0\0\0\x18ftypcrx " + box, 1)
    with pytest.raises(ValueError, match="its structure is not known"):
        cleaned_sensor_file(b"FOVb and more", 1)


def test_damaged_camera_raw_is_cleaned_or_refused(dng: bytes) -> None:
    data, rng = with_exif(dng), np.random.default_rng(4)
    for _ in range(40):
        damaged = bytearray(data)
        for at in rng.integers(0, len(data), 6):
            damaged[at] = rng.integers(256)
        with contextlib.suppress(ImageError):
            without_personal_data(bytes(damaged), "a")
