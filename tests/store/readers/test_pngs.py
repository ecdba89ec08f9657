"""PNG chunks that say what the pixels mean: obeyed like a colour profile, in the standard's order; orientation too."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest

from d2crealsr.errors import ImageError
from d2crealsr.store.images import decode_image, read_capture, read_image_and_alpha, read_size
from d2crealsr.store.readers import pngs
from tests.icc import ADOBE_RGB, SRGB, matrix_profile

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 28, 3), dtype=np.uint8)
DISPLAY_P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24119, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
"""XYZ (D50) of Display P3's primaries, as Apple's profile has them."""

SRGB_PLACES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
ADOBE_PLACES = (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*chunks: tuple[bytes, bytes], pixels: np.ndarray = PIXELS) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    data = file.getvalue()
    return data[:33] + b"".join(chunk(*one) for one in chunks) + data[33:]


def gama(value: int) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", value)


def chrm(places: tuple[int, ...]) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *places)


def iccp(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"any\0\0" + zlib.compress(profile)


CICP_P3 = (b"cICP", bytes([12, 13, 0, 1]))
CICP_SRGB = (b"cICP", bytes([1, 13, 0, 1]))
SRGB_CHUNK = (b"sRGB", b"\0")
ADOBE = iccp(matrix_profile("Adobe RGB (1998)", ADOBE_RGB, 2.2))

COLOURS: dict[str, tuple[list[tuple[bytes, bytes]], str]] = {
    "none": ([], ""),
    "sRGB": ([SRGB_CHUNK], ""),
    "gamma of sRGB": ([gama(45455)], ""),
    "gamma and primaries of sRGB": ([gama(45455), chrm(SRGB_PLACES)], ""),
    "primaries of sRGB": ([chrm(SRGB_PLACES)], ""),
    "Display P3 by cICP": ([CICP_P3], "Display P3"),
    "sRGB by cICP": ([CICP_SRGB], ""),
    "BT.2020": ([(b"cICP", bytes([9, 14, 0, 1]))], "BT.2020"),
    "BT.2020 with sRGB's curve": ([(b"cICP", bytes([9, 13, 0, 1]))], "BT.2020 sRGB curve"),
    "Adobe RGB by numbers": ([gama(45455), chrm(ADOBE_PLACES)], "PNG cHRM gAMA 0.45455"),
    "linear": ([gama(100_000)], "PNG gAMA 1"),
    "gamma 1.8": ([gama(55556)], "PNG gAMA 0.55556"),
    "other primaries alone": ([chrm(ADOBE_PLACES)], "PNG cHRM gAMA 0.45455"),
    "cICP before iCCP": ([CICP_P3, ADOBE], "Display P3"),
    "cICP of sRGB before iCCP": ([ADOBE, CICP_SRGB], ""),
    "iCCP before sRGB": ([SRGB_CHUNK, ADOBE], "Adobe RGB (1998)"),
    "iCCP of sRGB before gAMA": ([gama(100_000), iccp(matrix_profile("mine", SRGB))], ""),
    "sRGB before gAMA and cHRM": ([gama(100_000), chrm(ADOBE_PLACES), SRGB_CHUNK], ""),
    "cICP that says nothing": ([(b"cICP", bytes([2, 2, 0, 1])), ADOBE], "Adobe RGB (1998)"),
}


@pytest.mark.parametrize("name", COLOURS)
def test_the_colours_are_those_of_the_first_chunk_in_the_standards_order(name: str, tmp_path: Path) -> None:
    chunks, called = COLOURS[name]
    path = tmp_path / "a.png"
    path.write_bytes(png(*chunks))
    got = read_capture(path, convert=True)
    assert got.converted_from == called
    assert np.array_equal(got.pixels, PIXELS) == (not called)
    if called:
        with pytest.raises(ImageError, match="expected sRGB") as refused:
            read_capture(path, convert=False)
        assert refused.value.reason == "colour_profile"


@pytest.mark.parametrize(
    ("chunks", "profile"),
    [
        ([CICP_P3], matrix_profile("Display P3", DISPLAY_P3)),
        ([gama(45455), chrm(ADOBE_PLACES)], matrix_profile("Adobe", ADOBE_RGB, 2.2)),
        ([gama(55556)], matrix_profile("1.8", SRGB, 1.8)),
    ],
    ids=["Display P3", "Adobe RGB", "gamma 1.8"],
)
def test_numbers_convert_as_the_published_profile_does(chunks: list[tuple[bytes, bytes]], profile: bytes) -> None:
    by_numbers = decode_image(png(*chunks), "a.png", convert=True)
    by_profile = decode_image(png(iccp(profile)), "a.png", convert=True)
    assert np.abs(by_numbers.astype(int) - by_profile).max() <= 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (bytes([9, 16, 0, 1]), "cICP chunk 9, 16, 0, 1"),
        (bytes([9, 18, 0, 1]), "cICP chunk 9, 18"),
        (bytes([1, 13, 0, 0]), "cICP chunk 1, 13, 0, 0"),
        (bytes([1, 13, 1, 1]), "cICP chunk 1, 13, 1, 1"),
        (bytes([99, 13, 0, 1]), "cICP chunk 99"),
    ],
    ids=["PQ", "HLG", "narrow range", "YCbCr", "unknown"],
)
def test_colours_that_cannot_be_converted_are_named(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png((b"cICP", content)))
    with pytest.raises(ImageError, match=f"{why}.*cannot be converted to sRGB") as refused:
        read_capture(path, convert=True)
    assert refused.value.reason == "colour_profile"
    assert read_size(path) == (28, 20)


@pytest.mark.parametrize("numbers", [[gama(0)], [chrm((0,) * 8)], [chrm((1, 1) * 4)], [chrm((2**31,) * 8)]])
def test_numbers_that_are_no_colours_are_named(numbers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(ImageError) as refused:
        decode_image(png(*numbers), "a.png", convert=True)
    assert refused.value.reason == "colour_profile"


def test_a_long_profile_is_read_as_a_short_one() -> None:
    """Pillow refuses to open a PNG with a profile of more than a megabyte."""
    profile = matrix_profile("mine", SRGB)
    longer = struct.pack(">I", len(profile) + 2_000_000) + profile[4:] + bytes(2_000_000)
    assert np.array_equal(decode_image(png(iccp(longer)), "a.png", convert=False), PIXELS)


def test_a_profile_that_unpacks_to_more_than_a_profile_has_is_refused() -> None:
    packed = zlib.compress(bytes(17 << 20), 9)
    with pytest.raises(ImageError, match="profile cannot be used"):
        decode_image(png((b"iCCP", b"any\0\0" + packed)), "a.png", convert=False)


def exif(orientation: int) -> bytes:
    flags = PIL.Image.Exif()
    flags[0x0112] = orientation
    return flags.tobytes()


def raw_profile(kind: bytes, data: bytes) -> tuple[bytes, bytes]:
    return b"Raw profile type " + kind, b"\n" + kind + b"\n%8d\n" % len(data) + data.hex().encode() + b"\n"


XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'
ELEMENT = b"<x:xmpmeta><tiff:Orientation>%d</tiff:Orientation></x:xmpmeta>"


def zipped(keyword: bytes, text: bytes) -> tuple[bytes, bytes]:
    return b"zTXt", keyword + b"\0\0" + zlib.compress(text)


TURNED = {
    "eXIf": (b"eXIf", exif(6)[6:]),
    "tEXt": (b"tEXt", b"\0".join(raw_profile(b"exif", exif(6)))),
    "zTXt": zipped(*raw_profile(b"exif", exif(6))),
    "APP1": zipped(*raw_profile(b"APP1", exif(6))),
    "XMP": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP % 6),
    "XMP, packed": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(ELEMENT % 6)),
}


@pytest.mark.parametrize("name", TURNED)
def test_orientation_in_text_counts_as_in_exif(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(TURNED[name]))
    assert np.array_equal(read_capture(tmp_path / "a.png", convert=False).pixels, np.rot90(PIXELS, -1))
    assert read_size(tmp_path / "a.png") == (20, 28)


def test_exif_comes_before_xmp() -> None:
    data = png((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP % 6), (b"eXIf", exif(3)[6:]))
    assert np.array_equal(decode_image(data, "a.png"), np.rot90(PIXELS, 2))


@pytest.mark.parametrize("text", [b"", b"\nexif\n 5\nzz", b"\nexif", b"\xff\xfe"])
def test_damaged_text_turns_nothing(text: bytes) -> None:
    assert np.array_equal(decode_image(png((b"tEXt", b"Raw profile type exif\0" + text)), "a.png"), PIXELS)


def test_texts_are_never_unpacked_by_the_decoder() -> None:
    """A thousand texts of eight megabytes each, a few kilobytes in the file, would be held all at once."""
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 20)))
    plain = png()
    late = plain[:-12] + text + plain[-12:]
    assert pngs.without_texts(plain[:33] + 3 * text + plain[33:]) == pngs.without_texts(late) == plain
    assert pngs.without_texts(plain) is plain
    assert np.array_equal(decode_image(late, "a.png"), PIXELS)


def test_the_libraries_print_nothing_of_their_own(capfd: pytest.CaptureFixture[str]) -> None:
    file = io.BytesIO()
    PIL.Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(file, "PNG", compress_level=0)
    whole = file.getvalue()
    short = struct.pack(">I", 1) + b"gAMA\0" + struct.pack(">I", zlib.crc32(b"gAMA\0"))
    decode_image(whole[:33] + short + whole[33:], "a.png")
    with pytest.raises(ImageError, match="truncated"):
        decode_image(whole[:2000], "a.png")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("pixels", "level", "at"),
    [
        (np.arange(20, dtype=np.uint8).reshape(4, 5), b"\0\7", (1, 2)),
        (300 + np.arange(20, dtype=np.uint16).reshape(4, 5), struct.pack(">H", 307), (1, 2)),
    ],
)
def test_grey_with_a_transparent_level_is_transparent_there(pixels, level, at, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png((b"tRNS", level), pixels=pixels))
    colours, alpha = read_image_and_alpha(path)
    assert alpha is not None
    assert np.argwhere(alpha == 0).tolist() == [list(at)]
    assert np.delete(alpha.ravel(), 7).min() == np.iinfo(pixels.dtype).max
    assert (colours == pixels[..., None]).all()
    with pytest.raises(ImageError, match="transparent"):
        decode_image(path.read_bytes(), "a.png")


def test_a_transparent_level_of_few_bits_is_scaled_like_the_pixels(tmp_path):
    rows = [b"\0" + bytes(byte for byte in row) for row in ((0x01, 0x23), (0x45, 0x67))]  # levels 0 to 7 of 15
    data = pngs.SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 2, 4, 0, 0, 0, 0))
    data += chunk(b"tRNS", b"\0\3") + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(data)
    colours, alpha = read_image_and_alpha(tmp_path / "a.png")
    assert colours[0, 3].tolist() == [51] * 3
    assert np.argwhere(alpha == 0).tolist() == [[0, 3]]
