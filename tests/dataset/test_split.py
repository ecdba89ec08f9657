"""Splits: whole groups, the number that was asked for or nothing, and what was split stays split."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from d2crealsr.dataset.split import choose_splits, joined_groups, split, with_decisions
from d2crealsr.errors import LayoutError, LockError, UsageError
from d2crealsr.store.columns import MANIFEST
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.pairs import published_paths, read_manifest, write_pairs_table
from d2crealsr.store.tables import frame_of

if TYPE_CHECKING:
    from pathlib import Path


def table(
    groups: list[str],
    status: list[str] | None = None,
    splits: list[str] | None = None,
    left_out_of: list[str] | None = None,
) -> pd.DataFrame:
    scenes = [f"s{number:03d}" for number in range(len(groups))]
    return pd.DataFrame(
        {
            "scene": scenes,
            "status": status or ["accepted"] * len(groups),
            "split": splits or [""] * len(groups),
            "group": groups,
            "left_out_of": left_out_of or [""] * len(groups),
        }
    )


def singles(count: int) -> pd.DataFrame:
    return table([f"g{number}" for number in range(count)])


def subset_sums(sizes: list[int]) -> set[int]:
    sums = {0}
    for size in sizes:
        sums |= {size + other for other in sums}
    return sums


GROUPS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=14)


@settings(deadline=None)
@given(groups=GROUPS, test=st.integers(0, 14), seed=st.integers(0, 3))
def test_the_number_is_met_with_whole_groups_or_refused_with_what_is_possible(
    groups: list[str], test: int, seed: int
) -> None:
    possible = subset_sums(list(Counter(groups).values())) - {len(groups)}
    if test not in possible:
        with pytest.raises(UsageError, match="possible with --test: "):
            choose_splits(table(groups), test=test, seed=seed)
        return
    labels = choose_splits(table(groups), test=test, seed=seed)
    assert labels.count("test") == test
    assert labels.count("train") == len(groups) - test >= 1
    assert len({*zip(groups, labels, strict=True)}) == len(set(groups))


@settings(deadline=None)
@given(groups=GROUPS, test=st.integers(0, 6), seed=st.integers(0, 3), order=st.randoms(use_true_random=False))
def test_rows_in_any_order_and_scenes_that_are_not_accepted_change_nothing(
    groups: list[str], test: int, seed: int, order: random.Random
) -> None:
    assume(test in subset_sums(list(Counter(groups).values())) - {len(groups)})
    plain = table(groups)
    plain["split"] = choose_splits(plain, test=test, seed=seed)
    others = table(["a", "x", "b"], status=["rejected", "failed", "failed"])
    others["scene"] = ["r1", "r2", "r3"]
    mixed = pd.concat([table(groups), others])
    rows = list(range(len(mixed)))
    order.shuffle(rows)
    mixed = mixed.iloc[rows].reset_index(drop=True)
    mixed["split"] = choose_splits(mixed, test=test, seed=seed)
    assert mixed.loc[mixed["status"] != "accepted", "split"].eq("").all()
    accepted = mixed[mixed["status"] == "accepted"]
    assert dict(zip(accepted["scene"], accepted["split"], strict=True)) == dict(
        zip(plain["scene"], plain["split"], strict=True)
    )


@settings(deadline=None)
@given(groups=GROUPS, more=GROUPS, seed=st.integers(0, 3), data=st.data())
def test_splits_stay_when_scenes_come(groups: list[str], more: list[str], seed: int, data: st.DataObject) -> None:
    first = data.draw(st.sampled_from(sorted(subset_sums(list(Counter(groups).values())) - {len(groups)})))
    old = choose_splits(table(groups), test=first, seed=seed)
    grown = table([*groups, *more], splits=[*old, *[""] * len(more)])
    joined = sum(group in {g for g, s in zip(groups, old, strict=True) if s == "test"} for group in more)
    new_groups = Counter(group for group in more if group not in groups)
    total = len(groups) + len(more)
    possible = {first + joined + extra for extra in subset_sums(list(new_groups.values()))} - {total}
    for test in range(total + 1):
        if test not in possible:
            with pytest.raises(UsageError):
                choose_splits(grown, test=test, seed=seed)
            continue
        labels = choose_splits(grown, test=test, seed=seed)
        assert labels[: len(old)] == old
        assert labels.count("test") == test
        assert "" not in labels
        assert len({*zip(grown["group"], labels, strict=True)}) == len(set(grown["group"]))


def test_seeds_differ_and_are_fair() -> None:
    drawn = Counter(
        scene
        for seed in range(400)
        for scene, label in enumerate(choose_splits(singles(20), test=5, seed=seed))
        if label == "test"
    )
    assert min(drawn.values()) > 60  # 100 expected each, σ 8.7
    assert max(drawn.values()) < 140


def test_the_draw_is_pinned() -> None:
    labels = choose_splits(singles(12), test=3, seed=0)
    assert [place for place, label in enumerate(labels) if label == "test"] == PINNED


PINNED = [0, 1, 8]


@pytest.mark.parametrize(
    ("frame", "test", "message"),
    [
        (table(["a", "a", "b", "b"]), 1, r"1 test scenes cannot be drawn from 4 accepted ones .*; possible .*: 0, 2$"),
        (singles(10), 10, r"possible with --test: 0-9$"),
        (table(["a"] * 3), 3, r"possible with --test: 0$"),
        (table(["a", "b", "c"], splits=["test", "test", ""]), 1, r"2 of them are test scenes .*--resplit.*: 2$"),
        (table(["a"], status=["failed"]), 0, "no scene is accepted"),
        (table(["a", "a"], splits=["test", "train"]), 1, r"group 'a' is in both train and test"),
        (table(["a"] * 4 + ["b"] * 7), 5, r"possible with --test: 0, 4, 7$"),
    ],
)
def test_what_cannot_be_done(frame: pd.DataFrame, test: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choose_splits(frame, test=test)


@pytest.mark.parametrize(
    ("scenes", "test"), [(2, 1), (6, 1), (13, 1), (14, 2), (21, 3), (99, 14), (100, 15), (101, 15), (500, 15)]
)
def test_the_default_is_the_smaller_of_15_and_15_percent_and_at_least_1(scenes: int, test: int) -> None:
    assert choose_splits(singles(scenes)).count("test") == test


@pytest.mark.parametrize(
    ("groups", "test"), [("aaab", 1), ("aaaabbbb", 4), ("aaabbbccc" * 3, 9), ("aabbcc" + "d" * 20, 2)]
)
def test_the_default_keeps_to_whole_groups(groups: str, test: int) -> None:
    assert choose_splits(table(list(groups))).count("test") == test


def test_without_a_number_a_split_folder_draws_nothing_more() -> None:
    frame = singles(30)
    frame["split"] = ["test", *["train"] * 9, *[""] * 20]
    assert choose_splits(frame).count("test") == 1
    assert choose_splits(frame, test=4).count("test") == 4
    assert choose_splits(frame, resplit=True).count("test") == 4
    frame["split"] = ["train"] * 10 + [""] * 20
    assert choose_splits(frame).count("test") == 0


def test_a_default_that_is_impossible_is_refused_as_ever() -> None:
    for frame in (singles(0), singles(1), table(["a"] * 5)):
        with pytest.raises(UsageError, match=r"nothing to split|1 test scenes cannot be drawn"):
            choose_splits(frame)


def test_split_says_which_number_it_took(tmp_path: Path) -> None:
    write(tmp_path, singles(21))
    result = split(tmp_path)
    assert (len(result.test), len(result.train)) == (3, 18)
    assert result.notes == (
        "without --test, 3 of 21 scenes are for testing: the smaller of 15 and 15 %, as near as whole groups allow",
    )
    assert split(tmp_path).notes[0].startswith("without --test, 3 of 21 scenes are for testing: the test split stays")
    assert split(tmp_path, test=3).notes == ()
    with pytest.raises(UsageError, match="22 test scenes cannot be drawn"):
        split(tmp_path, test=22)


def test_a_rejected_scene_keeps_its_split_and_its_group_mates_join_it() -> None:
    frame = table(["a", "a", "b", "c"], status=["rejected", *["accepted"] * 3], splits=["test", "", "train", ""])
    assert choose_splits(frame, test=1) == ["test", "test", "train", "train"]
    assert choose_splits(frame, test=1, resplit=True)[0] == ""


def test_scenes_left_out_hold_their_group_and_are_not_drawn() -> None:
    frame = table(
        ["a", "a", "b", "c", "d"],
        splits=["", "", "train", "", ""],
        left_out_of=["train", "", "", "unsplit", ""],
    )
    assert choose_splits(frame, test=1) == ["", "train", "train", "", "test"]
    with pytest.raises(UsageError, match=r"possible with --test: 0-1$"):
        choose_splits(frame, test=2)
    assert choose_splits(frame, test=1, resplit=True)[3] == ""


def test_a_split_that_went_stale_can_be_thrown_away() -> None:
    frame = table(["a", "b", "c"], splits=["test", "test", "train"])
    assert choose_splits(frame, test=1, resplit=True).count("test") == 1


def write(folder: Path, frame: pd.DataFrame) -> None:
    rows = []
    for row in frame.to_dict("records"):
        hr_path, lr_path = published_paths(row["scene"])
        paths = {"hr_path": hr_path, "lr_path": lr_path} if row["status"] == "accepted" else {}
        rows.append({**row, **paths, "scale": 8, "mine": "keep"})
    write_pairs_table(folder, "manifest.csv", frame_of(rows, MANIFEST))


def test_split_writes_the_manifest_and_nothing_when_it_cannot(tmp_path: Path) -> None:
    write(tmp_path, singles(20))
    before = (tmp_path / "manifest.csv").read_bytes()
    with pytest.raises(UsageError):
        split(tmp_path, test=20)
    assert (tmp_path / "manifest.csv").read_bytes() == before
    result = split(tmp_path, test=15)
    assert (len(result.train), len(result.test), result.new) == (5, 15, 20)
    manifest = read_manifest(tmp_path)
    assert manifest.loc[manifest["split"] == "test", "scene"].tolist() == list(result.test)
    assert manifest["mine"].eq("keep").all()
    after = (tmp_path / "manifest.csv").read_bytes()
    assert split(tmp_path, test=15).new == 0
    assert (tmp_path / "manifest.csv").read_bytes() == after
    assert set(split(tmp_path, test=15, seed=1).test) == set(result.test)
    assert set(split(tmp_path, test=15, seed=1, resplit=True).test) != set(result.test)


def decide(folder: Path, **decisions: str) -> Path:
    path = folder / "decisions.csv"
    path.write_text("scene,decision,note\n" + "".join(f"{scene},{said},seen\n" for scene, said in decisions.items()))
    return path


def test_what_a_reviewer_rejects_leaves_its_split_until_it_is_taken_back(tmp_path: Path) -> None:
    write(tmp_path, table([*"abcdef"], status=[*["accepted"] * 5, "rejected"]))
    test = split(tmp_path, test=2).test
    before = (tmp_path / "manifest.csv").read_bytes()
    train = next(f"s00{place}" for place in range(5) if f"s00{place}" not in test)
    wanted = decide(tmp_path, **{test[0]: "reject", train: "reject", "s005": "reject", "s999": "reject"})
    with pytest.raises(UsageError, match="1 of them are test scenes already"):
        split(tmp_path, test=2, decisions=wanted)  # every other scene trains
    assert (tmp_path / "manifest.csv").read_bytes() == before
    result = split(tmp_path, test=1, decisions=wanted)
    assert (result.test, result.left_out, result.new) == (test[1:], tuple(sorted([test[0], train])), 0)
    assert result.notes == ("decisions for scenes that the manifest does not have: s999; check the names",)
    out = read_manifest(tmp_path).set_index("scene")
    assert out.loc[[test[0], train, "s005"], "left_out_of"].tolist() == ["test", "train", "unsplit"]
    assert out.loc[[test[0], train, "s005"], "split"].tolist() == ["", "", ""]
    assert out["status"].tolist() == [*["accepted"] * 5, "rejected"]
    assert split(tmp_path, test=1).left_out == result.left_out  # remembered without the file
    taken_back = split(tmp_path, test=1, decisions=decide(tmp_path, **{train: "accept", "s005": "accept"}))
    assert taken_back.left_out == (test[0],)
    assert train in taken_back.train  # where it was, though it could have been drawn
    assert taken_back.notes == ("decisions to accept scenes that are not accepted: s005; align --accept takes them in",)
    assert split(tmp_path, test=1, resplit=True).left_out == (test[0],)
    assert read_manifest(tmp_path).set_index("scene").loc[test[0], "left_out_of"] == "unsplit"


def test_a_scene_that_is_taken_back_returns_to_the_split_it_had() -> None:
    frame = table([*"abcd"], splits=["", "", "", "train"], left_out_of=["train", "test", "unsplit", ""])
    after = with_decisions(frame, dict.fromkeys(["s000", "s001", "s002", "s003"], "accept"))
    assert after["split"].tolist() == ["train", "test", "", "train"]
    assert after["left_out_of"].tolist() == [""] * 4
    again = with_decisions(after, {"s000": "reject", "s002": "reject"})
    assert again["left_out_of"].tolist() == ["train", "", "unsplit", ""]
    assert with_decisions(again, {"s000": "reject"})["left_out_of"].tolist() == again["left_out_of"].tolist()


def test_the_shortfall_that_a_rejection_leaves_is_drawn_from_unsplit_scenes(tmp_path: Path) -> None:
    write(tmp_path, table([*"abcd"], splits=["test", "test", "train", ""]))
    result = split(tmp_path, test=2, decisions=decide(tmp_path, s000="reject"))
    assert (result.test, result.train) == (("s001", "s003"), ("s002",))


def test_d2c_neither_trains_nor_tests_on_what_was_left_out(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import numpy as np

    from d2c.data.layouts import find_pairs, with_split
    from d2crealsr.store.images import write_image

    write(tmp_path, table([*"abcd"], splits=["test", "test", "train", "train"]))
    for scene in ("s000", "s001", "s002", "s003"):
        write_image(tmp_path / "lr" / f"{scene}.png", np.zeros((2, 2, 3), dtype=np.uint8))
        write_image(tmp_path / "hr" / f"{scene}.png", np.zeros((16, 16, 3), dtype=np.uint8))
    split(tmp_path, test=1, decisions=decide(tmp_path, s000="reject", s003="reject"))
    pairs = find_pairs(tmp_path)
    assert [pair.name for pair in with_split(pairs, "train", tmp_path)] == ["s002"]
    assert [pair.name for pair in with_split(pairs, "test", tmp_path)] == ["s001"]


def test_split_needs_a_manifest_and_the_lock(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=r"no manifest\.csv"):
        split(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    write(tmp_path, singles(20))
    with lock_folder(tmp_path), pytest.raises(LockError, match="in use by process"):
        split(tmp_path, test=3)


def test_scenes_with_a_capture_of_equal_bytes_stay_together() -> None:
    columns = {
        "group": ["a", "b", "c", "d"],
        "hr_source_sha256": ["1", "2", "1", ""],
        "lr_source_sha256": ["5", "6", "7", ""],
    }
    assert joined_groups(pd.DataFrame(columns)) == ["a", "b", "a", "d"]
    chained = columns | {"lr_source_sha256": ["5", "7", "7", "6"]}
    assert joined_groups(pd.DataFrame(chained)) == ["a", "a", "a", "d"]


def test_memory_grows_with_the_scenes() -> None:
    import tracemalloc

    count = 3000
    frame = pd.DataFrame(
        {"status": "accepted", "split": "", "group": [f"{k:05d}" for k in range(count)], "left_out_of": ""}
    )
    tracemalloc.start()
    labels = choose_splits(frame, test=300)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert labels.count("test") == 300
    assert peak < 20e6  # a square of the scenes takes 400 MB
