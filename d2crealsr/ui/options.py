"""Command-line options that follow from a settings dataclass: name, type, default and help stand there once."""

from __future__ import annotations

import dataclasses
import importlib
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import click
import rich_click

from d2crealsr.ui.program import Command

if TYPE_CHECKING:
    from rich_click.rich_help_rendering import RichPanelRow

__all__ = ["SettingsCommand", "Switch", "is_given", "setting_option"]


class SettingsCommand(Command):
    """A command with one option for each field of a settings dataclass, after its own.

    Its function gets those that were given as one argument, ``settings``, a dict.

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

    def more_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options of the settings."""
        if self._generated is None:
            module, name = self._settings.split(":")
            cls = getattr(importlib.import_module(module), name)
            hints = get_type_hints(cls)
            fields = dataclasses.fields(cls)
            self._generated = [
                setting_option(f, hints[f.name], flag=self._names.get(f.name, ""), default=f.default, show_default=True)
                for f in fields
            ]
        return self._generated

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command with the settings that were given as one argument."""
        values = {name: ctx.params.pop(name) for option in self._generated or () if (name := option.name)}
        ctx.params["settings"] = {name: value for name, value in values.items() if is_given(name)}
        return super().invoke(ctx)


class Switch(rich_click.RichOption):
    """An option that turns something on or off. The help shows its two names one below the other, to be narrow."""

    def get_rich_table_row(self, *args: Any, **kwargs: Any) -> RichPanelRow:
        """The row of the help: the names of the option, and what it does."""
        from rich.text import Text

        names, *more = super().get_rich_table_row(*args, **kwargs)
        style = names.style if isinstance(names, Text) else ""
        return [Text("\n".join([*self.opts, *self.secondary_opts]), style=style), *more]


def is_given(name: str) -> bool:
    """Whether the running command was given this parameter; otherwise its value is the default."""
    return click.get_current_context().get_parameter_source(name) is not click.core.ParameterSource.DEFAULT


def setting_option(
    field: dataclasses.Field[Any], hint: Any, *, flag: str = "", note: str = "", **more: Any
) -> rich_click.RichOption:
    """An option for a field of a settings dataclass.

    Parameters
    ----------
    field : dataclasses.Field
        Its metadata may have ``doc``, a sentence, ``unit``, ``choices``, and ``group``, under which the help lists it.
    hint : type
        The type of its values.
    flag : str
        The option's name, where it is not the field's.
    note : str
        What the help says after the sentence and the unit.
    **more
        Arguments of ``click.Option``, such as the default.
    """
    flag = flag or "--" + field.name.replace("_", "-")
    unit = field.metadata.get("unit")
    more["help"] = " ".join(filter(None, [field.metadata.get("doc"), f"[{unit}]" if unit else "", note]))
    choices = field.metadata.get("choices") or (get_args(hint) if get_origin(hint) is Literal else ())
    kind: type[rich_click.RichOption] = rich_click.RichOption
    if hint is bool:
        kind = Switch
        flag += f"/--no-{flag.removeprefix('--')}"
    elif get_origin(hint) is tuple:
        more["multiple"] = True
    else:
        more["type"] = click.Choice(choices) if choices else hint
        more["metavar"] = {int: "N", float: "X"}.get(hint)
    return kind([flag, field.name], panel=field.metadata.get("group"), **more)
