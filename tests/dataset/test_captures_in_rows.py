"""What rows say of the captures, and that published pairs carry their colours and nothing else of them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from d2crealsr import opencv
from d2crealsr.dataset.build import build
from d2crealsr.store.files import sha256_of
from d2crealsr.store.images import read_image
from d2crealsr.store.ledger import Ledger
from tests.dataset.conftest import capture
from tests.dataset.folders import content, manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    Aligner = Callable[..., Any]

_EXIF, _GPS = 0x8769, 0x8825
CAMERA = {"camera": "Canon EOS R6", "lens": "RF 24", "exposure_s": 0.004, "f_number": 8.0, "iso": 200}


def shot(path: Path, number: int, focal_mm: float) -> None:
    """A capture with what a camera writes, of which some is personal."""
    exif = PIL.Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x013B] = "Canon", "EOS R6", "Owner Name"
    exif.get_ifd(_EXIF).update(
        {0x829A: 0.004, 0x829D: 8.0, 0x8827: 200, 0x920A: focal_mm, 0xA431: "SERIAL-7", 0xA434: "RF 24"}
    )
    exif.get_ifd(_GPS).update({1: "N", 2: (52.0, 30.0, 0.0), 3: "W", 4: (13.0, 24.0, 0.0)})
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(capture(number, path.parent.name)).save(path, quality=95, exif=exif)


@pytest.fixture
def shoot(tmp_path: Path) -> Path:
    shot(tmp_path / "raw/hr/a.jpg", 1, 105.0)
    shot(tmp_path / "raw/lr/a.jpg", 1, 24.0)
    return tmp_path / "raw"


def chunks(path: Path) -> list[tuple[bytes, bytes]]:
    """Kind and content of the chunks of a PNG but for the pixels."""
    data, at, found = path.read_bytes(), 8, []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return [(kind, body) for kind, body in found if kind not in (b"IHDR", b"IDAT", b"IEND")]


def test_a_row_names_camera_lens_and_exposure_and_nothing_personal(
    shoot: Path, tmp_path: Path, aligner: Aligner
) -> None:
    build(shoot, tmp_path / "pairs", align=aligner)
    row = manifest(tmp_path / "pairs").iloc[0]
    for side, focal_mm in (("hr", 105.0), ("lr", 24.0)):
        assert {name: row[f"{side}_{name}"] for name in (*CAMERA, "focal_mm")} == CAMERA | {"focal_mm": focal_mm}
    assert (row["hr_tone"], row["lr_tone"]) == ("srgb", "srgb")
    for name, data in content(tmp_path / "pairs").items():
        for personal in (b"SERIAL-7", b"Owner Name", b"GPS", b"Exif"):
            assert personal not in data, name


def test_a_published_png_says_that_it_is_srgb_and_nothing_more(shoot: Path, tmp_path: Path, aligner: Aligner) -> None:
    build(shoot, tmp_path / "pairs", align=aligner)
    for side in ("hr", "lr"):
        path = tmp_path / "pairs" / side / "a.png"
        assert chunks(path) == [(b"sRGB", b"\0")]
        with PIL.Image.open(path) as image:
            assert image.info == {"srgb": 0}
    lr = read_image(shoot / "lr/a.jpg")[2:6, 1:7]
    assert np.array_equal(read_image(tmp_path / "pairs/lr/a.png"), lr)


def test_pairs_without_the_chunk_and_rows_without_a_camera_stay_until_they_are_asked_for(
    shoot: Path, tmp_path: Path, aligner: Aligner
) -> None:
    """As an earlier version left them: plain files, and rows that lack the columns."""
    out = tmp_path / "pairs"
    build(shoot, out, align=aligner)
    cells: dict[str, Any] = {f"{side}_{name}": "" for side in ("hr", "lr") for name in ("camera", "lens")}
    for side in ("hr", "lr"):
        path = out / side / "a.png"
        path.write_bytes(opencv.encode_png(read_image(path)))
        cells |= {f"{side}_sha256": sha256_of(path), f"{side}_iso": None, f"{side}_tone": ""}
    ledger = Ledger.load(out)
    ledger.update({"scene": "a", **cells})
    ledger.merge()
    before = {name: data for name, data in content(out).items() if name.endswith(".png")}
    assert build(shoot, out, align=aligner).unchanged == 1
    assert {name: data for name, data in content(out).items() if name.endswith(".png")} == before
    row = manifest(out).iloc[0]
    assert (row["hr_camera"], row["lr_iso"], row["hr_tone"]) == ("Canon EOS R6", 200, "")
    build(shoot, out, align=aligner, force=True)
    assert chunks(out / "lr/a.png") == [(b"sRGB", b"\0")]
