"""Command-line options that follow from a settings dataclass: name, type, default and help stand there once."""

from __future__ import annotations

import dataclasses
import importlib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from d2crealsr.ui.program import Command

__all__ = ["ExportCommand", "SettingsCommand", "is_given"]


class SettingsCommand(Command):
    """A command with one option for each field of a settings dataclass, after its own.

    Parameters
    ----------
    settings : str
        ``module:name`` of the dataclass; imported when the command is used or asked for help, not before.
    names : dict
        Option names by field, where they are not the field's own.
    """

    def __init__(self, *args: Any, settings: str = "", names: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = settings
        self._names = names or {}
        self._generated: list[click.Parameter] | None = None

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, those of the settings, and ``--help``."""
        if self._generated is None:
            module, name = self._settings.split(":")
            cls = getattr(importlib.import_module(module), name)
            hints = get_type_hints(cls)
            fields = dataclasses.fields(cls)
            self._generated = [_option(field, hints[field.name], self._names.get(field.name)) for field in fields]
        own = super().get_params(ctx)
        return [*own[:-1], *self._generated, own[-1]]


class ExportCommand(Command):
    """A command with an option for each export, which names the folder that it writes into."""

    @cached_property
    def _exports(self) -> list[click.Parameter]:
        table = importlib.import_module("d2crealsr.dataset.exports").EXPORTS
        folder = click.Path(path_type=Path)
        return [click.Option([f"--{each.name}"], type=folder, metavar="DIR", help=each.words) for each in table]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, those of the exports, and ``--help``."""
        own = super().get_params(ctx)
        return [*own[:-1], *self._exports, own[-1]]


def is_given(name: str) -> bool:
    """Whether the running command was given this parameter; otherwise its value is the default."""
    return click.get_current_context().get_parameter_source(name) is not click.core.ParameterSource.DEFAULT


def _option(field: dataclasses.Field[Any], hint: Any, name: str | None) -> click.Option:
    flag = name or "--" + field.name.replace("_", "-")
    unit = field.metadata["unit"]
    common: dict[str, Any] = {
        "default": field.default,
        "show_default": True,
        "help": field.metadata["doc"] + (f" [{unit}]" if unit else ""),
    }
    if hint is bool:
        return click.Option([f"{flag}/--no-{flag.removeprefix('--')}", field.name], **common)
    if get_origin(hint) is tuple:
        return click.Option([flag, field.name], multiple=True, **common)
    kind = click.Choice(get_args(hint)) if get_origin(hint) is Literal else hint
    return click.Option([flag, field.name], type=kind, **common)
