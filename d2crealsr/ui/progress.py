"""Progress of long work: silent in a library, a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
from rich.progress import TimeRemainingColumn as TimeLeft
from rich.text import Text

from d2crealsr.ui.terminal import echo, plain
from d2crealsr.ui.verbosity import is_quiet, is_verbose

if TYPE_CHECKING:
    from rich.progress import Task, TaskID

__all__ = ["ConsoleReporter", "Reporter"]

_LINE_SECONDS = 30.0


class Reporter:
    """Receives reports on progress. This base class is silent, for use in a library and in tests."""

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def note(self, text: str) -> None:
        """Report one line for people."""

    def start(self, what: str, total: int | None, done: int = 0) -> None:
        """Begin work of ``total`` parts (None if the number is unknown), of which ``done`` are done already."""

    def step(self, done: int, info: str = "") -> None:
        """Report that ``done`` parts are done. ``info`` is a short state, such as the loss."""

    def part(self, line: str, *, total: int | None = None, noteworthy: bool = False) -> None:
        """Report one more part with a line of its own. Beside a bar, only noteworthy lines are shown."""

    def finish(self) -> None:
        """End the work that was begun last."""

    def images(self, what: str) -> _Counter:
        """A callback ``(done, total)`` that reports its calls as one piece of work."""
        return _Counter(self, what)


class _Counter:
    def __init__(self, reporter: Reporter, what: str) -> None:
        self.reporter, self.what = reporter, what

    def __call__(self, done: int, total: int) -> None:
        if done == 1:
            self.reporter.start(self.what, total)
        self.reporter.step(done)
        if done == total:
            self.reporter.finish()


class _Rate(ProgressColumn):
    """Parts per second, or seconds per part if they are slow."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each")


class ConsoleReporter(Reporter):
    """Writes to standard error, so that the output of a command can be piped. As a context it removes its bar.

    It writes nothing if the command is to be quiet, and the line of every part if it is to be verbose.
    """

    def __init__(self) -> None:
        self._quiet, self._verbose = is_quiet(), is_verbose()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._what, self._total, self._first = "", 0, 0
        self._began = self._said = 0.0

    def note(self, text: str) -> None:
        if self._quiet:
            return
        if self._bar is None:
            echo(text, err=True)
        else:
            self._bar.console.print(Text(plain(text)), soft_wrap=True)

    def start(self, what: str, total: int | None, done: int = 0) -> None:
        self.finish()
        self._what, self._total, self._first = what, total or 0, done
        self._began = self._said = time.monotonic()
        if sys.stderr.isatty() and not self._quiet:
            shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeLeft())
            self._bar = Progress(*shown, TextColumn("{task.fields[info]}"), console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task(escape(plain(what)), total=total, completed=done, info="")

    def step(self, done: int, info: str = "") -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done)
            if info:
                self._bar.update(self._task, info=escape(plain(info)))
        elif time.monotonic() - self._said > _LINE_SECONDS:
            self._said = time.monotonic()
            left = (self._said - self._began) / max(1, done - self._first) * (self._total - done)
            self.note(f"{self._what}: {done} of {self._total}, {left:.0f} s left {info}".rstrip())

    def part(self, line: str, *, total: int | None = None, noteworthy: bool = False) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=1, total=total)
        if noteworthy or self._verbose or self._bar is None:
            self.note(line)

    def finish(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None
