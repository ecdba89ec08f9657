"""The table of readers: how one is chosen, and what is said of one without its library or of wrong samples."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from d2crealsr.errors import ImageError
from d2crealsr.store import readers
from d2crealsr.store.images import IMAGE_SUFFIXES, read_capture, read_image, read_size
from d2crealsr.store.readers import READERS, Header, Reader

PIXELS = np.arange(32 * 40 * 3, dtype=np.uint16).reshape(32, 40, 3)


def needs_a_library(_anything: object) -> Header:
    raise ModuleNotFoundError("No module named 'toylib'")


TOY = Reader(
    name="Toy",
    suffixes=(".toy",),
    begins=lambda start: start.startswith(b"TOY1"),
    header=lambda _file: Header(40, 32, "RGB", 16),
    decode=lambda _data: PIXELS,
    linear=True,
    extra="toy",
    library="toylib",
)


def read_by(monkeypatch: pytest.MonkeyPatch, reader: Reader, folder: Path) -> Path:
    monkeypatch.setattr(readers, "READERS", (*READERS, reader))
    (folder / "a.png").write_bytes(b"TOY1 and more")
    return folder / "a.png"


def test_no_two_readers_claim_an_ending() -> None:
    assert len(set(IMAGE_SUFFIXES)) == len(IMAGE_SUFFIXES)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in IMAGE_SUFFIXES)


def test_a_reader_is_chosen_by_content_and_its_values_are_as_it_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = read_by(monkeypatch, TOY, tmp_path)
    assert read_size(path) == (40, 32)
    assert np.array_equal(read_image(path), PIXELS)
    assert read_capture(path, convert=False).tone == "linear"
    path = read_by(monkeypatch, dataclasses.replace(TOY, linear=False), tmp_path)
    assert read_capture(path, convert=False).tone == ""


@pytest.mark.parametrize("part", ["header", "decode"])
def test_a_missing_library_is_one_line_that_names_its_extra(
    part: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = read_by(monkeypatch, dataclasses.replace(TOY, **{part: needs_a_library}), tmp_path)
    for read in (read_image, read_size) if part == "header" else (read_image,):
        with pytest.raises(ImageError) as caught:
            read(path)
        assert str(caught.value) == "a.png is Toy, read by toylib; install it with pip install '.[toy]' in the checkout"
        assert caught.value.reason == "extra_missing"


@pytest.mark.parametrize(
    ("decoded", "message"),
    [
        (PIXELS.astype(np.uint8), "decoded to 40x32 pixels of 8 bits, its header says otherwise"),
        (PIXELS[:8], "decoded to 40x8 pixels of 16 bits, its header says otherwise"),
        (PIXELS.astype(np.float32), "samples are float32"),
    ],
)
def test_samples_that_are_not_what_the_header_said_are_refused(
    decoded: np.ndarray, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = read_by(monkeypatch, dataclasses.replace(TOY, decode=lambda _data: decoded), tmp_path)
    with pytest.raises(ImageError, match=message):
        read_image(path)


def test_what_a_reader_refuses_is_not_decoded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refusing = dataclasses.replace(TOY, refuses=lambda _data: "a toy of many parts", decode=needs_a_library)
    with pytest.raises(ImageError, match=r"a\.png: a toy of many parts") as caught:
        read_image(read_by(monkeypatch, refusing, tmp_path))
    assert caught.value.reason == "unsupported_image"
