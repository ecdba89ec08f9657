"""The options of ``summary`` for exports, taken from their table."""

from __future__ import annotations

import importlib
from functools import cached_property
from pathlib import Path

import click
import rich_click

from d2crealsr.ui.program import Command

__all__ = ["ExportCommand"]


class ExportCommand(Command):
    """A command with an option for each export, which names the folder that it writes into."""

    @cached_property
    def _exports(self) -> list[click.Parameter]:
        table = importlib.import_module("d2crealsr.dataset.exports").EXPORTS
        folder = click.Path(path_type=Path)
        return [
            rich_click.RichOption(
                [f"--{each.name}"], type=folder, metavar="DIR", help=each.words, panel="Tables for other tools"
            )
            for each in table
        ]

    def more_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options of the exports."""
        return self._exports
