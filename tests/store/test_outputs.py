"""A file that a person names for a result replaces one of its own kind, and nothing else."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from d2crealsr.command.cli import main
from d2crealsr.errors import UsageError
from d2crealsr.store import outputs
from d2crealsr.store.files import write_text

WHAT = ("a table of x", ("scene", "error"))


def check(path: Path, *inputs: Path) -> None:
    outputs.check_tables([(path, *WHAT)], inputs)


def test_new_names_tables_of_its_own_kind_and_empty_files_are_taken(tmp_path: Path) -> None:
    check(tmp_path / "new" / "deep" / "x.csv")
    assert not (tmp_path / "new").exists()
    for content in ("", "scene,error\n", "scene,error\r\n1,2\r\n", "\ufeffscene,error\r\n"):
        (tmp_path / "x.csv").write_text(content)
        check(tmp_path / "x.csv")


def test_a_table_of_an_earlier_version_is_taken(tmp_path: Path) -> None:
    table = tmp_path / "x.csv"
    table.write_text("scene\n1\n")
    outputs.check_tables([(table, *WHAT)], earlier=[("scene",)])
    with pytest.raises(UsageError, match="holds something else"):
        outputs.check_tables([(table, *WHAT)], earlier=[("error",)])


@pytest.mark.parametrize(
    "content", ["mine", "scene,error,notes\n", "scene\n", "error,scene\n", " scene,error\n", "\0", "scene,error" * 9]
)
def test_anything_else_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(UsageError, match=r"x\.csv: holds something else than a table of x, and is not replaced"):
        check(tmp_path / "x.csv")


def test_folders_links_and_pipes_are_no_place_for_a_table(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("scene,error\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "own.csv")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name, said in (("folder", "a folder"), ("link", "a link"), ("broken", "a link"), ("pipe", "no plain file")):
        with pytest.raises(UsageError, match=f"{name}: is {said}, expected a file"):
            check(tmp_path / name)


def test_names_that_are_too_long_are_refused_before_the_work(tmp_path: Path) -> None:
    check(tmp_path / ("x" * 251 + ".csv"))
    for place in ("x" * 252 + ".csv", "ä" * 128, "new/" + "y" * 256 + "/x.csv"):
        with pytest.raises(UsageError, match=r"…: this name is 25\d bytes long, at most 255 are possible; choose"):
            check(tmp_path / place)
    with pytest.raises(UsageError, match="the name is too long for its file system"):
        outputs.check_folder(tmp_path.joinpath(*["z" * 200] * 25))
    write_text(tmp_path / ("a." + "b" * 253), "a long ending")


@pytest.mark.parametrize(
    "command",
    [
        ["align", "{raw}", "--out", "{long}"],
        ["simulate", "--out", "{long}"],
        ["audit", "{raw}", "--out", "{long}"],
        ["report", "{raw}", "--out", "{long}"],
        ["validate", "{raw}", "--truth", "{raw}/truth.csv", "--csv", "{long}"],
    ],
)
def test_every_command_that_writes_says_that_a_name_is_too_long(command: list[str], tmp_path: Path) -> None:
    raw = Path(__file__).parents[1] / "earlier/v0.1.0" / ("raw" if command[0] == "align" else "pairs")
    long = tmp_path / ("x" * 300)
    result = CliRunner().invoke(main, [part.format(raw=raw, long=long) for part in command])
    assert result.exit_code == 2, result.output
    assert re.search(r"…: (the|this) name is .*; choose a shorter one$", result.stderr.strip())


def test_an_input_is_known_by_any_name(tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text("scene,error\n")
    os.link(truth, tmp_path / "second")
    (tmp_path / "sub").mkdir()
    for path in (truth, tmp_path / "second", tmp_path / "sub" / ".." / "truth.csv"):
        with pytest.raises(UsageError, match="is an input of this command"):
            check(path, truth)


def test_two_results_are_two_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="named for another result"):
        outputs.check_tables([(tmp_path / "x", *WHAT), (None, *WHAT), (tmp_path / "." / "x", *WHAT)])


def test_places_that_take_no_files_are_said_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file is no folder, so nothing can be written there"):
        check(tmp_path / "file" / "x.csv")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UsageError, match="may not be written to"):
        check(tmp_path / "x.csv")


@pytest.mark.parametrize("option", ["audit --out", "audit --fields", "validate --csv"])
def test_commands_check_before_they_work(tmp_path: Path, option: str) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    command, name = option.split()
    more = ["--truth", str(tmp_path / "truth.csv")] if command == "validate" else []
    done = CliRunner().invoke(main, [command, str(tmp_path / "nowhere"), *more, name, str(tmp_path / "mine.txt")])
    assert (done.exit_code, (tmp_path / "mine.txt").read_text()) == (2, "mine")
    assert "mine.txt: holds something else than" in done.stderr
