"""Camera RAW: DNGs that tifffile writes, developed by one fixed rendering."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from benchmarks.dng import write_dng
from d2crealsr.errors import ImageError
from d2crealsr.store.exif import read_exif
from d2crealsr.store.images import read_capture, read_image, read_size
from d2crealsr.store.readers import READERS, START, raws, reader_of

pytest.importorskip("rawpy", reason="the extra raw is not installed")

LEVELS = (512, 16_383)
WB = (2.0, 1.0, 1.6)


def mosaic(light: np.ndarray, wb: tuple[float, ...] = WB) -> np.ndarray:
    """Raw values of an RGGB sensor that sees linear light (H, W, 3)."""
    sensed = light / np.array(wb) * min(wb)
    raw = sensed[..., 1].copy()
    raw[0::2, 0::2], raw[1::2, 1::2] = sensed[0::2, 0::2, 0], sensed[1::2, 1::2, 2]
    return np.rint(LEVELS[0] + raw * (LEVELS[1] - LEVELS[0])).astype(np.uint16)


def halves(height: int = 64, width: int = 96) -> np.ndarray:
    light = np.full((height, width, 3), (0.5, 0.3, 0.1))
    light[:, : width // 2] = 0.2
    return light


def developed(path: Path, light: np.ndarray, **options: object) -> Path:
    write_dng(path, mosaic(light), wb=WB, levels=LEVELS, **options)
    return path


def linear(pixels: np.ndarray) -> np.ndarray:
    value = pixels / 65535
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def test_light_is_as_it_was_in_16_bits_of_srgb(tmp_path: Path) -> None:
    shot = read_capture(developed(tmp_path / "a.dng", halves()), convert=False)
    assert (shot.pixels.dtype, shot.pixels.shape, shot.tone, shot.phase) == (np.uint16, (64, 96, 3), "srgb", "RGGB")
    got = linear(shot.pixels)
    assert np.abs(got[10:-10, 10:38] - 0.2).max() < 2e-4
    assert np.abs(got[10:-10, 58:-10] - (0.5, 0.3, 0.1)).max() < 2e-4
    assert shot.developed.startswith("LibRaw ")
    assert shot.developed.endswith("white balance as shot 2.0000 1.0000 1.6000")
    assert np.array_equal(read_image(tmp_path / "a.dng"), shot.pixels)


def test_brightness_does_not_depend_on_the_brightest_pixel(tmp_path: Path) -> None:
    """LibRaw takes the brightest pixel for white by default if it is above three quarters of the range."""
    dark, bright = halves(), halves()
    bright[40:44, 10:14] = 0.8
    shots = [linear(read_image(developed(tmp_path / "a.dng", light)))[10:30, 10:38] for light in (dark, bright)]
    assert np.abs(shots[0] - shots[1]).max() < 1e-6


def test_lr_is_developed_with_the_white_balance_of_hr(tmp_path: Path) -> None:
    hr = developed(tmp_path / "hr.dng", halves())
    write_dng(tmp_path / "lr.dng", mosaic(halves()), wb=(1.0, 1.0, 1.0), levels=LEVELS)
    lr = read_capture(tmp_path / "lr.dng", convert=False, balanced_as=hr)
    assert np.abs(lr.pixels.astype(int) - read_image(hr)).max() <= 2
    assert lr.developed.endswith("white balance of HR 2.0000 1.0000 1.6000")
    (tmp_path / "hr.jpg").write_bytes(b"no picture")
    alone = read_capture(tmp_path / "lr.dng", convert=False, balanced_as=tmp_path / "hr.jpg")
    assert alone.developed.endswith("white balance as shot 1.0000 1.0000 1.0000")


@pytest.mark.parametrize(("orientation", "upright"), [(1, "GRBG"), (3, "BGGR"), (6, "BGGR"), (8, "GBRG")])
def test_the_phase_is_that_of_the_upright_picture(orientation: int, upright: str, tmp_path: Path) -> None:
    """A stored frame of 64×95 px with green at its first pixel and red beside it."""
    write_dng(tmp_path / "a.dng", mosaic(halves())[:, 1:], phase="GRBG", orientation=orientation, levels=LEVELS)
    shot = read_capture(tmp_path / "a.dng", convert=False)
    size = (64, 95) if orientation < 5 else (95, 64)
    assert shot.pixels.shape[:2] == size
    assert read_size(tmp_path / "a.dng") == size[::-1]
    stored = np.array(list("GRBG")).reshape(2, 2)
    whole = np.tile(stored, (32, 48))[:, :95]
    turned = np.rot90(whole, {1: 0, 3: 2, 6: -1, 8: 1}[orientation])
    assert shot.phase == "".join(turned[:2, :2].ravel()) == upright


def test_it_is_told_from_a_tiff_by_its_content_and_has_exif_data(tmp_path: Path) -> None:
    path = developed(tmp_path / "a.tif", halves())
    assert reader_of(path.read_bytes()[:START]) is raws.RAW
    assert read_exif(path).camera_name == "Simulated Bayer"


@pytest.mark.parametrize(
    "start", [b"FUJIFILMCCD-RAW 0201", b"\0\0\0\x18ftypcrx \0\0\0\1", b"IIRO\x08\0\0\0", b"IIU\0\x18\0\0\0"]
)
def test_other_camera_raw_is_recognised_and_damage_is_one_line(start: bytes, tmp_path: Path) -> None:
    assert reader_of(start + bytes(100)) is raws.RAW
    (tmp_path / "a.raf").write_bytes(start + bytes(200))
    with pytest.raises(ImageError, match=r"^a\.raf: its header cannot be read \(.*\); copy it from the camera again$"):
        read_image(tmp_path / "a.raf")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_truncated_file_is_refused(share: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = developed(tmp_path / "a.dng", halves()).read_bytes()
    (tmp_path / "a.dng").write_bytes(data[: int(share * len(data))])
    with pytest.raises(ImageError, match=r"a\.dng: .*; copy it from the camera again"):
        read_image(tmp_path / "a.dng")
    assert capfd.readouterr().err == ""


def test_a_large_one_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raws, "_unpack", None)
    with pytest.raises(ImageError, match=r"96x64 pixels, at most 5,000 are read") as caught:
        read_capture(developed(tmp_path / "a.dng", halves()), convert=False, max_pixels=5000)
    assert caught.value.reason == "too_large"


def test_the_library_is_needed_only_for_camera_raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(ImageError, match=r"a\.dng is camera RAW, read by rawpy; install it with pip install") as caught:
        read_image(developed(tmp_path / "a.dng", halves()))
    assert caught.value.reason == "extra_missing"


def test_no_other_reader_takes_camera_raw_first(tmp_path: Path) -> None:
    start = developed(tmp_path / "a.dng", halves()).read_bytes()[:START]
    assert [reader.name for reader in READERS if reader.begins(start)] == ["camera RAW"]
    plain = io.BytesIO()
    import tifffile

    tifffile.imwrite(plain, np.zeros((16, 16, 3), np.uint8), photometric="rgb")
    assert not raws.RAW.begins(plain.getvalue()[:START])
