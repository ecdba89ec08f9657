"""TIFFs as tifffile writes them, in every combination: read as written, or refused with what they are."""

from __future__ import annotations

import io
import itertools
import struct
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from d2crealsr.errors import ImageError
from d2crealsr.store.images import decode_image, read_header, read_image_and_alpha
from d2crealsr.store.readers import tiffs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("imagecodecs")

SHAPE = (13, 20)
COMPRESSIONS = ("none", "lzw", "deflate", "packbits", "zstd", "lzma", "webp", "jpeg2000", "lerc", "jpegxl", "png")
NAMES = {"zstd": "Zstandard", "lzma": "LZMA", "webp": "WebP", "jpeg2000": "JPEG 2000", "lerc": "LERC"}
NAMES |= {"jpegxl": "JPEG XL", "png": "PNG"}
WITH_ARGUMENTS: dict[str, dict[str, Any]] = {
    "webp": {"lossless": True},
    "jpeg2000": {"level": 0},
    "jpegxl": {"lossless": True},
}


def samples(kind: str, channels: int) -> np.ndarray:
    dtype = np.dtype(kind)
    size = (*SHAPE, channels) if channels > 1 else SHAPE
    rng = np.random.default_rng(0)
    if dtype.kind == "f":
        return rng.random(size).astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    pixels = rng.integers(low, high, size, dtype=dtype, endpoint=True)
    if channels == 4:
        pixels[..., 3] = high
    return pixels


def written(pixels: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    order = options.pop("byteorder", "<")
    big = options.pop("bigtiff", False)
    with tifffile.TiffWriter(file, byteorder=order, bigtiff=big) as writer:
        writer.write(pixels, metadata=None, **options)
    return file.getvalue()


def variants(kind: str, colours: str) -> Iterator[tuple[str, bytes, np.ndarray]]:
    """Every way to write samples of that kind that tifffile knows: its name, the file, the picture that it shows."""
    channels = {"rgb": 3, "rgba": 4}.get(colours, 1)
    pixels = samples(kind, channels)
    shown = np.iinfo(kind).max - pixels if colours == "miniswhite" and kind[0] == "u" else pixels
    shown = np.repeat(shown[..., None], 3, axis=2) if channels == 1 else shown[..., :3]
    kept = kind in ("u1", "u2")  # the others are refused whatever else they are
    compressions, flags = (COMPRESSIONS, (False, True)) if kept else (("none", "lzw"), (False,))
    for planar, compression, tile, order, predictor, big in itertools.product(
        ("contig", "separate"), compressions, (None, (16, 16), (32, 32)), "<>", flags, flags
    ):
        if (planar == "separate" and channels == 1) or (big and (tile or compression != "lzw")):
            continue
        options: dict[str, Any] = {"photometric": "rgb" if channels > 1 else colours, "tile": tile}
        options |= {"byteorder": order, "bigtiff": big, "predictor": predictor or None}
        options |= {"planarconfig": planar} if channels > 1 else {}
        options |= {"extrasamples": ["unassalpha"]} if channels == 4 else {}
        if compression != "none":
            options |= {"compression": compression, "compressionargs": WITH_ARGUMENTS.get(compression)}
        try:
            data = written(np.moveaxis(pixels, -1, 0) if planar == "separate" else pixels, **options)
        except Exception:  # tifffile or the codec does not know this combination
            continue
        layout = f"{planar} {compression} {tile} {order} predictor={predictor} big={big}"
        yield layout, data, shown


def read_or_refused(data: bytes) -> np.ndarray | ImageError:
    try:
        return decode_image(data, "a.tif")
    except ImageError as error:
        return error


@pytest.mark.parametrize("kind", ["u1", "u2", "i1", "i2", "u4", "f2", "f4"])
@pytest.mark.parametrize("colours", ["minisblack", "miniswhite", "rgb", "rgba"])
def test_every_combination_is_read_as_written_or_refused(colours: str, kind: str) -> None:
    read, refused = 0, 0
    named = kind == "u1" or (kind == "u2" and colours != "miniswhite")  # the others are refused whatever packs them
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of codecs about what they are asked to write
        found = list(variants(kind, colours))
    for layout, data, shown in found:
        got = read_or_refused(data)
        if isinstance(got, ImageError):
            assert got.reason == "unsupported_image", layout
            expected = next((name for key, name in NAMES.items() if f" {key} " in layout), "")
            assert not named or not expected or f"the compression {expected} is not built in" in str(got), layout
            refused += 1
        else:
            assert got.dtype == shown.dtype, layout
            assert np.array_equal(got, shown), layout
            read += 1
    assert refused > 0
    assert read >= 26 or not named


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "planes of 16 bits": ({"kind": "u2", "planarconfig": "separate"}, "planes of RGB of 16 bits one after the other"),
    "white at zero": ({"kind": "u2", "photometric": "miniswhite"}, "grey with white at zero of 16 bits"),
    "12 bits": ({"kind": "u2", "photometric": "minisblack", "bitspersample": 12}, "grey of 12 bits"),
    "4 bits": ({"kind": "u1", "photometric": "minisblack", "bitspersample": 4}, "grey of 4 bits"),
    "a preview": ({"kind": "u1", "subfiletype": 1}, "a preview or a mask of another"),
    "cmyk": ({"kind": "u1", "photometric": "separated", "channels": 4}, "CMYK"),
    "sensor data": ({"kind": "u2", "photometric": "cfa"}, "unprocessed sensor data"),
    "five samples": ({"kind": "u1", "channels": 5, "extrasamples": [0, 0]}, "RGB with 5 samples a pixel"),
    "floating point": ({"kind": "f4"}, "floating point of 32 bits"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_what_it_is(name: str) -> None:
    options, message = REFUSED[name]
    options = {"photometric": "rgb", "channels": 3, **options}
    if options["photometric"] in ("minisblack", "miniswhite", "cfa"):
        options["channels"] = 1
    pixels = samples(options.pop("kind"), options.pop("channels"))
    if "bitspersample" in options:
        pixels >>= 8 * pixels.itemsize - options["bitspersample"]
    if options.get("planarconfig") == "separate":
        pixels = np.moveaxis(pixels, -1, 0)
    with pytest.raises(ImageError, match=message) as refused:
        decode_image(written(pixels, **options), "a.tif")
    assert refused.value.reason == "unsupported_image"


def test_fill_order_and_fax_are_read(tmp_path: Path) -> None:
    bits = samples("u1", 1) > 120
    for compression in ("group3", "group4", "tiff_ccitt", None):
        file = io.BytesIO()
        PIL.Image.fromarray(bits).save(file, "TIFF", compression=compression)
        assert np.array_equal(decode_image(file.getvalue(), "a.tif")[..., 0], bits * 255), compression


@pytest.mark.parametrize("colours", ["YCbCr", "RGB"])
def test_jpeg_within_a_tiff_is_read_as_tifffile_reads_it(colours: str) -> None:
    smooth = np.kron(samples("u1", 3)[:4, :6], np.ones((8, 8, 1), np.uint8))
    for tile in (None, (16, 16)):
        data = written(smooth, photometric=colours.lower(), compression="jpeg", tile=tile)
        assert np.array_equal(decode_image(data, "a.tif"), tifffile.imread(io.BytesIO(data)))


def test_what_a_fourth_sample_hides_is_refused_unless_it_is_decoded_as_written() -> None:
    pixels = samples("u2", 4)
    pixels[3, 4, 3] = 7
    data = written(pixels, photometric="rgb", extrasamples=["unassalpha"])
    with pytest.raises(ImageError, match="transparent"):
        decode_image(data, "a.tif")
    for kind, extra in (("u2", "assocalpha"), ("u1", "unassalpha"), ("u1", "assocalpha"), ("u2", "unspecified")):
        data = written(pixels.astype(kind), photometric="rgb", extrasamples=[extra])
        with pytest.raises(ImageError, match="transparent"):
            decode_image(data, "a.tif")


def test_transparency_of_sixteen_bits_is_kept_for_upscaling(tmp_path: Path) -> None:
    pixels = samples("u2", 4)
    pixels[3, 4, 3] = 7
    (tmp_path / "a.tif").write_bytes(written(pixels, photometric="rgb", extrasamples=["unassalpha"]))
    colours, alpha = read_image_and_alpha(tmp_path / "a.tif")
    assert np.array_equal(colours, pixels[..., :3])
    assert alpha is not None
    assert np.array_equal(alpha, pixels[..., 3])


def test_orientation_in_xmp_counts_where_there_is_no_tag() -> None:
    xmp = b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    pixels = samples("u1", 3)
    data = written(pixels, photometric="rgb", extratags=[(700, 1, len(xmp), xmp, True)])
    assert np.array_equal(decode_image(data, "a.tif"), np.rot90(pixels, -1))


# --- files that swell ------------------------------------------------------------------------------------------------


def directory(tags: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    return (
        struct.pack("<H", len(tags))
        + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        + struct.pack("<I", following)
    )


GREY = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
GREY += [(277, 3, 1, 1), (278, 4, 1, 8), (279, 4, 1, 64)]


def test_pages_are_counted_no_further_than_needed() -> None:
    body = directory(GREY)
    pages = b"".join(body[:-4] + struct.pack("<I", 72 + len(body) * (page + 1)) for page in range(20_000))
    with pytest.raises(ImageError, match="holds 100 pictures"):
        decode_image(b"II*\0" + struct.pack("<I", 72) + bytes(64) + pages + body, "a.tif")


def test_a_directory_that_follows_itself_is_one_picture() -> None:
    data = b"II*\0" + struct.pack("<I", 72) + bytes(range(64)) + directory(GREY, 72)
    assert read_header(data, "a.tif").pictures == 1


def test_a_tile_is_bounded_as_the_picture_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("d2crealsr.opencv.decode", None)
    tags = [tag for tag in GREY if tag[0] not in (273, 278, 279)]
    tags += [(322, 4, 1, 16_000), (323, 4, 1, 16_000), (324, 4, 1, 8), (325, 4, 1, 64)]
    data = b"II*\0" + struct.pack("<I", 72) + bytes(64) + directory(tags)
    with pytest.raises(ImageError, match="a tile of 256,000,000 pixels, at most 200,000,000") as refused:
        decode_image(data, "a.tif")
    assert refused.value.reason == "too_large"


def test_tags_that_all_name_the_whole_file_are_damaged() -> None:
    """A thousand tags of a megabyte each in a file of one: OpenCV held a gigabyte."""
    many = GREY + [(1000 + tag, 7, 1_000_000, 0) for tag in range(1000)]
    data = b"II*\0" + struct.pack("<I", 72) + bytes(64) + directory(many) + bytes(1_000_000)
    with pytest.raises(ImageError, match="damaged"):
        decode_image(data, "a.tif")


def test_an_exif_directory_beyond_its_end_has_no_orientation() -> None:
    assert tiffs.orientation_in_exif(b"II*\0" + struct.pack("<I", 4_000_000_000)) == 0
    assert tiffs.orientation_in_exif(b"") == 0


@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("tile", [(16, 16), (32, 48), (48, 32), (64, 64)])
def test_tiles_that_the_decoder_does_not_take_are_not_called_damaged(tile: tuple[int, int], kind: str) -> None:
    pixels = samples(kind, 3)
    got = read_or_refused(written(pixels, photometric="rgb", tile=tile))
    if kind == "u1" and tile != (64, 64):
        assert "tiles whose bytes are no multiple of 1,024" in str(got)
    else:
        assert np.array_equal(got, pixels)
