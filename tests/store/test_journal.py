"""The journal, its merge, and the checksums: every kill is recovered, and no changed bit stays unseen."""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import d2crealsr
from d2crealsr.errors import ChangedWarning, MachineError, TableError
from d2crealsr.store import csv_files, files, pairs
from d2crealsr.store.changes import changed_files, refuse_if_changed
from d2crealsr.store.checksums import is_intact, sealed
from d2crealsr.store.columns import MANIFEST, TABLES
from d2crealsr.store.journal import JournalWriter, open_journal
from d2crealsr.store.ledger import Ledger
from d2crealsr.store.merge import merge_journal, record_cells, recover
from d2crealsr.store.tables import csv_text, frame_of, rows_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCENES = ['card é, "x"', "001", "NA", "1e5"]
ENTRIES = {"scale": 8, "settings": {"iters": 3}, "raw_root": "../raw"}
CHECKED = ("manifest.csv", "alignment.csv", "residuals.csv", "dataset.json")


def row(scene: str, **cells: Any) -> dict[str, Any]:
    hr_path, lr_path = pairs.published_paths(scene)
    accepted = {"status": "accepted", "group": scene, "scale": 8, "hr_path": hr_path, "lr_path": lr_path}
    return {"scene": scene, **accepted, **cells}


def enter(ledger: Ledger, scene: str, value: float = 1 / 3) -> None:
    ledger.replace(
        row(scene, h00=value, zncc=value, reasons="", accepted_by="qa"),
        alignment=[{"scene": scene, "iteration": n, "stage": "sift", "h00": value} for n in (1, 2)],
        residuals=[{"scene": scene, "lr_x": x, "lr_y": 2.0, "dx_hr_px": value, "weight": 1.0} for x in range(3)],
        timings=[{"scene": scene, "seconds": 1.0}],
    )


def made(folder: Path, *scenes: str) -> Path:
    pairs.write_dataset(folder, ENTRIES)
    ledger = Ledger.load(folder)
    for scene in scenes:
        enter(ledger, scene)
    ledger.merge(ENTRIES)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def as_format_1(folder: Path) -> Path:
    said = json.loads((folder / "dataset.json").read_text())
    kept = {name: value for name, value in said.items() if name not in ("sha256", "checksum")}
    (folder / "dataset.json").write_text(json.dumps({**kept, "version": 1}, indent=2, ensure_ascii=False) + "\n")
    return folder


# --- text ------------------------------------------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(
    number=st.floats(-1, 1) | st.just(float("nan")) | st.none(),
    count=st.integers(0, 10**9) | st.none(),
    text=st.text(max_size=20) | st.none(),
)
def test_the_text_of_few_rows_is_that_of_a_frame(number: Any, count: Any, text: Any) -> None:
    rows = [row("a", zncc=number, h00=number, n_inliers=count, message=text, mine=text), row("b")]
    rows = [{**one, "message": one.get("message") or ""} for one in rows]
    assert rows_text(rows, MANIFEST, "manifest.csv") == csv_text(frame_of(rows, MANIFEST), MANIFEST)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"status": "good"}, "column status: got 'good', expected one of 'accepted'"),
        ({"scale": 17}, "column scale: got 17, expected a whole number of at least 1 and at most 16"),
        ({"scale": None}, "column scale: got None"),
        ({"n_inliers": 1.5}, "column n_inliers: got 1.5"),
        ({"group": ""}, "column group: got ''"),
    ],
)
def test_rows_that_break_the_format_do_not_reach_the_journal(
    cells: dict[str, Any], message: str, tmp_path: Path
) -> None:
    ledger = Ledger.load(made(tmp_path, "001"))
    with pytest.raises(TableError, match=message):
        ledger.replace(row("a", **cells))
    assert not (tmp_path / "journal.jsonl").exists()


def test_a_single_bit_anywhere_breaks_the_checksum() -> None:
    for data in (sealed({"a": ["é", 1.5]}), sealed({"a": "é"}, indent=2)):
        assert is_intact(data)
        for place in range(8 * len(data)):
            changed = bytearray(data)
            changed[place // 8] ^= 1 << place % 8
            assert not is_intact(bytes(changed)), place


# --- the journal -----------------------------------------------------------------------------------------------------


def test_readers_see_the_tables_and_the_journal_together(tmp_path: Path) -> None:
    made(tmp_path, "a", "b", "c")
    ledger = Ledger.load(tmp_path)
    enter(ledger, "b", 0.123456789)
    enter(ledger, "aa")
    ledger.update({**dict(ledger.row("c") or {}), "group": "other"})
    ledger.drop("a")
    readers = (d2crealsr.read_manifest, d2crealsr.read_alignment, d2crealsr.read_residuals, pairs.read_timings)
    seen = [read(tmp_path) for read in readers]
    assert pd.read_csv(tmp_path / "manifest.csv")["scene"].tolist() == ["a", "b", "c"]  # which lags behind
    ledger.merge()
    assert not (tmp_path / "journal.jsonl").exists()
    for read, before in zip(readers, seen, strict=True):
        pd.testing.assert_frame_equal(read(tmp_path), before)
    assert seen[0]["scene"].tolist() == ["aa", "b", "c"]
    assert seen[0].set_index("scene")["group"].to_dict() == {"aa": "aa", "b": "b", "c": "other"}
    assert seen[0].set_index("scene").loc["b", "h00"] == 0.123456789


def test_a_table_read_in_small_parts_is_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, "a", "b", "d")
    ledger = Ledger.load(tmp_path)
    enter(ledger, "c", 0.5)
    enter(ledger, "b", 0.25)
    whole = {name: pairs.load_table(tmp_path, name) for name in TABLES}
    monkeypatch.setattr(csv_files, "_PART_ROWS", 2)
    for name, table in whole.items():
        assert len(next(pairs.load_parts(tmp_path, name))) == 2
        pd.testing.assert_frame_equal(pairs.load_table(tmp_path, name), table)


def test_an_error_in_a_later_part_is_told_with_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, "a", "b", "c")
    monkeypatch.setattr(csv_files, "_PART_ROWS", 2)
    good = (tmp_path / "timings.csv").read_text()
    for old, new, message in (
        ("\nc,", "\na,", "row 4, column scene: got 'a', expected each scene once"),
        ("\nc,", "\n.c,", "row 4: scene '.c' begins with a dot"),
        ("\nc,1", "\nc,-1", "row 4, column seconds: got -1"),
    ):
        (tmp_path / "timings.csv").write_text(good.replace(old, new))
        with pytest.raises(TableError, match=re.escape(message)):
            pairs.load_table(tmp_path, "timings.csv")


def test_the_tables_are_those_that_were_written_whole(tmp_path: Path) -> None:
    made(tmp_path / "a", *SCENES)
    enter(ledger := Ledger.load(made(tmp_path / "b", *SCENES[2:], "zz")), SCENES[1])
    ledger.drop("zz")
    enter(ledger, SCENES[0])
    ledger.merge(ENTRIES)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    for name in TABLES:
        before = (tmp_path / "a" / name).read_bytes()
        pairs.write_pairs_table(tmp_path / "a", name, pairs.load_table(tmp_path / "a", name))
        assert (tmp_path / "a" / name).read_bytes() == before
    assert changed_files(tmp_path / "a") == ()


def test_an_incomplete_last_line_is_a_kills_and_does_not_count(tmp_path: Path) -> None:
    folder = made(tmp_path / "pairs", "a")
    for scene in ("b", "c"):
        enter(ledger := Ledger.load(folder), scene)
    path = folder / "journal.jsonl"
    whole = path.read_bytes()
    for length in (len(whole) - 1, len(whole) - 100, 1):
        path.write_bytes(whole[:length])
        assert changed_files(folder) == ()
        assert "c" not in set(d2crealsr.read_manifest(folder, ["scene"])["scene"])
    path.write_bytes(whole[:-1])
    recover(folder, upgrade=True)
    assert ledger.row("c") is not None
    assert not path.exists()


@pytest.mark.parametrize("place", [30, -1, -20])
def test_any_other_damaged_line_counts_as_a_change(place: int, tmp_path: Path) -> None:
    ledger = Ledger.load(made(tmp_path, "a"))
    enter(ledger, "b")
    data = bytearray((tmp_path / "journal.jsonl").read_bytes())
    data[place] ^= 1
    (tmp_path / "journal.jsonl").write_bytes(data)
    assert changed_files(tmp_path) == ("journal.jsonl",)
    with pytest.warns(ChangedWarning, match=r"journal\.jsonl was changed since it was written"):
        assert d2crealsr.read_manifest(tmp_path, ["scene"])["scene"].tolist() == ["a"]
    with pytest.raises(TableError, match=r"journal\.jsonl was changed"):
        recover(tmp_path, upgrade=True)
    merge_journal(tmp_path, accept=True)
    assert changed_files(tmp_path) == ()
    assert d2crealsr.read_manifest(tmp_path, ["scene"])["scene"].tolist() == ["a"]


def test_a_line_that_the_disk_cannot_store_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JournalWriter(tmp_path)
    writer.append({"removed": ["a"]})
    real = os.write

    def full(handle: int, data: Any) -> int:
        monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        return real(handle, data[:10])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(MachineError, match="No space left"):
        writer.append({"removed": ["b"]})
    monkeypatch.setattr(os, "write", real)
    writer.append({"removed": ["c"]})
    writer.close()
    with open_journal(tmp_path) as journal:
        assert (journal.removed, journal.damaged) == ({"a", "c"}, [])


# --- kills -----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for a kill: nothing in the package catches it, and what was cleaned up on the way does no harm."""


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[str]]:
    """Kill at the write with this number, before it happens: lines, names and removals, in the order they come."""
    replace, write, unlink = files.Path.replace, os.write, files.Path.unlink
    done: list[str] = []

    def arm(number: int) -> list[str]:
        done.clear()

        def counted(what: str, real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                if what != "unlink" or arguments[0].name in ("journal.jsonl", ".held.json"):
                    if len(done) == number:
                        raise Killed
                    done.append(what)
                return real(*arguments, **options)

            return call

        monkeypatch.setattr(files.Path, "replace", counted("replace", replace))
        monkeypatch.setattr(files.Path, "unlink", counted("unlink", unlink))
        monkeypatch.setattr(os, "write", counted("write", write))
        return done

    return arm


def work(folder: Path) -> None:
    """What a run does with a folder: recover, hold, replace, change, remove, merge."""
    refuse_if_changed(folder)
    recover(folder, upgrade=True)
    ledger = Ledger.load(folder)
    if "gone" in ledger.scenes:
        ledger.drop("gone")
    enter(ledger, "b", 0.25)
    ledger.update({**dict(ledger.row("c") or {}), "group": "g"})
    enter(ledger, "new", 0.5)
    ledger.merge({**ENTRIES, "settings": {"iters": 5}})


@pytest.mark.parametrize("version", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_kill_at_any_write_is_recovered(
    version: int, tmp_path: Path, kill_at: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = made(tmp_path / "start", "a", "b", "c", "gone")
    if version == 1:
        as_format_1(start)
    with monkeypatch.context():
        work(shutil.copytree(start, tmp_path / "expected"))
    expected = content(tmp_path / "expected")
    total = 0
    while True:
        folder = shutil.copytree(start, tmp_path / f"killed-{total}")
        done = kill_at(total)
        try:
            work(folder)
        except Killed:
            kill_at(10**9)
        else:
            break
        assert changed_files(folder) == ()
        recorded = set(d2crealsr.read_manifest(folder, ["scene"])["scene"])  # no warning, nothing lost
        assert recorded >= {"a", "b", "c"}
        assert set(d2crealsr.read_residuals(folder)["scene"]) == recorded
        assert json.loads((folder / "dataset.json").read_text())["version"] in (version, 2)
        recover(shutil.copytree(folder, tmp_path / f"split-{total}"), upgrade=False)
        assert changed_files(tmp_path / f"split-{total}") == ()
        assert set(d2crealsr.read_manifest(tmp_path / f"split-{total}", ["scene"])["scene"]) == recorded
        for again in (folder, tmp_path / f"split-{total}"):
            files.remove_leftovers(again)
            work(again)
            assert content(again) == expected, (again, done)
        total += 1
    assert total >= 10


def test_splits_are_recorded_all_or_none(tmp_path: Path, kill_at: Callable[[int], list[str]]) -> None:
    start = made(tmp_path / "start", "a", "b", "c")
    cells = {scene: {"split": "train", "left_out_of": ""} for scene in "abc"}
    total = 0
    while True:
        folder = shutil.copytree(start, tmp_path / f"killed-{total}")
        kill_at(total)
        try:
            record_cells(folder, cells)
        except Killed:
            kill_at(10**9)
        else:
            break
        assert len(set(d2crealsr.read_manifest(folder, ["split"])["split"])) == 1
        recover(folder, upgrade=False)
        assert len(set(d2crealsr.read_manifest(folder, ["split"])["split"])) == 1
        assert changed_files(folder) == ()
        total += 1
    assert total == 5  # the line, the announcement, the manifest, dataset.json and the journal's end
