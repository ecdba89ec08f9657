"""Progress: nothing in a library, a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import io
import re

import pytest

from d2crealsr.ui import progress
from d2crealsr.ui.progress import ConsoleReporter, Reporter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error as a terminal, from now on; a fixture would be too early, as pytest's own capture comes later."""
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    return shown


def test_the_base_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter() as reporter:
        reporter.note("a")
        reporter.start("work", 2)
        reporter.step(1)
        reporter.part("b", noteworthy=True)
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_every_part_with_a_line_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with ConsoleReporter() as reporter:
        reporter.start("work", 2)
        reporter.part("[1/2] a\x1b[2J")
        reporter.note("a note :car: [bold]")
    assert capsys.readouterr() == ("", "[1/2] a?[2J\na note :car: [bold]\n")


def test_without_a_terminal_steps_are_told_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with ConsoleReporter() as reporter:
        reporter.start("stage 1", 100, done=10)
        reporter.step(11, "loss 0.5")
        now = 40.0
        reporter.step(50, "loss 0.4")
    assert capsys.readouterr().err == "stage 1: 50 of 100, 50 s left loss 0.4\n"


def test_a_bar_shows_the_parts_and_lines_that_deserve_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with ConsoleReporter() as reporter:
        reporter.start("measuring", None)
        reporter.part("[1/2] quiet", total=2)
        reporter.part("[2/2] [bold]odd[/bold] :car:", noteworthy=True)
    assert "measuring" in terminal.text()
    assert "2/2" in terminal.text()
    assert "[2/2] [bold]odd[/bold] :car:" in terminal.text()
    assert "quiet" not in terminal.text()


def test_an_error_leaves_no_bar_and_no_hidden_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with contextlib.suppress(ZeroDivisionError), ConsoleReporter() as reporter:
        reporter.start("work", 2)
        reporter.step(1 // 0)
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l")


def test_a_counter_is_one_piece_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with ConsoleReporter() as reporter:
        told = reporter.images("decoding")
        told(1, 2)
        told(2, 2)
    assert "decoding" in terminal.text()
    assert "2/2" in terminal.text()
