"""Rows of many short trainings, kept as soon as they are there, so that a program can be cut and goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import click

from benchmarks.asked import check_asked
from benchmarks.result_tables import Row, read_csv, text_table, write_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

__all__ = ["kept_rows", "numbers", "with_minutes"]

_Task = TypeVar("_Task")

_WHOLE, _TEXT = ("seed", "steps", "scale"), ("shifted", "remedy")

with_minutes = click.option(
    "--minutes", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Begin no run later."
)


def kept_rows(
    path: Path,
    tasks: Iterable[_Task],
    task_of: Callable[[Row], _Task],
    row_of: Callable[[_Task], Row],
    minutes: float,
    asked: Mapping[str, Any],
) -> list[Row]:
    """The rows in a file, and those of the tasks that it lacks, which are made until the minutes are over.

    Raises
    ------
    UsageError
        When the rows in the file are of something else than ``asked``.
    """
    check_asked(path.with_suffix(".asked.json"), asked)
    end = time.monotonic() + 60 * minutes
    rows = [numbers(row) for row in read_csv(path)] if path.exists() else []
    done = {task_of(row) for row in rows}
    for task in tasks:
        if time.monotonic() >= end:
            break
        if task not in done:
            rows.append(row_of(task))
            write_csv(path, rows)
            click.echo(text_table(rows[-1:]), err=True)
    return rows


def numbers(row: dict[str, str]) -> Row:
    """A stored row with numbers in place of text; an empty cell stays empty."""
    return {
        name: value if name in _TEXT or not value else int(value) if name in _WHOLE else float(value)
        for name, value in row.items()
    }
