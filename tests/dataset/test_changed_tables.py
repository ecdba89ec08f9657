"""Tables that somebody edited: commands that read warn and go on, and those that write refuse until it is accepted."""

from __future__ import annotations

import importlib.util
import json
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import d2crealsr
from d2crealsr.command.cli import main
from d2crealsr.dataset.split import split
from d2crealsr.dataset.verify import accept_edits, verify
from d2crealsr.errors import ChangedWarning, LayoutError, LockError, TableError
from d2crealsr.store.changes import refuse_if_changed
from d2crealsr.store.layouts import find_pair_folder
from d2crealsr.store.ledger import Ledger
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.merge import merge_journal
from d2crealsr.store.pairs import load_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

EARLIER = Path(__file__).parents[1] / "earlier" / "v0.1.0"
SAID = "changed since it was written"


@pytest.fixture
def format_1(tmp_path: Path) -> Path:
    shutil.copytree(EARLIER / "raw", tmp_path / "raw")
    return shutil.copytree(EARLIER / "pairs", tmp_path / "pairs")


@pytest.fixture
def pairs(format_1: Path) -> Path:
    merge_journal(format_1, upgrade=True)
    return format_1


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def edit_two(pairs: Path) -> None:
    edit(pairs / "manifest.csv", "coffee,accepted,,train", "coffee,accepted,,test")
    edit(pairs / "residuals.csv", "0.072675", "0.072676")


def content(pairs: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in pairs.iterdir() if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize("command", ["summary", "report"])
def test_commands_that_read_say_it_once_and_go_on(command: str, pairs: Path) -> None:
    if command == "report" and importlib.util.find_spec("jinja2") is None:
        pytest.skip("the report needs jinja2")
    edit_two(pairs)
    done = run(command, pairs)
    assert done.exit_code == 0, done.output
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("Warning: ")]
    assert f"manifest.csv, residuals.csv: each was {SAID}" in warning
    assert "verify --accept-edits" in warning


def test_the_command_that_is_named_can_be_pasted(pairs: Path) -> None:
    moved = pairs.rename(pairs.with_name("pär's pairs"))
    edit_two(moved)
    with pytest.raises(TableError) as raised:
        refuse_if_changed(moved)
    said = str(raised.value).partition("run ")[2]
    assert shlex.split(said) == ["d2crealsr", "verify", "--accept-edits", str(moved)]


@pytest.mark.parametrize("name", ["manifest.csv", "alignment.csv", "residuals.csv", "dataset.json"])
def test_readers_warn_of_every_file(name: str, pairs: Path) -> None:
    with (pairs / name).open("a") as file:
        file.write("\n")
    for read in (d2crealsr.read_manifest, d2crealsr.read_residuals, find_pair_folder):
        with pytest.warns(ChangedWarning, match=rf"pairs: {name} was {SAID}") as caught:
            read(pairs)
        assert len(caught) == 1
    assert [f"{one.code} {one.where}" for one in verify(pairs).findings] == [f"changed_table {name}"]


@pytest.mark.parametrize("command", ["align", "split", "export"])
def test_commands_that_write_refuse_and_change_nothing(command: str, pairs: Path, tmp_path: Path) -> None:
    edit_two(pairs)
    before = content(pairs)
    arguments: dict[str, list[str | Path]] = {
        "align": ["align", tmp_path / "raw", "--out", pairs],
        "split": ["split", pairs, "--test", "1"],
        "export": ["summary", pairs, "--parquet", tmp_path / "tables"],
    }
    done = run(*arguments[command])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert SAID in done.stderr
    assert done.stderr.count("\n") == 1
    assert content(pairs) == before
    assert not (tmp_path / "tables").exists()


@pytest.mark.parametrize("damaged", ["", "{", "[]", "format 1"])
def test_a_description_that_is_no_more_json_or_names_another_format_is_changed(damaged: str, pairs: Path) -> None:
    if damaged == "format 1":
        edit(pairs / "dataset.json", '"version": 2', '"version": 1')
    else:
        (pairs / "dataset.json").write_text(damaged)
    with pytest.warns(ChangedWarning, match=rf"dataset\.json was {SAID}"):
        d2crealsr.read_manifest(pairs)
    before = content(pairs)
    assert f"dataset.json was {SAID}" in run("split", pairs, "--test", "1").stderr
    assert content(pairs) == before


def test_a_table_that_is_gone_is_not_left_out_of_an_export(pairs: Path, tmp_path: Path) -> None:
    (pairs / "residuals.csv").unlink()
    done = run("summary", pairs, "--parquet", tmp_path / "tables")
    assert done.exit_code == 2
    assert "residuals.csv is not there; restore it, or run d2crealsr align again" in done.stderr
    assert not (tmp_path / "tables").exists()


def test_scene_names_that_a_program_read_as_numbers_are_not_accepted(pairs: Path) -> None:
    for name in ("manifest.csv", "alignment.csv", "residuals.csv", "timings.csv"):
        (pairs / name).write_text((pairs / name).read_text().replace("coffee", "0007"))
    for kind in ("hr", "lr"):
        (pairs / kind / "coffee.png").rename(pairs / kind / "0007.png")
    accept_edits(pairs)
    (pairs / "manifest.csv").write_text((pairs / "manifest.csv").read_text().replace("\n0007,", "\n7,"))
    before = content(pairs)
    with pytest.raises(TableError, match=r"manifest\.csv: got scene 7, expected 0007 as in the other tables"):
        accept_edits(pairs)
    assert content(pairs) == before


def test_an_edit_is_accepted_as_it_is(pairs: Path) -> None:
    edit_two(pairs)
    done = run("verify", pairs, "--accept-edits")
    assert done.exit_code == 0
    assert done.output.splitlines() == ["accepted: manifest.csv, residuals.csv", "4 scenes, 3 accepted: clean"]
    assert "0.072676" in (pairs / "residuals.csv").read_text()
    assert "coffee" in split(pairs, test=2).test
    assert run("verify", pairs, "--accept-edits").output.splitlines()[0] == "no table was changed since it was written"


def test_an_edit_that_breaks_the_format_is_not_accepted(pairs: Path) -> None:
    edit(pairs / "manifest.csv", "coffee,accepted", "coffee,perhaps")
    before = content(pairs)
    with pytest.raises(TableError, match="column status: got 'perhaps'"):
        accept_edits(pairs)
    assert content(pairs) == before
    with lock_folder(pairs), pytest.raises(LockError):
        accept_edits(pairs)


def test_an_edited_description_is_accepted_with_its_entries(pairs: Path) -> None:
    edit(pairs / "dataset.json", '"licence": ""', '"licence": "CC0"')
    assert accept_edits(pairs) == ("dataset.json",)
    assert json.loads((pairs / "dataset.json").read_text())["licence"] == "CC0"
    assert verify(pairs).findings == ()


def test_format_1_has_nothing_to_accept_and_split_leaves_its_version(format_1: Path) -> None:
    edit_two(format_1)
    before = (format_1 / "dataset.json").read_bytes()
    with pytest.raises(LayoutError, match="is of format 1, which has no checksums"):
        accept_edits(format_1)
    split(format_1, test=1, resplit=True)
    assert (format_1 / "dataset.json").read_bytes() == before
    assert verify(format_1).findings == ()


def test_a_damaged_table_of_format_1_is_not_brought_to_format_2(format_1: Path, tmp_path: Path) -> None:
    edit(format_1 / "residuals.csv", "0.072675", "0.07x675")
    (format_1 / "journal.jsonl").write_bytes(b"")
    before = content(format_1)
    done = run("align", tmp_path / "raw", "--out", format_1)
    assert done.exit_code == 2
    assert "residuals.csv, row 2, column dx_hr_px: got '0.07x675'" in done.stderr
    assert content(format_1) == before


def as_a_spreadsheet(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b",,,,,\r\n")


def in_another_order(path: Path) -> None:
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([f"{header},notes", *(f'{row},"a, b"' for row in reversed(rows))]) + "\n")


@pytest.mark.parametrize("spoil", [as_a_spreadsheet, in_another_order])
def test_a_table_in_another_form_is_merged_to_the_usual_one(spoil: Callable[[Path], None], pairs: Path) -> None:
    before = content(pairs)
    tables = {name: load_table(pairs, name) for name in ("alignment.csv", "residuals.csv")}
    for name in tables:
        spoil(pairs / name)
    accept_edits(pairs)
    with_notes = spoil is in_another_order
    scene = "rocket"
    ledger = Ledger.load(pairs)
    ledger.replace(dict(ledger.row(scene) or {}), timings=[{"scene": scene, "seconds": 1.0}])
    ledger.merge()
    for name, table in tables.items():
        now = load_table(pairs, name)
        kept = table[table["scene"] != scene].reset_index(drop=True)
        if with_notes:
            assert set(now["notes"]) == {"a, b"}
            now = now.drop(columns="notes").sort_values(list(table.columns[:3]), ignore_index=True)
            kept = kept.sort_values(list(table.columns[:3]), ignore_index=True)
        else:
            assert (pairs / name).read_bytes().startswith(before[name].splitlines()[0] + b"\n")
            assert b"\r" not in (pairs / name).read_bytes()
        assert now.equals(kept)
