"""Image files of every kind a camera, a scanner or an attacker may leave: read right, or refused with a reason."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from d2crealsr.errors import ImageError
from d2crealsr.store import images
from d2crealsr.store.images import read_capture, read_image, read_size
from tests.icc import ADOBE_RGB, SRGB, WIDE_GREY, matrix_profile

if TYPE_CHECKING:
    from pathlib import Path

ROWS, COLUMNS = np.mgrid[:40, :56]
RGB = np.stack([5 * ROWS + COLUMNS, 5 * ROWS, 2 * ROWS + 3 * COLUMNS], axis=-1).astype(np.uint8)

TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}
"""What each orientation flag asks for (CIPA DC-008): 6 says that the camera was turned left, so turn it right."""


def save(path: Path, image: PIL.Image.Image, kind: str, **options: Any) -> Path:
    image.save(path, kind, **options)
    return path


def exif(orientation: int) -> PIL.Image.Exif:
    flags = PIL.Image.Exif()
    flags[0x0112] = orientation
    return flags


KINDS: dict[str, dict[str, Any]] = {
    "png": {},
    "jpg": {"kind": "JPEG", "quality": 100, "subsampling": 0},
    "tif": {"kind": "TIFF"},
    "big.tif": {"kind": "TIFF", "big_tiff": True},
    "webp": {"kind": "WEBP", "lossless": True},
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", KINDS)
def test_all_eight_orientations(ending: str, orientation: int, tmp_path: Path) -> None:
    options = {"kind": "PNG", **KINDS[ending]}
    path = save(tmp_path / f"a.{ending}", PIL.Image.fromarray(RGB), exif=exif(orientation), **options)
    expected = TURNS[orientation](RGB)
    got = read_image(path)
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected).max() <= (6 if ending == "jpg" else 0)
    assert read_size(path) == (expected.shape[1], expected.shape[0])


def test_a_flag_behind_a_pngs_pixels_counts(tmp_path: Path) -> None:
    """Pillow would decode all of the file to find it, before its size was checked."""
    data = io.BytesIO()
    PIL.Image.fromarray(RGB).save(data, "PNG")
    chunk = b"eXIf" + exif(6).tobytes()[6:]
    late = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    content = data.getvalue()
    (tmp_path / "a.png").write_bytes(content[:-12] + late + content[-12:])
    assert np.array_equal(read_image(tmp_path / "a.png"), np.rot90(RGB, -1))
    assert read_size(tmp_path / "a.png") == (40, 56)


@pytest.mark.parametrize("order", ["<", ">"])
def test_big_endian_tiffs_and_sixteen_bits(order: str, tmp_path: Path) -> None:
    grey = (RGB[..., 0].astype(np.uint16) * 257).astype(order + "u2")
    image = PIL.Image.frombytes("I;16" if order == "<" else "I;16B", (56, 40), grey.tobytes())
    got = read_image(save(tmp_path / "a.tif", image, "TIFF", tiffinfo=exif(8)))
    assert got.dtype == np.uint16
    assert np.array_equal(got[..., 2], np.rot90(grey))


def _image(mode: str) -> PIL.Image.Image:
    return PIL.Image.fromarray(RGB).convert(mode)


def _transparent() -> PIL.Image.Image:
    return PIL.Image.fromarray(np.dstack([RGB, RGB[..., 0]]))


@pytest.mark.parametrize(("mode", "kind"), [("1", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGBA", "PNG")])
def test_grey_palette_and_opaque_pictures_are_read(mode: str, kind: str, tmp_path: Path) -> None:
    expected = np.asarray(_image(mode).convert("RGB"))
    assert np.array_equal(read_image(save(tmp_path / "a.png", _image(mode), kind)), expected)


@pytest.mark.parametrize("mode", ["P", "1"])
def test_captures_of_few_colours_are_refused(mode: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="too coarse") as refused:
        read_capture(save(tmp_path / "a.png", _image(mode), "PNG"), convert=False)
    assert refused.value.reason == "unsupported_image"


def test_a_wrong_ending_does_not_matter(tmp_path: Path) -> None:
    assert np.array_equal(read_image(save(tmp_path / "a.jpg", _image("RGB"), "PNG")), RGB)


def _float_tiff(path: Path) -> None:
    from d2crealsr import opencv

    path.write_bytes(opencv.encode_tiff(RGB.astype(np.float32)))


REFUSED: dict[str, tuple[Any, str, str]] = {
    "cmyk.jpg": (lambda p: save(p, _image("CMYK"), "JPEG"), "unsupported_image", "CMYK.*export it as RGB"),
    "cmyk.tif": (lambda p: save(p, _image("CMYK"), "TIFF"), "unsupported_image", "CMYK"),
    "lab.tif": (lambda p: save(p, _image("LAB"), "TIFF"), "unsupported_image", "LAB"),
    "la.tif": (lambda p: save(p, _image("LA"), "TIFF"), "unsupported_image", "LA"),
    "int32.tif": (lambda p: save(p, _image("I"), "TIFF"), "unsupported_image", "int32"),
    "grey-float.tif": (lambda p: save(p, _image("F"), "TIFF"), "unsupported_image", "mode F"),
    "rgb-float.tif": (_float_tiff, "unsupported_image", "floating point"),
    "alpha.png": (lambda p: save(p, _transparent(), "PNG"), "unsupported_image", "transparent.*flatten"),
    "alpha.webp": (lambda p: save(p, _transparent(), "WEBP"), "unsupported_image", "transparent"),
    "apng.png": (
        lambda p: save(p, _image("RGB"), "PNG", save_all=True, append_images=[_image("L").convert("RGB")]),
        "unsupported_image",
        "2 pictures.*single picture",
    ),
    "pages.tif": (
        lambda p: save(p, _image("RGB"), "TIFF", save_all=True, append_images=[_image("RGB")]),
        "unsupported_image",
        "2 pictures",
    ),
    "gif.png": (lambda p: save(p, _image("RGB"), "GIF"), "unreadable", "no image format that is read: PNG"),
    "empty.png": (lambda p: p.write_bytes(b""), "unreadable", "empty; copy"),
    "text.jpg": (lambda p: p.write_bytes(b"a note\n"), "unreadable", "no image format"),
    "noise.tif": (lambda p: p.write_bytes(b"II*\0" + bytes(range(200))), "unreadable", "damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_why(name: str, tmp_path: Path) -> None:
    make, reason, message = REFUSED[name]
    make(tmp_path / name)
    with pytest.raises(ImageError, match=message) as caught:
        read_image(tmp_path / name)
    assert caught.value.reason == reason
    assert str(caught.value).startswith(f"{name}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", KINDS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97])
def test_a_truncated_file_is_no_picture(ending: str, share: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (80, 90, 3), dtype=np.uint8)
    path = save(tmp_path / f"a.{ending}", PIL.Image.fromarray(noise), **{"kind": "PNG", **KINDS[ending]})
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ImageError, match=r"copy it from the camera again|damaged"):
        read_image(path)


def test_a_bomb_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PNG of a few bytes that says it has 17 thousand million pixels; nothing is decoded to find out."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 131_072, 131_072, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    (tmp_path / "a.png").write_bytes(data + chunk(b"IEND", b""))
    monkeypatch.setattr("d2crealsr.opencv.decode", None)
    said = r"131072x131072 pixels, at most 200,000,000 are read; check the file, or "
    with pytest.raises(ImageError, match=said + "crop it") as caught:
        read_image(tmp_path / "a.png")
    assert caught.value.reason == "too_large"
    with pytest.raises(ImageError, match=said + "raise --max-megapixels"):  # align has that option
        read_capture(tmp_path / "a.png", convert=False)


def test_the_limit_is_the_callers_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", _image("RGB"), "PNG")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)  # Pillow has one too, which must not speak first
    assert read_capture(path, convert=False, max_pixels=56 * 40).pixels.shape == (40, 56, 3)
    assert PIL.Image.MAX_IMAGE_PIXELS == 100
    with pytest.raises(ImageError, match="at most 2,239 are read"):
        read_capture(path, convert=False, max_pixels=56 * 40 - 1)
    monkeypatch.setattr(images, "MAX_CAPTURE_SIDE", 55)
    with pytest.raises(ImageError, match="56x40 pixels, sides up to 55") as caught:
        read_capture(path, convert=False)
    assert caught.value.reason == "too_large"


# --- colour profiles ---------------------------------------------------------------------------------------------


def _encoded(linear: np.ndarray) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255


@pytest.fixture
def colourful() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_adobe_rgb_is_converted_and_named(ending: str, colourful: np.ndarray, tmp_path: Path) -> None:
    profile = matrix_profile("Adobe RGB (1998)", ADOBE_RGB, 2.19921875)
    options = {"kind": "PNG", **KINDS[ending]}
    image = PIL.Image.fromarray(colourful)
    path = save(tmp_path / f"a.{ending}", image, icc_profile=profile, exif=exif(6), **options)
    got = read_capture(path, convert=True)
    assert got.converted_from == "Adobe RGB (1998)"
    stored = np.rot90(read_image(path), 1).astype(float)  # as in the file; nothing is converted there
    linear = (stored / 255) ** 2.19921875 @ (np.linalg.inv(SRGB) @ ADOBE_RGB).T
    assert np.abs(np.rot90(_encoded(linear), -1) - got.pixels).max() <= 2
    with pytest.raises(ImageError, match=r"'Adobe RGB \(1998\)', expected sRGB.*--convert-lr-profile") as caught:
        read_capture(path, convert=False)
    assert caught.value.reason == "colour_profile"


@pytest.mark.parametrize("convert", [True, False])
def test_srgb_by_any_name_is_left_alone(convert: bool, colourful: np.ndarray, tmp_path: Path) -> None:
    profile = matrix_profile("Camera standard", SRGB)
    path = save(tmp_path / "a.png", PIL.Image.fromarray(colourful), "PNG", icc_profile=profile)
    got = read_capture(path, convert=convert)
    assert got.converted_from == ""
    assert np.array_equal(got.pixels, colourful)


def test_a_name_alone_makes_no_srgb(colourful: np.ndarray, tmp_path: Path) -> None:
    profile = matrix_profile("sRGB IEC61966-2.1", ADOBE_RGB, 2.2)
    path = save(tmp_path / "a.png", PIL.Image.fromarray(colourful), "PNG", icc_profile=profile)
    with pytest.raises(ImageError, match=r"sRGB IEC61966-2\.1"):
        read_capture(path, convert=False)


def test_a_grey_profile(tmp_path: Path) -> None:
    profile = matrix_profile("Gray Gamma 1.8", WIDE_GREY, 1.8)
    grey = np.tile(np.arange(256, dtype=np.uint8), (40, 1))
    got = read_capture(save(tmp_path / "a.png", PIL.Image.fromarray(grey), "PNG", icc_profile=profile), convert=True)
    assert got.converted_from == "Gray Gamma 1.8"
    expected = _encoded((np.arange(256) / 255) ** (461 / 256))
    assert np.abs(got.pixels[7].astype(float) - expected[:, None]).max() <= 1.5


def test_a_grey_profile_on_colours_is_refused(colourful: np.ndarray, tmp_path: Path) -> None:
    """Only its first channel would be left."""
    profile = matrix_profile("Gray Gamma 1.8", WIDE_GREY, 1.8)
    path = save(tmp_path / "a.png", PIL.Image.fromarray(colourful), "PNG", icc_profile=profile)
    with pytest.raises(ImageError, match="of grey, on a picture that has colours"):
        read_capture(path, convert=True)


def test_what_a_profile_is_called_is_plain_text(colourful: np.ndarray, tmp_path: Path) -> None:
    profile = matrix_profile('=cmd("x")\n\x1b[31m' + "long" * 40, ADOBE_RGB, 1.8)
    path = save(tmp_path / "a.png", PIL.Image.fromarray(colourful), "PNG", icc_profile=profile)
    name = read_capture(path, convert=True).converted_from
    assert name.startswith('cmd("x") [31mlong')
    assert len(name) == 80


def test_sixteen_bits_of_other_colours_are_not_quantised(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(_tiff16(np.full((40, 56, 3), 40_000, np.uint16), matrix_profile("ProPhoto", ADOBE_RGB, 1.8)))
    assert (read_image(path) == 40_000).all()
    with pytest.raises(ImageError, match=r"16 bits with the colour profile 'ProPhoto'.*8 bits only") as caught:
        read_capture(path, convert=True)
    assert caught.value.reason == "colour_profile"
    path.write_bytes(_tiff16(np.full((40, 56, 3), 40_000, np.uint16), matrix_profile("sRGB", SRGB)))
    assert (read_capture(path, convert=False).pixels == 40_000).all()


def _tiff16(pixels: np.ndarray, profile: bytes) -> bytes:
    """A little-endian RGB TIFF of 16 bits in one strip, with a colour profile."""
    height, width = pixels.shape[:2]
    strip = pixels.astype("<u2").tobytes()
    start = 8
    bits_at, profile_at = start + len(strip), start + len(strip) + 8
    directory_at = profile_at + len(profile) + len(profile) % 2
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, bits_at), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, start), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(strip)), (284, 3, 1, 1),
        (34675, 7, len(profile), profile_at),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    head = b"II*\0" + struct.pack("<I", directory_at) + strip + struct.pack("<3H", 16, 16, 16) + bytes(2) + profile
    return head.ljust(directory_at, b"\0") + directory


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (b"no profile", "cannot be used"),
        (matrix_profile("x", ADOBE_RGB, 1.8)[:150], "cannot be used"),
        (matrix_profile("x", ADOBE_RGB, 1.8).replace(b"RGB XYZ ", b"CMYKXYZ "), "of 'CMYK' colours"),
    ],
    ids=["noise", "truncated", "cmyk"],
)
def test_damaged_profiles(profile: bytes, message: str, colourful: np.ndarray, tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", PIL.Image.fromarray(colourful), "PNG", icc_profile=profile)
    with pytest.raises(ImageError, match=message) as caught:
        read_capture(path, convert=True)
    assert caught.value.reason == "colour_profile"
    assert np.array_equal(read_image(path), colourful)
