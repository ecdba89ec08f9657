"""What every program has in common: it starts, is listed in the README, and stores what it prints."""

from __future__ import annotations

import importlib
import importlib.util
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from benchmarks.program import numbers_in, print_and_store, program, with_out, with_small
from benchmarks.result_tables import read_csv
from d2crealsr.errors import MachineError, SettingsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("benchmarks", "tests/robustness")
    for path in (ROOT / folder).rglob("*.py")
    if "@program(" in path.read_text(encoding="utf-8") and not path.name.startswith(("test_", "program"))
)

ON_A_BARE_MACHINE = "benchmarks.speed.on_cuda"
"""Written without click, because it runs where nothing but PyTorch and NumPy is installed."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_starts_and_its_folder_lists_it(name: str) -> None:
    try:
        main = importlib.import_module(name).main
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")
    shown = CliRunner().invoke(main, ["--help"])
    assert shown.exit_code == 0
    assert name.endswith("audit_city100") or "to see that it works" in " ".join(shown.output.split())
    package, _, row = name.partition(".") if name.startswith("benchmarks") else name.rpartition(".")
    readme = ROOT.joinpath(*package.split(".")) / "README.md"
    assert f"| `{row}` |" in readme.read_text(encoding="utf-8")


def test_the_program_for_a_bare_machine_starts_and_its_folder_lists_it(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="torch is not installed (extra 'train')")
    with pytest.raises(SystemExit) as end:
        importlib.import_module(ON_A_BARE_MACHINE).main(["--help"])
    assert end.value.code == 0
    assert "to see that it works" in " ".join(capsys.readouterr().out.split())
    assert "| `speed.on_cuda` |" in (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")


def test_all_programs_are_found() -> None:
    assert len(PROGRAMS) >= 15


def test_stored_commands_are_those_of_today() -> None:
    """Every stored result names a program that is there."""
    folders = (ROOT / "benchmarks" / "results", ROOT / "tests" / "robustness" / "results")
    stored = [path.read_text(encoding="utf-8") for folder in folders for path in folder.glob("*.[tm]*")]
    assert {name for text in stored for name in re.findall(r"python (?:-m )?([a-z]\S*\w)", text)} == {
        *PROGRAMS,
        ON_A_BARE_MACHINE,
    }


def test_a_wheel_holds_neither_benchmarks_nor_tests() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["setuptools"]["packages"]["find"]["include"] == ["d2crealsr*", "d2c*"]


def made(work: Callable[[int, Path | None], None]) -> click.Command:
    """A program whose option ``--count`` is 9 by default, and 2 with ``--small``."""
    command = with_small("Two", count=2)(with_out(click.option("--count", default=9)(work)))
    return program("What it does.")(command)


def test_small_changes_defaults_and_nothing_that_is_given() -> None:
    counting = made(lambda count, out: click.echo(count))
    for arguments, count in (([], 9), (["--small"], 2), (["--count", "5", "--small"], 5)):
        assert CliRunner().invoke(counting, arguments).output == f"{count}\n"


@pytest.mark.parametrize(("error", "code"), [(SettingsError("count: got 9"), 2), (MachineError("disk full"), 1)])
def test_an_expected_error_is_one_line_with_its_exit_code(error: Exception, code: int) -> None:
    def fail(count: int, out: Path | None) -> None:
        raise error

    done = CliRunner().invoke(made(fail), [])
    assert done.exit_code == code
    assert done.stderr == f"Error: {error}\n"


def test_an_error_of_the_system_is_one_line(tmp_path: Path) -> None:
    def fail(count: int, out: Path | None) -> None:
        (tmp_path / "not there").rename(tmp_path / "other")

    done = CliRunner().invoke(made(fail), [])
    paths = f"{tmp_path / 'not there'}, {tmp_path / 'other'}"
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"Error: {paths}: ")
    assert done.stderr.endswith("; check the paths in the command\n")


@pytest.mark.parametrize("out", [".", "..", "folder/..", "folder.txt", "file/table"])
def test_a_place_where_nothing_can_be_stored_is_refused_before_the_work(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for name in ("folder", "folder.txt"):
        (tmp_path / name).mkdir()
    done = CliRunner().invoke(made(lambda count, out: pytest.fail("worked")), ["--out", out], catch_exceptions=False)
    assert (done.exit_code, "Invalid value for '--out'" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        *((f"training.{name}", "--photos") for name in ("misalignment", "postcards", "how_many_cards", "builtin_x8")),
        ("training.training_evidence", "--city100"),
        ("accuracy.two_homographies", "--pairs"),
        ("accuracy.refinement_and_blocks", "--pairs"),
        ("accuracy.small_and_turned", "--photos"),
        ("accuracy.own_detail", "--rejudge"),
        ("accuracy.own_detail", "--net"),
    ],
)
def test_what_is_read_must_be_there(name: str, option: str, tmp_path: Path) -> None:
    main = pytest.importorskip(f"benchmarks.{name}", exc_type=ImportError).main
    needed = {"how_many_cards": [], "builtin_x8": ["data"], "training_evidence": ["gain"]}
    given = [*needed.get(name.partition(".")[2], []), option, str(tmp_path / "absent")]
    work = ["--work", str(tmp_path / "work")] if name.startswith("training.") else []
    done = CliRunner().invoke(main, [*given, *work], catch_exceptions=False)
    assert (done.exit_code, "does not exist" in done.stderr) == (2, True)


@pytest.mark.parametrize("name", ["demosaics", "raw"])
def test_a_package_that_is_lacking_is_named_before_the_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    main = importlib.import_module(f"benchmarks.accuracy.{name}").main
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr("benchmarks.program.Run.each", lambda *_, **__: pytest.fail("worked"))
    done = CliRunner().invoke(main, ["--small"], catch_exceptions=False)
    assert (done.exit_code, "rawpy is not installed; run: pip install '.[raw]'" in done.stderr) == (2, True)


def test_numbers_are_read_with_commas_between() -> None:
    assert numbers_in("1, 20,3,", "--x") == [1, 20, 3]
    assert numbers_in("", "--x") == []
    with pytest.raises(UsageError, match=r"--x: got '-1', expected numbers from 1 on .*; change --x"):
        numbers_in("4,-1", "--x")


@pytest.mark.parametrize("name", ["table", "table.txt", "table-0.5"])
def test_what_is_printed_is_stored_with_its_rows(name: str, tmp_path: Path) -> None:
    def store(count: int, out: Path | None) -> None:
        print_and_store("a figure", out, {"": [{"a": 1}], "-more": [{"b": 2}]})

    done = CliRunner().invoke(made(store), ["--out", str(tmp_path / name)])
    stem = name.removesuffix(".txt")
    text = (tmp_path / f"{stem}.txt").read_text(encoding="utf-8")
    assert text == done.output
    assert text.startswith("a figure\n\ncommand:  python -m ")
    assert read_csv(tmp_path / f"{stem}.csv") == [{"a": "1"}]
    assert read_csv(tmp_path / f"{stem}-more.csv") == [{"b": "2"}]


def test_in_markdown_the_result_stands_under_its_heading(tmp_path: Path) -> None:
    print_and_store("a figure", tmp_path / "x.md", heading="Figures")
    text = (tmp_path / "x.md").read_text(encoding="utf-8")
    assert text.startswith("# Figures\n\n```text\na figure\n\ncommand:")
    assert text.endswith("\n```\n")
