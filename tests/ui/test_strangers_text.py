"""Text and files of strangers: nothing steers a terminal, no pipe or device is waited for, spreadsheets are told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from d2crealsr.errors import ImageError, LayoutError, TableError
from d2crealsr.store import files, images, layouts, ledger, locks
from d2crealsr.store.decisions import read_decisions
from d2crealsr.store.pairs import scene_problem
from d2crealsr.store.tables import read_rows
from d2crealsr.ui import terminal
from d2crealsr.ui.text import plain

if TYPE_CHECKING:
    from pathlib import Path

HARMFUL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u2028\u202eabc\u2066\x7f\r\ud800"


def test_what_steers_a_terminal_is_replaced() -> None:
    assert plain(HARMFUL) == "?]0;owned??[2J?31m??abc????"
    assert plain("ünï 写真 🎴\tone\nline") == "ünï 写真 🎴\tone\nline"


@pytest.fixture
def in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.usefixtures("in_colour")
def test_only_our_own_styles_reach_the_terminal() -> None:
    text = terminal.styled(["\x1b[31mred", terminal.Styled("\x1b[1mbold", {"bold": True}, "\x1b[0m")])
    assert text == "?[31mred\n" + click.style("?[1mbold", bold=True) + "?[0m"


@pytest.mark.usefixtures("in_colour")
@pytest.mark.parametrize(
    ("name", "value", "drawn"), [("NO_COLOR", "1", False), ("NO_COLOR", "", True), ("TERM", "dumb", False)]
)
def test_no_styles_where_none_are_wanted(name: str, value: str, drawn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    text = terminal.styled([terminal.Styled("4 findings", {"fg": "red", "bold": True}, " in all")])
    assert text == ("\x1b[31m\x1b[1m4 findings\x1b[0m in all" if drawn else "4 findings in all")


def test_printing_goes_through_one_place() -> None:
    @click.command()
    def command() -> None:
        terminal.echo(HARMFUL)
        terminal.echo(HARMFUL, err=True)

    result = CliRunner().invoke(command)
    assert result.output == 2 * (plain(HARMFUL) + "\n")


@pytest.mark.parametrize("scene", ["a\u2028b", "a\u2029", "\u202eabc", "a\u2066b", "=1", "+a", "-a", "@a", "a\x9bb"])
def test_scenes_that_no_table_may_hold(scene: str) -> None:
    assert scene_problem(scene)


def test_no_pipe_device_or_folder_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "device.png").symlink_to("/dev/zero")
    for name, kind in (("pipe", "a pipe"), ("folder", "a folder"), ("device", "a device")):
        path = tmp_path / f"{name}.png"
        for read in (files.read_bytes, files.sha256_of):
            with pytest.raises(OSError, match=f"is {kind}, expected a file"):
                read(path)
        for look in (images.read_image, images.read_size):
            with pytest.raises(ImageError, match=rf"{name}\.png: "):
                look(path)
        with pytest.raises(LayoutError, match=f"is {kind}, expected a file; give the CSV file"):
            read_rows(path)
        with pytest.raises(LayoutError, match=f"is {kind}, expected a file"):
            layouts.text_of(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"scene;decision;note\na;accept;\n", "its columns are separated by semicolons, expected commas"),
        (b"scene\tdecision\tnote\na\taccept\t\n", "its columns are separated by tabs, expected commas"),
        ("scene,decision,note\na,accept,\n".encode("utf-16"), "not a CSV file in UTF-8"),
        ("scene,decision,note\nä,accept,\n".encode("cp1252"), "not a CSV file in UTF-8"),
        (b"scene,decision,note\na\0,accept,\n", "control characters|NUL"),
    ],
)
def test_tables_of_other_encodings_are_told_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "d.csv").write_bytes(content)
    with pytest.raises(TableError, match=f"^[^\n]*d\\.csv[^\n]*({said})[^\n]*$"):
        read_decisions(tmp_path / "d.csv")


def test_what_spreadsheets_add_harmlessly_is_read(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes('\ufeff"scene","decision","note"\r\n"a","accept",""\r\n,,\r\n\r\n'.encode())
    assert read_decisions(tmp_path / "d.csv") == {"a": "accept"}


def test_a_pipe_among_the_files_that_commands_keep_is_not_waited_for(tmp_path: Path) -> None:
    for name in (".lock-holder", ".held.json"):
        os.mkfifo(tmp_path / name)
    assert locks._described(tmp_path) == "another process"
    assert ledger.Ledger.load(tmp_path).held == {}
