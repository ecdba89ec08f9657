"""Copies without personal data: the picture, its orientation, its colours and its exposure stay, the rest is gone."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from d2crealsr.errors import ImageError
from d2crealsr.store.exif import read_exif
from d2crealsr.store.headers import read_header
from d2crealsr.store.images import decode_image
from d2crealsr.store.personal import without_personal_data

if TYPE_CHECKING:
    from pathlib import Path

_EXIF, _GPS, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005
_XMP = b'<x:xmpmeta aux:SerialNumber="SECRET-9" tiff:Orientation="%d" xmlns:x="adobe:ns:meta/"/>' + b" " * 400
SECRETS = (b"SECRET", b"Jane Doe", b"GPS-MARK")


def picture() -> PIL.Image.Image:
    rng = np.random.default_rng(3)
    return PIL.Image.fromarray(rng.integers(0, 255, (24, 40, 3), dtype=np.uint8))


def exif_of(orientation: int) -> PIL.Image.Exif:
    """EXIF data with everything that cameras write, harmless and personal."""
    exif = PIL.Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x013B], exif[0x010E] = "Canon", "EOS R6", "Jane Doe", "SECRET place"
    if orientation:
        exif[0x0112] = orientation
    exif.get_ifd(_EXIF).update(
        {
            0x829A: 0.01, 0x829D: 8.0, 0x8827: 100, 0x9003: "2026:05:01 10:00:00", 0x920A: 50.0,
            0xA430: "Jane Doe", 0xA431: "SECRET-1", 0xA435: "SECRET-2", 0xA434: "RF 24", 0xA420: "SECRET-3",
            0x927C: b"maker SECRET-4", 0x9286: b"ASCII\0\0\0SECRET-5", 0xA001: 65535,
        }
    )  # fmt: skip
    exif.get_ifd(_EXIF)[_INTEROPERABILITY] = {1: "R03"}
    exif.get_ifd(_GPS).update({1: "N", 2: (52.0, 30.0, 0.0), 3: "W", 4: (13.0, 24.0, 0.0), 27: b"GPS-MARK"})
    return exif


def file_of(kind: str, **more: Any) -> bytes:
    saved = io.BytesIO()
    picture().save(saved, format=kind, **more)
    return saved.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WebP"])
@pytest.mark.parametrize("where", ["exif", "xmp"])
def test_a_copy_has_the_picture_and_its_exposure_but_nothing_personal(kind: str, where: str, tmp_path: Path) -> None:
    data = file_of(kind, **personal(kind, where))
    assert any(secret in data for secret in SECRETS)
    cleaned = without_personal_data(data, "a")
    assert not any(secret in cleaned for secret in SECRETS)
    assert read_header(cleaned, "a").orientation == read_header(data, "a").orientation == 6
    np.testing.assert_array_equal(decode_image(cleaned, "a"), decode_image(data, "a"))
    path = tmp_path / "a"
    path.write_bytes(cleaned)
    found = read_exif(path)
    assert (found.camera, found.lens, found.focal_mm, found.time) == ("EOS R6", "RF 24", 50.0, "2026-05-01T10:00:00")
    assert (found.camera_serial, found.lens_serial, found.place) == ("", "", None)
    with PIL.Image.open(path) as image:
        assert image.getexif().get_ifd(_EXIF)[0xA001] == 65535
        assert image.getexif().get_ifd(_INTEROPERABILITY)[1] == "R03"  # Adobe RGB is named by it alone
    assert without_personal_data(cleaned, "a") == cleaned


def personal(kind: str, where: str) -> dict[str, Any]:
    """What Pillow is given to write personal data into a file, and the orientation into EXIF or XMP."""
    exif = exif_of(6 if where == "exif" else 0)
    if kind == "TIFF":
        tags: dict[int, Any] = dict(exif) | {33432: "Jane Doe"}
        tags |= {tag: dict(exif.get_ifd(tag)) for tag in (_EXIF, _GPS)}
        return {"tiffinfo": tags | ({700: _XMP % 6} if where == "xmp" else {})}
    if where == "exif":
        return {"exif": exif}
    return {"exif": exif} | ({"pnginfo": _png_texts()} if kind == "PNG" else {"xmp": _XMP % 6})


def _png_texts() -> Any:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("Author", "Jane Doe")
    texts.add_itxt("XML:com.adobe.xmp", (_XMP % 6).decode())
    return texts


def test_what_follows_a_jpeg_is_left_out_and_progressive_scans_stay() -> None:
    data = file_of("JPEG", progressive=True, comment=b"SECRET")
    second = file_of("JPEG", exif=exif_of(1))
    cleaned = without_personal_data(data + second, "a")
    assert not any(secret in cleaned for secret in SECRETS)
    assert cleaned.endswith(b"\xff\xd9")
    np.testing.assert_array_equal(decode_image(cleaned, "a"), decode_image(data, "a"))


def test_bytes_that_no_entry_refers_to_are_not_copied() -> None:
    data = file_of("TIFF", tiffinfo={315: "Jane Doe"}, compression="tiff_lzw") + b"SECRET behind the pages"
    cleaned = without_personal_data(data, "a")
    assert not any(secret in cleaned for secret in SECRETS)


def test_a_file_of_another_format_or_without_end_is_refused_in_one_line() -> None:
    with pytest.raises(ImageError, match="a: of no image format that is read"):
        without_personal_data(b"RAWDATA", "a")
    looped = bytearray(file_of("TIFF"))
    at = struct.unpack_from("<I", looped, 4)[0]
    count = struct.unpack_from("<H", looped, at)[0]
    struct.pack_into("<I", looped, at + 2 + 12 * count, at)
    with pytest.raises(ImageError, match=r"a: personal data cannot be left out \(its directories form a loop\)"):
        without_personal_data(bytes(looped), "a")


def test_damaged_exif_data_is_left_out_whole() -> None:
    data = file_of("JPEG", exif=exif_of(1))
    place = data.index(b"Exif\0\0") + 6
    damaged = data[:place] + b"II*\0\xff\xff\xff\x7f" + data[place + 8 :]
    cleaned = without_personal_data(damaged, "a")
    assert b"Exif" not in cleaned
    np.testing.assert_array_equal(decode_image(cleaned, "a"), decode_image(data, "a"))
