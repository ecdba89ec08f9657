"""How much a command says, and the help of every command."""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner

from d2c.cli import cli as d2c_program
from d2crealsr.command.cli import main as toolkit
from d2crealsr.ui.program import Program
from d2crealsr.ui.progress import ConsoleReporter
from d2crealsr.ui.terminal import note

COMMANDS = [
    *(("d2crealsr", toolkit, name) for name in sorted(toolkit.commands)),
    *(("d2c", d2c_program, name) for name in sorted(d2c_program.commands)),
]


@click.group(cls=Program)
def program() -> None:
    """Do things."""


@program.command()
def work() -> None:
    with ConsoleReporter() as reporter:
        reporter.start("working", 2)
        reporter.part("one is done")
        reporter.part("two looks odd", noteworthy=True)
        note("there were two")
        click.echo("the result")


def said(*options: str) -> tuple[str, str]:
    result = CliRunner().invoke(program, ["work", *options])
    assert result.exit_code == 0
    return result.stdout, result.stderr


def test_a_quiet_command_prints_its_result_only() -> None:
    assert said("--quiet") == said("-q") == ("the result\n", "")


def test_without_a_terminal_every_part_is_a_line_in_any_case() -> None:
    assert said() == said("-v") == ("the result\n", "one is done\ntwo looks odd\nNote: there were two\n")


def test_beside_a_bar_only_a_verbose_command_has_a_line_for_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(ConsoleReporter, "note", lambda _, text: lines.append(text))

    def bar(self: ConsoleReporter, *_: object) -> None:
        self._bar, self._task = _Bar(), 0

    monkeypatch.setattr(ConsoleReporter, "start", bar)
    said()
    assert lines == ["two looks odd"]
    said("--verbose")
    assert lines == ["two looks odd", "one is done", "two looks odd"]


class _Bar:
    def update(self, *_: object, **__: object) -> None: ...

    def stop(self) -> None: ...


def test_verbose_and_quiet_exclude_each_other() -> None:
    result = CliRunner().invoke(program, ["work", "-v", "-q"])
    assert result.exit_code == 2
    assert "--verbose and --quiet exclude each other; give one of them" in result.stderr


@pytest.mark.parametrize(("name", "commands", "command"), COMMANDS)
def test_every_help_has_an_example_and_fits_80_columns(name: str, commands: click.Group, command: str) -> None:
    if name == "d2c":
        pytest.importorskip("torch", reason="torch is not installed (extra 'train')")
    result = CliRunner(env={"COLUMNS": "80"}).invoke(commands, [command, "--help"], prog_name=name)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert f"  {name} {command} " in result.stdout or f"  {name} {command}\n" in result.stdout
    assert "Examples:" in lines
    assert [line for line in lines if len(line) > 80 or line != line.rstrip()] == []
    assert "[ARGS]" not in result.stdout


@pytest.mark.parametrize(("name", "commands", "command"), COMMANDS)
def test_every_option_is_in_the_help(name: str, commands: click.Group, command: str) -> None:
    if name == "d2c":
        pytest.importorskip("torch", reason="torch is not installed (extra 'train')")
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(commands, [command, "--help"], prog_name=name).stdout
    words = re.findall(r"--[a-z0-9-]+", shown)
    options = [each for each in commands.commands[command].params if isinstance(each, click.Option) and not each.hidden]
    assert {name for each in options for name in each.opts if name.startswith("--")} - set(words) == set()


@pytest.mark.parametrize(("program_", "command"), [(toolkit, "align"), (d2c_program, "train")])
def test_options_of_long_commands_stand_in_groups(program_: click.Group, command: str) -> None:
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(program_, [command, "--help"]).stdout.splitlines()
    (last,) = [number for number, line in enumerate(shown) if line == "Options:"]
    assert [line.split()[0].strip(",") for line in shown[last + 1 : last + 9] if line.startswith("  -")] == [
        "-v",
        "-q",
        "--debug",
        "-h",
    ]
