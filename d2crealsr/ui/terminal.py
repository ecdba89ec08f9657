"""Print text safely. Both packages print only through this module, because their inputs may come from strangers.

A cell, a name or a message may contain escape sequences that clear the screen, forge lines, rename the window or change
the direction of text. They are replaced.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from d2crealsr.ui.text import plain
from d2crealsr.ui.verbosity import is_quiet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Styled", "echo", "note", "plain", "styled"]


class Styled(NamedTuple):
    """A line whose beginning has a style (as for ``click.style``), and the rest of the line without a style."""

    text: str
    style: Mapping[str, Any]
    rest: str = ""


def styled(lines: Iterable[str | Styled]) -> str:
    """Join lines to a text that has no escape sequences except those of the styles.

    There are no styles if ``NO_COLOR`` is in the environment (no-color.org), or on a terminal that has none.
    """
    without = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"

    def drawn(line: Styled) -> str:
        text = plain(line.text)
        return (text if without else click.style(text, **line.style)) + plain(line.rest)

    return "\n".join(plain(line) if isinstance(line, str) else drawn(line) for line in lines)


def echo(text: object, *, err: bool = False) -> None:
    """Print a text from any source to standard output or standard error, after :func:`plain`."""
    click.echo(plain(str(text)), err=err)


def note(text: str) -> None:
    """Print a note about a result to standard error, unless the command is to be quiet."""
    if not is_quiet():
        echo(f"Note: {text}", err=True)
