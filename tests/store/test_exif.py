"""EXIF data of captures: found by the reader of the format, read by Pillow, and harmless whatever they contain."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from d2crealsr.errors import ImageError
from d2crealsr.store.exif import NO_EXIF, exif_in, read_exif
from d2crealsr.store.images import read_capture, read_image
from d2crealsr.store.readers.pngs import marked_as_srgb

_EXIF, _INTEROP = 0x8769, 0xA005
TAKEN = {
    "camera": "Canon EOS R6",
    "lens": "RF 24-105",
    "focal_mm": 50.0,
    "exposure_s": 0.01,
    "f_number": 8.0,
    "iso": 100,
}
COLOURS = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)


def exif(**changes: object) -> PIL.Image.Exif:
    """What a camera writes; ``changes`` are tags by name."""
    data = PIL.Image.Exif()
    data[0x010F], data[0x0110] = "Canon", changes.get("model", "EOS R6")
    inner = data.get_ifd(_EXIF)
    inner.update({0x829A: 0.01, 0x829D: 8.0, 0x8827: 100, 0x920A: 50.0, 0xA431: "SECRET", 0xA434: "RF 24-105"})
    if "space" in changes:
        inner[0xA001], inner[_INTEROP] = changes["space"], {1: changes.get("index", "R03")}
    data[_EXIF] = dict(inner)  # Pillow writes no other into a TIFF
    return data


def written(path: Path, **changes: object) -> Path:
    options: dict[str, object] = {"lossless": True} if path.suffix == ".webp" else {}
    PIL.Image.fromarray(COLOURS).save(path, exif=exif(**changes), **options)
    return path


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp", "mpo"])
def test_they_are_read_from_every_format(ending: str, tmp_path: Path) -> None:
    assert read_exif(written(tmp_path / f"a.{ending}")).cells == TAKEN


def test_nothing_is_read_where_there_are_none(tmp_path: Path) -> None:
    PIL.Image.fromarray(COLOURS).save(tmp_path / "a.jpg")
    assert read_exif(tmp_path / "a.jpg") == NO_EXIF
    (tmp_path / "b.jpg").write_bytes(b"text")
    with pytest.raises(ImageError, match=r"b\.jpg: its EXIF data cannot be read \(of no image format"):
        read_exif(tmp_path / "b.jpg")


def test_a_name_is_short_and_no_formula(tmp_path: Path) -> None:
    shot = read_exif(written(tmp_path / "a.jpg", model="=cmd\x1b[1m" + "x" * 200))._replace(camera_make="")
    assert shot.camera_name == "cmd [1m" + "x" * 73


@pytest.mark.parametrize("cut", [9, 30, 120])
def test_damaged_ones_are_missing(cut: int) -> None:
    assert exif_in(io.BytesIO(exif().tobytes()[6:][:cut])) == NO_EXIF


def test_values_that_share_their_bytes_are_not_read() -> None:
    """Each of 4,000 tags claims the whole block, which a library that keeps every value would copy 4,000 times."""
    entries = b"".join(struct.pack("<HHII", 1000 + tag, 7, 40_000, 8) for tag in range(4000))
    block = b"II*\0" + struct.pack("<IH", 8, 4000) + entries + bytes(4)
    assert exif_in(io.BytesIO(block)) == NO_EXIF


# --- colours that EXIF alone names -------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_adobe_rgb_that_exif_alone_names_is_converted_or_refused(ending: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"a.{ending}", space=65535)
    got = read_capture(path, convert=True)
    assert got.converted_from == "Adobe RGB (1998)"
    assert np.abs(got.pixels.astype(int) - read_image(path)).mean() > 3
    with pytest.raises(ImageError, match=r"'Adobe RGB \(1998\)', expected sRGB.*--convert-lr-profile"):
        read_capture(path, convert=False)


@pytest.mark.parametrize("changes", [{"space": 1}, {"space": 65535, "index": "R98"}, {"space": 1, "index": "R98"}])
def test_other_colour_spaces_of_exif_are_srgb(changes: dict[str, object], tmp_path: Path) -> None:
    assert read_capture(written(tmp_path / "a.jpg", **changes), convert=False).converted_from == ""


def test_a_png_that_says_srgb_is_srgb_whatever_its_exif_data_say(tmp_path: Path) -> None:
    data = written(tmp_path / "a.png", space=65535).read_bytes()
    (tmp_path / "a.png").write_bytes(marked_as_srgb(data))
    assert read_capture(tmp_path / "a.png", convert=False).converted_from == ""
