"""Every command that the documentation, the README and the help show is one that the programs understand."""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.exceptions import Exit
from click.testing import CliRunner

from d2c.cli import cli as d2c
from d2crealsr.command.cli import main as d2crealsr

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/reference").glob("*.md")),
]
PROGRAMS: dict[str, click.Group] = {"d2crealsr": d2crealsr, "d2c": d2c}
SHOWN = re.compile(r"^\s*(?:\$ |torchrun .* -m )?((?:d2crealsr|d2c) [^|;&>…\n]*)", re.M)


def commands_in(text: str) -> Iterator[str]:
    """The commands of a text, each without a comment: what follows a ``#``, or three spaces."""
    for found in SHOWN.finditer(text.replace("\\\n", " ")):
        yield re.split(r"\s#|\s{3,}", found[1].strip())[0].strip()


def code_blocks(text: str) -> str:
    """The indented and fenced code blocks of a page."""
    fenced = re.findall(r"^```(?:text|bash|sh|console)?\n(.*?)^```", text, re.M | re.S)
    indented = re.findall(r"(?:^\n|\A)((?:^    .*\n)+)", text, re.M)
    return "\n".join([*fenced, *indented])


def in_sentences(text: str) -> Iterator[str]:
    """The commands between backticks. They may lack what the sentence does not speak of."""
    for found in re.findall(r"`((?:d2crealsr|d2c) [a-z][^`…]*)[`…]", text):
        yield " ".join(found.split())


def helps() -> Iterator[tuple[str, str]]:
    for name, program in PROGRAMS.items():
        for command in (None, *program.commands):
            shown = CliRunner().invoke(program, ["--help"] if command is None else [command, "--help"]).stdout
            for line in commands_in(shown):
                yield f"{name} {command or ''} --help".replace("  ", " "), line


WHOLE = [*((p.name, line) for p in PAGES for line in commands_in(code_blocks(p.read_text(encoding="utf-8")))), *helps()]
IN_PART = [(p.name, line) for p in PAGES for line in in_sentences(p.read_text(encoding="utf-8"))]
SYNOPSIS = re.compile(r"\[[-A-Z]|--[a-z]+-[A-Z]")
FOUND = {(where, line, True) for where, line in WHOLE} | {(where, line, False) for where, line in IN_PART}


@pytest.mark.parametrize(("where", "command", "whole"), sorted(each for each in FOUND if not SYNOPSIS.search(each[1])))
def test_a_command_that_is_shown_is_understood(
    where: str, command: str, whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name, *words = shlex.split(command)
    if "--network" in words and ":" in "".join(words[words.index("--network") :]):
        pytest.skip("the network is the reader's own")
    program = PROGRAMS[name]
    if name == "d2c":
        pytest.importorskip("torch", reason="torch is not installed (extra 'train')")
    if words[0].startswith("-"):
        assert CliRunner().invoke(program, words).exit_code == 0
        return
    chosen = program.commands.get(words[0])
    assert chosen is not None, f"{where}: there is no command {words[0]!r}"
    lacking = () if whole else (click.MissingParameter, click.BadOptionUsage)
    with program.make_context(name, [], resilient_parsing=True) as parent, contextlib.suppress(Exit, *lacking):
        chosen.make_context(words[0], words[1:], parent=parent).close()


def test_the_pages_show_commands() -> None:
    assert len(FOUND) > 100
    assert {name for _, line, _ in FOUND for name in [line.split()[0]]} == {"d2crealsr", "d2c"}


def test_targets_of_make_and_benchmarks_that_are_shown_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {name for line in re.findall(r"^([a-z -]+):(?!=)", makefile, re.M) for name in line.split()}
    pages = [page.read_text(encoding="utf-8") for page in (*PAGES, ROOT / "benchmarks/README.md")]
    shown = {name for page in pages for name in re.findall(r"(?:`|^    )make ([a-z-]+)", page, re.M)}
    programs = {name for page in pages for name in re.findall(r"python -m (benchmarks[a-z0-9_.]+[a-z0-9])", page)}
    assert len(shown) > 15
    assert shown - targets == set()
    assert len(programs) > 2
    assert [name for name in programs if not (ROOT / f"{name.replace('.', '/')}.py").is_file()] == []


SHELLS = {
    "bash": "complete -o nosort -F",
    "zsh": "#compdef d2crealsr",
    "fish": "complete --no-files --command d2crealsr",
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_lines_for_completion_work(shell: str, name: str) -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert f"_{name.upper()}_COMPLETE={shell}_source {name}" in page
    source = completed(name, shell + "_source")
    assert SHELLS[shell].replace("d2crealsr", name) in source


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("d2crealsr al", ["align"]),
        ("d2crealsr align captures --max-hr", ["--max-hr-clipped"]),
        ("d2crealsr align captures --qa-profile s", ["strict"]),
        ("d2crealsr export pairs --layout b", ["basicsr"]),
        ("d2c train --data pairs --preset ti", ["tiny"]),
    ],
)
def test_the_shell_completes_commands_options_and_values(typed: str, offered: list[str]) -> None:
    words = typed.split(" ")
    variables = {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    lines = completed(words[0], "bash_complete", **variables).splitlines()
    assert [line.partition(",")[2] for line in lines] == offered


def completed(name: str, instruction: str, **variables: str) -> str:
    runner = CliRunner(env={f"_{name.upper()}_COMPLETE": instruction, **variables})
    return runner.invoke(PROGRAMS[name], [], prog_name=name).stdout
