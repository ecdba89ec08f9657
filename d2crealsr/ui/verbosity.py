"""How much a command says while it works: the options ``--verbose``, ``--quiet`` and ``--debug`` of every command."""

from __future__ import annotations

from typing import Any

import click
import rich_click

__all__ = ["common_options", "is_quiet", "is_verbose"]

_KEY = "d2crealsr.verbosity"


def common_options() -> list[click.Parameter]:
    """The options that every command has."""
    verbose = "Print a line for every finished part, also beside a progress bar."
    quiet = "Print results and errors only: no progress, and no notes."
    return [
        _flag("-v", "--verbose", help=verbose, callback=_remember),
        _flag("-q", "--quiet", help=quiet, callback=_remember),
        _flag("--debug", help="Show tracebacks."),
    ]


def _flag(*names: str, **more: Any) -> click.Parameter:
    return rich_click.RichOption(names, is_flag=True, expose_value=False, panel="Options", **more)


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    asked = ctx.meta.setdefault(_KEY, set())
    if value:
        asked.add(param.name)
    if len(asked) > 1:
        raise click.UsageError("--verbose and --quiet exclude each other; give one of them", ctx)


def is_quiet() -> bool:
    """Whether the running command was given ``--quiet``. False outside a command."""
    return "quiet" in _asked()


def is_verbose() -> bool:
    """Whether the running command was given ``--verbose``. False outside a command."""
    return "verbose" in _asked()


def _asked() -> set[str]:
    context = click.get_current_context(silent=True)
    return set() if context is None else context.meta.get(_KEY, set())
