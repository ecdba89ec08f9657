"""Which files of a folder are a pair, in every layout, and what is said when it is none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from d2crealsr.errors import LayoutError, TableError
from d2crealsr.store.images import write_image
from d2crealsr.store.layouts import find_pair_folder, size_ratio

if TYPE_CHECKING:
    from collections.abc import Iterable


def touch(root: Path, names: Iterable[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def picture(path: Path, width: int, height: int) -> None:
    write_image(path, np.zeros((height, width, 3), np.uint8))


def found(root: Path, scale: int | None = None) -> dict[str, tuple[str, str, int | None]]:
    return {
        pair.scene: (pair.hr.relative_to(root).as_posix(), pair.lr.relative_to(root).as_posix(), pair.nominal)
        for pair in find_pair_folder(root, scale=scale).pairs
    }


def manifest(root: Path, rows: str) -> None:
    (root / "manifest.csv").write_text("scene,status,split,group,scale,hr_path,lr_path\n" + rows, encoding="utf-8")


def test_pairs_format(tmp_path: Path) -> None:
    manifest(tmp_path, "0042,accepted,train,card,8,hr/0042.png,lr/0042.png\nbad,rejected,,card,8,,\n")
    (pair,) = find_pair_folder(tmp_path).pairs
    assert (pair.scene, pair.group, pair.split, pair.nominal) == ("0042", "card", "train", 8)
    assert (pair.hr, pair.lr) == (tmp_path / "hr/0042.png", tmp_path / "lr/0042.png")
    with pytest.raises(LayoutError, match="no pairs of scale 4, only of 8; give --scale 8"):
        find_pair_folder(tmp_path, scale=4)
    manifest(tmp_path, "bad,rejected,,card,8,,\n")
    with pytest.raises(LayoutError, match="of 1 scene in the manifest none is accepted"):
        find_pair_folder(tmp_path)


def test_pairs_that_a_reviewer_left_out_are_marked(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    header = "scene,status,split,group,scale,hr_path,lr_path,left_out_of\n"
    path.write_text(f"{header}a,accepted,,card,8,hr/a.png,lr/a.png,train\nb,accepted,test,card,8,hr/b.png,lr/b.png,\n")
    assert [(pair.scene, pair.left_out) for pair in find_pair_folder(tmp_path).pairs] == [("a", True), ("b", False)]
    path.write_text(path.read_text().replace("train", "trian"))
    with pytest.raises(TableError, match="column left_out_of: got 'trian'"):
        find_pair_folder(tmp_path)


def test_realsr(tmp_path: Path) -> None:
    touch(tmp_path, ["Canon_001_HR.png", "Canon_001_LR4.png", "Canon_002_HR.png", "Nikon_002_LR4.png", "notes.txt"])
    assert found(tmp_path) == {"Canon_001": ("Canon_001_HR.png", "Canon_001_LR4.png", 4)}
    result = find_pair_folder(tmp_path)
    assert result.layout == "RealSR"
    assert [path.name for path in result.unpaired] == ["Canon_002_HR.png", "Nikon_002_LR4.png"]


def test_realsr_as_it_is_published_is_of_scale_1_or_of_the_scale_asked_for(tmp_path: Path) -> None:
    for name, size in (("HR", (30, 50)), ("LR4", (30, 50)), ("LR2", (15, 25))):
        write_image(tmp_path / "Canon" / "Train" / f"Canon_001_{name}.png", np.zeros((*size, 3), np.uint8))
    result = find_pair_folder(tmp_path)
    assert [(pair.nominal, pair.at_hr_size) for pair in result.pairs] == [(2, False), (4, True)]
    assert result.notes == ("LR has HR's size in 1 of 2 pairs, which are read at scale 1",)
    assert [pair.nominal for pair in find_pair_folder(tmp_path, scale=1).pairs] == [4]
    assert find_pair_folder(tmp_path, scale=2).notes == ()
    (note,) = find_pair_folder(tmp_path, scale=4).notes
    assert "1 of 1 pairs: it is reduced by 4 (means of 4x4 pixels), and HR is cropped to a multiple of 4" in note


def test_realsr_with_several_scales_and_folders(tmp_path: Path) -> None:
    for folder in ("Canon/Train", "Canon/Test"):
        touch(tmp_path / folder, ["Canon_001_HR.png", "Canon_001_LR2.png", "Canon_001_LR4.png"])
    assert sorted(found(tmp_path)) == [
        "Canon/Test/Canon_001_x2",
        "Canon/Test/Canon_001_x4",
        "Canon/Train/Canon_001_x2",
        "Canon/Train/Canon_001_x4",
    ]
    assert sorted(found(tmp_path, scale=4)) == ["Canon/Test/Canon_001", "Canon/Train/Canon_001"]


@pytest.mark.parametrize(("hr", "lr"), [("x4", "x1"), ("x1", "x4")])
def test_drealsr_takes_the_larger_image_for_hr(tmp_path: Path, hr: str, lr: str) -> None:
    picture(tmp_path / f"Canon_10_{hr}.png", 40, 32)
    picture(tmp_path / f"Canon_10_{lr}.png", 10, 8)
    assert found(tmp_path) == {"Canon_10": (f"Canon_10_{hr}.png", f"Canon_10_{lr}.png", 4)}
    assert find_pair_folder(tmp_path).layout == "DRealSR"


def test_drealsr_in_folders_and_of_one_size(tmp_path: Path) -> None:
    for split in ("train", "test"):
        picture(tmp_path / f"{split}_HR" / "sony_1_x1.png", 20, 16)
        picture(tmp_path / f"{split}_LR" / "sony_1_x4.png", 20, 16)
    assert found(tmp_path) == {
        "test_LR/sony_1": ("test_HR/sony_1_x1.png", "test_LR/sony_1_x4.png", 4),
        "train_LR/sony_1": ("train_HR/sony_1_x1.png", "train_LR/sony_1_x4.png", 4),
    }


def test_drealsr_patches_belong_to_their_picture(tmp_path: Path) -> None:
    for patch in (1, 2):
        picture(tmp_path / "train_HR" / f"DSC_1454_x4_{patch}.png", 20, 16)
        picture(tmp_path / "train_LR" / f"DSC_1454_x1_{patch}.png", 5, 4)
    assert found(tmp_path) == {
        f"DSC_1454_{k}": (f"train_HR/DSC_1454_x4_{k}.png", f"train_LR/DSC_1454_x1_{k}.png", 4) for k in (1, 2)
    }
    assert {pair.group for pair in find_pair_folder(tmp_path).pairs} == {"DSC_1454"}
    (tmp_path / "train_HR" / "DSC_1454_x4_2.png").unlink()
    assert [path.name for path in find_pair_folder(tmp_path).without_hr] == ["DSC_1454_x1_2.png"]


def test_city100(tmp_path: Path) -> None:
    touch(tmp_path, ["001H.PNG", "001L.PNG", "002H.PNG", "LICENSE", ".003H.PNG", ".003L.PNG"])
    result = find_pair_folder(tmp_path)
    assert found(tmp_path) == {"001": ("001H.PNG", "001L.PNG", None)}
    assert (result.layout, [path.name for path in result.unpaired]) == ("City100", ["002H.PNG"])


@pytest.mark.parametrize(("hr", "lr"), [("HR", "LR"), ("gt", "lq"), ("train_HR", "train_LRx4"), ("hr_sub", "lr_sub")])
def test_two_folders(tmp_path: Path, hr: str, lr: str) -> None:
    touch(tmp_path, [f"{hr}/a.png", f"{hr}/b.png", f"{lr}/a.png", f"{lr}/b.jpg", f"{lr}/c.png"])
    result = find_pair_folder(tmp_path)
    nominal = 4 if lr.endswith("x4") else None
    assert found(tmp_path) == {
        "a": (f"{hr}/a.png", f"{lr}/a.png", nominal),
        "b": (f"{hr}/b.png", f"{lr}/b.jpg", nominal),
    }
    assert (result.layout, [path.name for path in result.unpaired]) == ("folders", ["c.png"])


def test_meta_info_names_the_pairs_that_count(tmp_path: Path) -> None:
    touch(tmp_path, [f"{folder}/{name}.png" for folder in ("gt", "lq") for name in ("0001", "0002")])
    listing = tmp_path / "meta_info_Own.txt"
    listing.write_text("0002.png (480,480,3) 1\n\n", encoding="utf-8")
    assert list(found(tmp_path)) == ["0002"]
    assert find_pair_folder(tmp_path).unpaired == ()
    listing.write_text("0003.png (480,480,3) 1\n", encoding="utf-8")
    with pytest.raises(LayoutError, match=r"0003\.png is not there, but meta_info names it"):
        find_pair_folder(tmp_path)


def test_div2k(tmp_path: Path) -> None:
    for split, number in (("train", "0001"), ("valid", "0801")):
        touch(tmp_path, [f"DIV2K_{split}_HR/{number}.png"])
        touch(tmp_path, [f"DIV2K_{split}_LR_bicubic/X{s}/{number}x{s}.png" for s in (2, 4)])
    assert sorted(found(tmp_path)) == ["0001_x2", "0001_x4", "0801_x2", "0801_x4"]
    assert found(tmp_path, scale=2)["0801"] == ("DIV2K_valid_HR/0801.png", "DIV2K_valid_LR_bicubic/X2/0801x2.png", 2)


def test_two_files_of_one_scene(tmp_path: Path) -> None:
    touch(tmp_path, ["1_HR.png", "1_HR.jpg", "1_LR4.png"])
    with pytest.raises(LayoutError, match=r"1_HR\.jpg and .*1_HR\.png are both scene '1'"):
        find_pair_folder(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_meta_info_may_begin_with_a_byte_order_mark(encoding: str, tmp_path: Path) -> None:
    touch(tmp_path, ["HR/a.png", "LR/a.png", "HR/b.png", "LR/b.png"])
    (tmp_path / "meta_info.txt").write_text("a.png (4,4,3) 1\n", encoding=encoding)
    found = find_pair_folder(tmp_path)
    assert found is not None
    assert [pair.scene for pair in found.pairs] == ["a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"../../x.png (4,4,3) 1\n", "expected a path inside"),
        (b"/x.png\n", "expected a path inside"),
        (b"\xff", "UTF-8"),
    ],
)
def test_meta_info_that_harms(content: bytes, message: str, tmp_path: Path) -> None:
    for side in ("HR", "LR"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "a.png").touch()
    (tmp_path / "meta_info.txt").write_bytes(content)
    with pytest.raises(LayoutError, match=message):
        find_pair_folder(tmp_path)


@pytest.mark.parametrize("name", ["=cmd()", "@x", "-1+2", "a\nb"])
def test_names_that_would_harm_a_table(name: str, tmp_path: Path) -> None:
    for side in ("HR", "LR"):
        (tmp_path / side).mkdir()
        (tmp_path / side / f"{name}.png").touch()
    with pytest.raises(LayoutError, match=r"(take for a formula|control characters).*; rename its files"):
        find_pair_folder(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    touch(tmp_path, ["holiday.png", "HR/a.png", "LR/b.png"])
    for folder in (tmp_path, tmp_path / "absent", tmp_path / "holiday.png"):
        with pytest.raises(LayoutError, match=r"manifest\.csv; folders HR and LR"):
            find_pair_folder(folder)


@pytest.mark.parametrize(
    ("hr", "lr", "ratio"),
    [
        ((10, 8), (10, 8), 1),
        ((160, 128), (10, 8), 16),
        ((170, 136), (10, 8), None),
        ((20, 24), (10, 8), None),
        ((21, 16), (10, 8), None),
        ((5, 4), (10, 8), None),
    ],
)
def test_size_ratio(hr: tuple[int, int], lr: tuple[int, int], ratio: int | None) -> None:
    assert size_ratio(hr, lr) == ratio


def test_numbered_folders_go_one_to_one(tmp_path: Path) -> None:
    touch(tmp_path, [f"{folder}/0001.png" for folder in ("hr", "hr2", "lr", "lr2", "LR_phone")])
    result = find_pair_folder(tmp_path)
    assert found(tmp_path) == {
        "lr/0001": ("hr/0001.png", "lr/0001.png", None),
        "lr2/0001": ("hr2/0001.png", "lr2/0001.png", None),
    }
    assert [path.parent.name for path in result.unpaired] == ["LR_phone"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["HR", "HR_2", "LR"], {("HR", "LR")}),
        (["HR", "LR", "LR_old"], {("HR", "LR")}),
        (["hr", "lr", "lr2"], {("hr", "lr")}),
        (["HR", "LR_x2", "LR_x4"], {("HR", "LR_x2"), ("HR", "LR_x4")}),
        (["train-HR", "Train_LRx4", "trains_LR"], {("train-HR", "Train_LRx4")}),
        (["HR", "LR_phone"], {("HR", "LR_phone")}),
        (["three", "HR", "lR"], {("HR", "lR")}),
        (
            ["train_HR", "train_LR_x8", "train_LR_bicubic_x4"],
            {("train_HR", "train_LR_x8"), ("train_HR", "train_LR_bicubic_x4")},
        ),
    ],
)
def test_which_folders_are_matched(names: list[str], expected: set[tuple[str, str]], tmp_path: Path) -> None:
    touch(tmp_path, [f"{name}/a.png" for name in names])
    assert {(pair.hr.parent.name, pair.lr.parent.name) for pair in find_pair_folder(tmp_path).pairs} == expected


@pytest.mark.parametrize("names", [("LR_bicubic", "LR_unknown"), ("LR_bicubic/X4", "LR_unknown/X4"), ("LR", "lq")])
def test_several_lr_images_of_one_scale_are_not_chosen_from(names: tuple[str, str], tmp_path: Path) -> None:
    ending = "x4" if "/" in names[0] else ""
    touch(tmp_path, ["HR/a.png", *(f"{name}/a{ending}.png" for name in names)])
    with pytest.raises(LayoutError, match=rf"{names[0]} and {names[1]} both have an LR image.*give one, or a list"):
        find_pair_folder(tmp_path)


def test_several_hr_images_are_not_chosen_from(tmp_path: Path) -> None:
    touch(tmp_path, ["HR/a.png", "gt/a.png", "LR/a.png"])
    with pytest.raises(LayoutError, match=r"HR and gt both have an HR image for LR/a\.png; give one, or a list"):
        find_pair_folder(tmp_path)


def test_an_unsaid_scale_is_read_from_the_sizes(tmp_path: Path) -> None:
    picture(tmp_path / "HR/a.png", 16, 8)
    picture(tmp_path / "LR/a.png", 4, 2)
    picture(tmp_path / "LR_x2/a.png", 8, 4)
    assert sorted(found(tmp_path)) == ["a_x2", "a_x4"]


def test_names_that_differ_in_form_are_matched_and_said(tmp_path: Path) -> None:
    touch(tmp_path, ["HR/caf\u00e9.png", "LR/cafe\u0301.png", "HR/IMG_1.png", "LR/img_1.PNG", "HR/b.png", "LR/b.png"])
    result = find_pair_folder(tmp_path)
    assert sorted(pair.scene for pair in result.pairs) == ["IMG_1", "b", "caf\u00e9"]
    [note] = result.notes
    assert "2 LR images (LR/" in note
    assert "case or Unicode form" in note
    touch(tmp_path, ["LR/B.png"])
    assert [path.name for path in find_pair_folder(tmp_path).unpaired] == ["B.png"]


@pytest.mark.parametrize("second", ["HR/a.tif", "LR/a.jpg", "HR/a.PNG"])
def test_a_second_file_of_one_stem(second: str, tmp_path: Path) -> None:
    touch(tmp_path, ["HR/a.png", "LR/a.png", second])
    with pytest.raises(LayoutError, match="are both scene 'a'; rename or remove one"):
        find_pair_folder(tmp_path)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    touch(tmp_path, ["HR/a.png", "LR/a.png", "HR/b.psd", "LR/b.PSB", "LR/c.jfif", "HR/d.gif", "other/e.png", "f.png"])
    touch(tmp_path, ["LR/g_LR{scale}.png", "notes.txt"])
    (tmp_path / "HR/more").symlink_to(tmp_path / "other", target_is_directory=True)
    (tmp_path / "HR/loop").symlink_to(tmp_path, target_is_directory=True)
    said = "\n".join(find_pair_folder(tmp_path).notes)
    assert "2 images (f.png, other/e.png) are not named as the pairs are" in said
    assert "4 files (HR/b.psd, HR/d.gif, LR/b.PSB, …) are left out, of a kind that is not read; export it as" in said
    assert "2 folder links (HR/loop, HR/more) are left out" in said
    assert "LR/g_LR{scale}.png" in said
    assert "as in g_LR8.png" in said


def test_a_linked_side_is_followed(tmp_path: Path) -> None:
    touch(tmp_path, ["elsewhere/a.png", "data/LR/a.png"])
    (tmp_path / "data/HR").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    result = find_pair_folder(tmp_path / "data")
    assert ([pair.scene for pair in result.pairs], result.notes) == (["a"], ())


def test_only_kinds_that_are_not_read(tmp_path: Path) -> None:
    touch(tmp_path, ["HR/a.psd", "LR/a.PSB"])
    with pytest.raises(
        LayoutError, match=r"no pairs found.*2 files \(HR/a\.psd, LR/a\.PSB\).*of a kind that is not read"
    ):
        find_pair_folder(tmp_path)


def test_case_in_realsr_and_city100(tmp_path: Path) -> None:
    touch(tmp_path, ["a_HR.png", "A_lr4.png", "b.png"])
    result = find_pair_folder(tmp_path)
    assert [(pair.scene, pair.nominal) for pair in result.pairs] == [("a", 4)]
    assert "1 image (b.png) is not named as the pairs are" in result.notes[0]


def test_a_manifest_that_cannot_be_read_is_no_folder_without_one(tmp_path: Path) -> None:
    """Its splits, and what was rejected, would be forgotten."""
    for side in ("hr", "lr"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "a.png").write_bytes(b"")
    (tmp_path / "manifest.csv").symlink_to("nowhere")
    with pytest.raises(LayoutError, match=r"manifest\.csv is not there"):
        find_pair_folder(tmp_path)


def test_images_beside_those_of_a_manifest_are_said(tmp_path: Path) -> None:
    touch(tmp_path, [f"{side}/{name}.png" for side in ("hr", "lr") for name in "ab"])
    manifest(tmp_path, "a,accepted,,a,8,hr/a.png,lr/a.png\nb,rejected,,b,8,,\n")
    (note,) = find_pair_folder(tmp_path).notes
    assert note == "2 images (hr/b.png, lr/b.png) are in no accepted row of manifest.csv and left out"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("lr/a.png\t../a.png", "train.txt, line 2: names '../a.png', expected an image in the list's folder"),
        ("lr/a.png\t/a.png", "names '/a.png', expected an image in the list's folder; correct the list, or export"),
        ("lr/a.png\thr/none.png", "line 2: 'hr/none.png' is not there; copy it, or correct the list"),
    ],
)
def test_a_list_that_names_what_is_not_in_its_folder(line: str, message: str, tmp_path: Path) -> None:
    touch(tmp_path, ("lr/a.png", "hr/a.png"))
    (tmp_path / "train.txt").write_text(f"lr/a.png\thr/a.png\n{line}\n", encoding="utf-8")
    with pytest.raises(LayoutError, match=re.escape(message)):
        find_pair_folder(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "../a.png,lr/a.png,2",
            "metadata.csv, line 2: names '../a.png', expected a path inside the folder; correct it",
        ),
        (",lr/a.png,2", "line 2: names '', expected a path inside the folder; correct it"),
        ("hr/a.png,lr/none.png,2", "line 2: 'lr/none.png' is not there; copy it, or correct the table"),
        ("hr/a.png,lr/a.png,17", "line 2: got scale '17', expected a whole number from 1 to 16; correct it"),
        ("hr/a.png,lr/a.png,two", "line 2: got scale 'two', expected a whole number from 1 to 16; correct it"),
    ],
)
def test_an_image_folder_whose_table_is_wrong(row: str, message: str, tmp_path: Path) -> None:
    touch(tmp_path, ("lr/a.png", "hr/a.png"))
    (tmp_path / "metadata.csv").write_text(f"hr_file_name,lr_file_name,scale\n{row}\n", encoding="utf-8")
    with pytest.raises(LayoutError, match=re.escape(message)):
        find_pair_folder(tmp_path)
