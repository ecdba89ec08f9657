"""Datasets of every layout, found and checked."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from d2c.data.hold_out import grouped, hold_out
from d2c.data.layouts import find_pairs, split_of, with_split
from d2c.errors import ConfigError, DataError
from d2crealsr.store.images import write_image


def image(path, width=8, height=6, scale=1, dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    write_image(path, rng.integers(0, 255, (scale * height, scale * width, 3)).astype(dtype))


def manifest(folder, rows):
    columns = ["scene", "status", "split", "group", "scale", "hr_path", "lr_path"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "manifest.csv", index=False)


@pytest.fixture
def pairs_folder(tmp_path):
    rows = []
    for k, split in enumerate(["train", "test", "train"]):
        image(tmp_path / f"hr/00{k}.png", scale=4)
        image(tmp_path / f"lr/00{k}.png")
        rows.append([f"00{k}", "accepted", split, f"card{k}", 4, f"hr/00{k}.png", f"lr/00{k}.png"])
    rows.append(["003", "rejected", "", "card3", 4, "", ""])
    manifest(tmp_path, rows)
    return tmp_path


def test_pairs_folder(pairs_folder):
    found = find_pairs(pairs_folder)
    assert [(p.name, p.split, p.group, p.scale) for p in found] == [
        ("000", "train", "card0", 4),
        ("001", "test", "card1", 4),
        ("002", "train", "card2", 4),
    ]
    assert found[0].hr == pairs_folder / "hr/000.png"
    assert [p.name for p in with_split(found, "train", pairs_folder)] == ["000", "002"]
    assert [p.name for p in with_split(found, "test", pairs_folder)] == ["001"]


def test_unsplit_pairs_name_the_command(pairs_folder):
    table = pd.read_csv(pairs_folder / "manifest.csv", dtype=str)
    table["split"] = ""
    table.to_csv(pairs_folder / "manifest.csv", index=False)
    with pytest.raises(DataError, match=r"not split; run: d2crealsr split \S+$"):
        with_split(find_pairs(pairs_folder), "train", pairs_folder)


def test_a_split_without_pairs(pairs_folder):
    table = pd.read_csv(pairs_folder / "manifest.csv", dtype=str)
    table["split"] = "test"
    table.to_csv(pairs_folder / "manifest.csv", index=False)
    with pytest.raises(DataError, match="none of its 3 pairs is in the train split"):
        with_split(find_pairs(pairs_folder), "train", pairs_folder)


def test_nothing_accepted(tmp_path):
    manifest(tmp_path, [["003", "rejected", "", "card3", 4, "", ""]])
    with pytest.raises(DataError, match="of 1 scene in the manifest none is accepted"):
        find_pairs(tmp_path)


def test_wrong_sizes_name_the_file(pairs_folder):
    image(pairs_folder / "hr/001.png", width=9, scale=4)
    with pytest.raises(DataError, match=r"001\.png: got 36x24 pixels, expected 32x24 \(4 times 001\.png of 8x6\)"):
        find_pairs(pairs_folder)


def test_missing_and_damaged_files_are_named(pairs_folder):
    (pairs_folder / "lr/002.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"lr/002\.png: its header cannot be read"):
        find_pairs(pairs_folder)
    (pairs_folder / "lr/002.png").unlink()
    with pytest.raises(DataError, match=r"lr/002\.png: cannot be read \(No such file"):
        find_pairs(pairs_folder)


def test_realsr(tmp_path):
    for camera in ("Canon", "Nikon"):
        for split, number in (("Train", 1), ("Test", 2)):
            for scale in (2, 3):
                folder = tmp_path / camera / split / str(scale)
                image(folder / f"{camera}_00{number}_HR.png", scale=scale)
                image(folder / f"{camera}_00{number}_LR{scale}.png")
    with pytest.raises(DataError, match="scales 2, 3; choose one with --scale"):
        find_pairs(tmp_path)
    with pytest.raises(DataError, match="no pairs of scale 4, only of 2, 3; give --scale 2"):
        find_pairs(tmp_path, scale=4)
    found = find_pairs(tmp_path, scale=3)
    assert [(p.name, p.split) for p in found] == [
        ("Canon_001", "train"),
        ("Canon_002", "test"),
        ("Nikon_001", "train"),
        ("Nikon_002", "test"),
    ]
    assert all(p.lr.name.endswith("_LR3.png") and p.hr.parent == p.lr.parent for p in found)


def test_drealsr_in_folders_beside_each_other(tmp_path):
    image(tmp_path / "Test_x4/test_HR/Canon_10_x1.png", scale=4)
    image(tmp_path / "Test_x4/test_LR/Canon_10_x4.png")
    image(tmp_path / "Train_x4/train_HR/Canon_10_x1.png", scale=4, width=5)
    image(tmp_path / "Train_x4/train_LR/Canon_11_x4.png")
    with pytest.raises(DataError, match=r"Canon_11_x4\.png: its HR image is not there"):
        find_pairs(tmp_path)
    image(tmp_path / "Train_x4/train_HR/Canon_11_x1.png", scale=4)
    assert [(p.name, p.scale, p.split) for p in find_pairs(tmp_path)] == [
        ("Canon_10", 4, "test"),
        ("Canon_11", 4, "train"),
    ]


@pytest.mark.parametrize("names", [("HR", "LR"), ("gt", "lq"), ("DIV2K_train_HR", "DIV2K_train_LR_bicubic")])
@pytest.mark.parametrize("suffix", ["", "x2"])
def test_two_folders(tmp_path, names, suffix):
    for k in (1, 2, 3):
        image(tmp_path / names[0] / f"000{k}.png", scale=2)
        image(tmp_path / names[1] / f"000{k}{suffix}.png")
    found = find_pairs(tmp_path)
    assert [(p.name, p.scale) for p in found] == [("0001", 2), ("0002", 2), ("0003", 2)]
    (tmp_path / "meta_info.txt").write_text("0001.png (12,16,3) 1\n0003.png (12,16,3) 1\n")
    assert [p.name for p in find_pairs(tmp_path)] == ["0001", "0003"]


def test_div2k_with_a_folder_for_each_scale(tmp_path):
    for scale in (2, 4):
        image(tmp_path / f"DIV2K_valid_LR_bicubic/X{scale}/0801x{scale}.png", width=16 // scale, height=8 // scale)
    image(tmp_path / "DIV2K_valid_HR/0801.png", width=16, height=8)
    (pair,) = find_pairs(tmp_path, scale=4)
    assert (pair.lr.name, pair.split) == ("0801x4.png", "test")


def test_list_of_paths(tmp_path):
    image(tmp_path / "x/a b.png")
    image(tmp_path / "y/a.png", scale=2)
    image(tmp_path / "x/c.png")
    image(tmp_path / "y/c.png", scale=2)
    listed = tmp_path / "train.txt"
    listed.write_text(f"{tmp_path}/x/a b.png\t{tmp_path}/y/a.png\n\nx/c.png y/c.png\n")
    assert [(p.name, p.scale) for p in find_pairs(listed)] == [("a b", 2), ("c", 2)]
    with pytest.raises(DataError, match=r"a\.png: got 16x12 pixels, expected 32x24"):
        find_pairs(listed, scale=4)
    listed.write_text("x/c.png y/c.png\nx/c.png\n")
    with pytest.raises(DataError, match=r"line 2: got 1 paths, expected LR and HR"):
        find_pairs(listed)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="no pairs found; expected a pairs folder"):
        find_pairs(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        find_pairs(tmp_path / "nowhere")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match=r"empty\.txt: lists no pairs; give a pair a line"):
        find_pairs(tmp_path / "empty.txt")


def test_one_name_in_two_folders(tmp_path):
    for folder in ("test", "train"):
        image(tmp_path / folder / "Canon_1_HR.png", scale=2)
        image(tmp_path / folder / "Canon_1_LR2.png")
    assert [(p.name, p.split) for p in find_pairs(tmp_path)] == [("test/Canon_1", "test"), ("train/Canon_1", "train")]
    (tmp_path / "train/Canon_1_LR2.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="are both scene 'Canon_1'; rename or remove one"):
        find_pairs(tmp_path)


def test_city100_where_it_is(tmp_path):
    for kind in "HL":
        image(tmp_path / f"001{kind}.PNG")
    assert [(p.name, p.scale, p.split) for p in find_pairs(tmp_path)] == [("001", 1, "")]


def some(groups):
    from pathlib import Path

    from d2c.data.layouts import Pair

    return [
        Pair(name=f"{k}", hr=Path("h"), lr=Path("l"), scale=2, group=group, split="train")
        for k, group in enumerate(groups)
    ]


def test_validation_part_is_by_hash_of_the_group_and_whole():
    pairs = some([f"g{k % 20}" for k in range(100)])
    train, held = hold_out(pairs, 0.05)
    assert len(held) == 5
    assert len({p.group for p in held}) == 1
    assert not {p.group for p in held} & {p.group for p in train}
    assert hold_out(pairs[::-1], 0.05)[1] == held[::-1]
    assert len(hold_out(some("ab"), 0.05)[1]) == 1
    assert hold_out(pairs, 0) == (pairs, [])
    with pytest.raises(DataError, match=r"all 3 training pairs are of group 'a'.*--validation 0"):
        hold_out(some("aaa"), 0.05)


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("trains", ""),
        ("valley", ""),
        ("contest", ""),
        ("latest", ""),
        ("TrainHR", ""),
        ("train2", "train"),
        ("test_x4", "test"),
        ("Train-HR", "train"),
        ("training", "train"),
        ("a/testing", "test"),
        ("2val", "val"),
        ("valid", "val"),
        ("DIV2K_validation_HR", "val"),
        ("entraînement", ""),
        ("tést", ""),
    ],
)
def test_splits_are_whole_words(folder, split):
    assert split_of(folder) == split


def unsplit(tmp_path, *folders):
    for folder in folders:
        image(tmp_path / folder / "Canon_1_HR.png", scale=2)
        image(tmp_path / folder / "Canon_1_LR2.png")
    return find_pairs(tmp_path)


def test_a_validation_set_is_the_test_split_where_there_is_no_other(tmp_path):
    assert [p.split for p in unsplit(tmp_path, "train", "valid")] == ["train", "test"]
    found = unsplit(tmp_path, "test")
    assert [p.split for p in found] == ["test", "train", "val"]
    said = []
    assert [p.name for p in with_split(found, "train", tmp_path, said.append)] == ["train/Canon_1"]
    assert said == ["1 of 3 pairs are in the train split; left out: 1 of test, 1 of val"]


@pytest.mark.parametrize(
    ("path", "allowed"), [("Canon/Test/4", True), ("valid", True), ("test/train", False), ("y/x", False)]
)
def test_a_test_split_of_data_without_splits(path, allowed, tmp_path):
    found = unsplit(tmp_path / path, "")
    if allowed:
        assert with_split(found, "test", tmp_path / path) == found
    else:
        with pytest.raises(DataError, match="not split into train and test; use --split all"):
            with_split(found, "test", tmp_path / path)


def test_what_is_left_out_is_noted(tmp_path):
    image(tmp_path / "HR/a.png", scale=2)
    image(tmp_path / "LR/a.png")
    image(tmp_path / "LR/b.png")
    (tmp_path / "HR/c.psd").touch()
    said = []
    find_pairs(tmp_path, note=said.append)
    assert said == [
        "1 image (LR/b.png) is without a partner and left out",
        "1 file (HR/c.psd) is left out, of a kind that is not read; export it as TIFF or JPEG",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x/a.png;y/a.png", "line 1: got paths separated by semicolons, expected LR and HR, a tab between"),
        ("x/a.png y\\a.png", r"y\\a\.png: no such file; write / for \\ in its path"),
    ],
)
def test_lists_that_cannot_be_followed(line, message, tmp_path):
    image(tmp_path / "x/a.png")
    (tmp_path / "list.txt").write_text(line)
    with pytest.raises(DataError, match=message):
        find_pairs(tmp_path / "list.txt")


def test_sub_images_are_grouped_by_picture(tmp_path):
    for name in ("0001_s001", "0001_s002", "0002_s001", "Canon_001"):
        image(tmp_path / f"HR/{name}.png", scale=2)
        image(tmp_path / f"LR/{name}.png")
    assert [p.group for p in find_pairs(tmp_path)] == ["0001", "0001", "0002", "Canon_001"]


def test_groups_by_an_expression():
    pairs = [replace(p, name=name) for p, name in zip(some("abc"), ("day1-a", "day1-b", "x"), strict=True)]
    assert [p.group for p in grouped(pairs, r"^day(\d+)")] == ["1", "1", "x"]
    assert [p.group for p in grouped(pairs, "day.")] == ["day1", "day1", "x"]
    assert grouped(pairs, None) == pairs
    for wrong in ("(", "[[:digit:]]", "a{99999999999}", "day|\udcff"):
        with pytest.raises(
            ConfigError, match=rf"{re.escape(repr(wrong))} is not a regular expression.*change --group-by"
        ):
            grouped(pairs, wrong)
    with pytest.raises(ConfigError, match=r"'tag' is found in none of 3 names, such as 'day1-a'; change --group-by"):
        grouped(pairs, "tag")
