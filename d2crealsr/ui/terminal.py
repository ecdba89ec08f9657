"""All that both packages print goes through here, since a table, a file or a tensor may be a stranger's.

A cell, a name or a message may hold escape sequences that clear the screen, forge lines, rename the window or turn the
direction of text: they are replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from d2crealsr.ui.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Styled", "echo", "plain", "styled"]


class Styled(NamedTuple):
    """A line whose beginning has a style (as ``click.style`` takes it), and what follows it without."""

    text: str
    style: Mapping[str, Any]
    rest: str = ""


def styled(lines: Iterable[str | Styled]) -> str:
    """Lines as one text in which the only escape sequences are those of the styles."""
    return "\n".join(
        plain(line) if isinstance(line, str) else click.style(plain(line.text), **line.style) + plain(line.rest)
        for line in lines
    )


def echo(text: object, *, err: bool = False) -> None:
    """Print a text that may come from anywhere, :func:`plain`, to standard output or standard error."""
    click.echo(plain(str(text)), err=err)
