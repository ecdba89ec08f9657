"""Each layout has the files, names and lists that its readers expect."""

from __future__ import annotations

import csv
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import PIL.Image
import pytest

from d2crealsr.dataset.exports import PAIR_EXPORTS
from d2crealsr.dataset.exports.export_pairs import export_pairs
from d2crealsr.errors import LayoutError, UsageError
from d2crealsr.store.files import sha256_of
from d2crealsr.store.images import read_image, read_size
from d2crealsr.store.readers.pngs import with_chunk
from tests.icc import ADOBE_RGB, matrix_profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dataset.exports.conftest import PairsFolder

LAYOUTS = {layout.name: layout for layout in PAIR_EXPORTS}


def exported(pairs: Path, layout: str, **options: Any) -> Path:
    export_pairs(pairs, pairs.parent / layout, layout=LAYOUTS[layout], **options)
    return pairs.parent / layout


class MetaInfo(NamedTuple):
    name: str
    height: int
    width: int
    channels: int
    compression: int


def meta_info(path: Path) -> list[MetaInfo]:
    """Read a list by BasicSR's description: "1) image name (with extension), 2) image shape, and 3) compression level,
    separated by a white space", as in ``baboon.png (480,500,3) 1``.
    """
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    found = []
    for line in text.splitlines():
        name, shape, compression = line.split(" ")
        match = re.fullmatch(r"\((\d+),(\d+),(\d+)\)", shape)
        assert match is not None, line
        found.append(MetaInfo(name, int(match[1]), int(match[2]), int(match[3]), int(compression)))
    return found


@pytest.mark.parametrize("sub_images", [None, 12])
def test_meta_info_is_as_basicsr_describes_it(pairs: Path, sub_images: int | None) -> None:
    out = exported(pairs, "basicsr", sub_images=sub_images)
    for split, scenes in (("train", ["0001", "käse"]), ("test", ["b_s001"])):
        listed = meta_info(out / split / "meta_info.txt")
        assert sorted({line.name for line in listed}) == sorted(p.name for p in (out / split / "HR").iterdir())
        assert sorted(p.name for p in (out / split / "LR").iterdir()) == sorted(line.name for line in listed)
        assert {Path(line.name).stem.split("_s")[0] for line in listed} == {scene.split("_s")[0] for scene in scenes}
        for line in listed:
            assert read_size(out / split / "HR" / line.name) == (line.width, line.height)
            assert read_size(out / split / "LR" / line.name) == (line.width // 2, line.height // 2)
            assert (line.channels, 0 <= line.compression <= 9) == (3, True)


def test_sub_images_cover_the_pair_and_overlap_by_half(pairs: Path) -> None:
    out = exported(pairs, "basicsr", sub_images=12)
    names = [line.name for line in meta_info(out / "train" / "meta_info.txt") if line.name.startswith("0001")]
    assert names == [f"0001_s{number:03d}.png" for number in range(1, 16)]
    hr, lr = (read_image(pairs / side / "0001.png") for side in ("hr", "lr"))
    corners = [(y, x) for y in (0, 3, 6) for x in (0, 3, 6, 9, 10)]  # in LR px; the last column at the end
    for name, (y, x) in zip(names, corners, strict=True):
        np.testing.assert_array_equal(read_image(out / "train/LR" / name), lr[y : y + 6, x : x + 6])
        large = hr[2 * y : 2 * y + 12, 2 * x : 2 * x + 12]
        np.testing.assert_array_equal(read_image(out / "train/HR" / name), large)


def test_sub_images_keep_the_colour_profile_of_the_pair(folder: PairsFolder) -> None:
    folder.add("0001", "train")
    profile, hr = matrix_profile("mine", ADOBE_RGB, 1.8), folder.path / "hr/0001.png"
    hr.write_bytes(with_chunk(hr.read_bytes(), b"iCCP", b"icc\0\0" + zlib.compress(profile)))
    folder.rows["0001"]["hr_sha256"] = sha256_of(hr)
    pairs = folder.write(settings={"scale": 2, "crop": "max"})
    out = exported(pairs, "basicsr", sub_images=12)
    for path in (out / "train/HR").iterdir():
        with PIL.Image.open(path) as written:
            assert written.info["icc_profile"] == profile


def test_a_pair_smaller_than_a_sub_image_stays_whole(pairs: Path) -> None:
    out = exported(pairs, "basicsr", sub_images=100)
    np.testing.assert_array_equal(read_image(out / "train/HR/0001_s001.png"), read_image(pairs / "hr/0001.png"))
    assert len(meta_info(out / "train" / "meta_info.txt")) == 2


@pytest.mark.parametrize(
    ("layout", "hr", "lr"),
    [
        ("basicsr", "train/HR/0001.png", "train/LR/0001.png"),
        ("realsr", "Train/2/0001_HR.png", "Train/2/0001_LR2.png"),
        ("drealsr", "train_HR/0001_x2.png", "train_LR/0001_x1.png"),
        ("div2k", "DIV2K_train_HR/0001.png", "DIV2K_train_LR_unknown/X2/0001x2.png"),
        ("d2c-list", "hr/0001.png", "lr/0001.png"),
        ("imagefolder", "train/hr/0001.png", "train/lr/0001.png"),
    ],
)
def test_accepted_pairs_go_out_in_their_splits(
    pairs: Path, layout: str, hr: str, lr: str, content: Callable[[Path], dict[str, bytes]]
) -> None:
    files = content(exported(pairs, layout))
    assert files[hr] == (pairs / "hr/0001.png").read_bytes()
    assert files[lr] == (pairs / "lr/0001.png").read_bytes()
    images = sorted(name for name in files if name.endswith(".png"))
    assert len(images) == 6, "neither the rejected scene nor the one that was left out"
    if layout != "d2c-list":
        other = {"div2k": "valid"}.get(layout, "test")
        assert sum(other in name.lower() for name in images) == 2


def test_a_list_names_absolute_paths(pairs: Path) -> None:
    out = exported(pairs, "d2c-list")
    lines = [line.split("\t") for line in (out / "train.txt").read_text(encoding="utf-8").splitlines()]
    assert lines == [[str(out / f"{side}/{scene}.png") for side in ("lr", "hr")] for scene in ("0001", "käse")]
    assert len((out / "test.txt").read_text(encoding="utf-8").splitlines()) == 1


def test_pairs_without_a_split_have_a_place(folder: Any, content: Callable[[Path], dict[str, bytes]]) -> None:
    folder.add("a")
    pairs = folder.write()
    places = {
        "basicsr": {"HR/a.png", "LR/a.png", "meta_info.txt"},
        "realsr": {"2/a_HR.png", "2/a_LR2.png"},
        "drealsr": {"HR/a_x2.png", "LR/a_x1.png"},
        "div2k": {"DIV2K_HR/a.png", "DIV2K_LR_unknown/X2/ax2.png"},
        "d2c-list": {"hr/a.png", "lr/a.png", "pairs.txt"},
        "imagefolder": {"hr/a.png", "lr/a.png", "metadata.csv", "README.md"},
    }
    assert {layout: set(content(exported(pairs, layout))) for layout in LAYOUTS} == places
    folder.add("b", "train")
    folder.write()
    assert "unsplit/hr/a.png" in content(exported(pairs, "imagefolder"))


def test_the_metadata_name_both_images(pairs: Path) -> None:
    out = exported(pairs, "imagefolder")
    with (out / "test" / "metadata.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["group"] == "b"
    assert row["scale"] == "2"
    for side in ("lr", "hr"):
        assert (out / "test" / row[f"{side}_file_name"]).read_bytes() == (pairs / side / "b_s001.png").read_bytes()


def test_the_card_says_licence_making_and_errors(pairs: Path) -> None:
    card = (exported(pairs, "imagefolder") / "README.md").read_text(encoding="utf-8")
    head = card.split("---\n")[1]
    assert "license: cc-by-4.0\n" in head
    assert '  - split: test\n    path: "test/**"\n' in head
    assert "\n## Licence\n\nCC BY 4.0\n" in card
    assert "3 pairs were made by d2crealsr 9.9 from two captures" in card
    assert "Of 5 scenes, 3 are in this dataset." in card
    assert "| crop | max |" in card
    assert re.search(r"\| train \| `residual_p95_hr_px`[^|]*\| 2 \| 0\.350 \| 0\.400 \|", card)
    assert re.search(r"\| test \| `sigma_hr_px`[^|]*\| 0 \|  \|  \|", card)


def test_a_licence_of_another_name_is_other(folder: Any) -> None:
    folder.add("a")
    card = (exported(folder.write(licence='Mine: "all"\nrights'), "imagefolder") / "README.md").read_text("utf-8")
    assert 'license: other\nlicense_name: "Mine: \\"all\\" rights"\n' in card


def test_what_a_layout_cannot_hold_is_refused(folder: Any) -> None:
    folder.add("two words")
    pairs = folder.write()
    with pytest.raises(LayoutError, match=r"'two words' has a space, at which readers of meta_info\.txt end a name"):
        exported(pairs, "basicsr")
    with pytest.raises(UsageError, match="--sub-images: layout realsr has none"):
        exported(pairs, "realsr", sub_images=8)
    folder.rows = {}
    folder.add("a")
    folder.write()
    with pytest.raises(UsageError, match="got 7 HR px, expected a multiple of the scale, 2"):
        exported(pairs, "basicsr", sub_images=7)
    folder.rows["a"]["scale"] = 1
    folder.write()
    with pytest.raises(LayoutError, match="scale 1 have no place in drealsr"):
        exported(pairs, "drealsr")
    assert [path for path in pairs.parent.iterdir() if path != pairs] == []
