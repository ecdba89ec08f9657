"""Options that depend on the network. The other options are parsed first, to find out which network is used."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from d2c.errors import ConfigError
from d2c.settings.config import types_of
from d2crealsr.ui.options import setting_option
from d2crealsr.ui.program import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d2c.networks.base.entry import Network

__all__ = ["NetworkCommand", "setting_options"]


class NetworkCommand(Command):
    """A command whose options depend on the network, also in its help.

    Parameters
    ----------
    find : callable
        Returns the network, given the values of the options and arguments that do not depend on it.
    added : callable
        Returns the options of a network.
    """

    def __init__(
        self,
        *args: Any,
        find: Callable[[dict[str, Any]], Network],
        added: Callable[[Network], Sequence[click.Option]],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.find, self.added = find, added

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse twice: first to find the network, ignoring unknown options, and then completely."""
        known = [*self.params, click.Option(["--preset", "preset_name"])]  # of whatever sizes the network has
        settings: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True}
        first = click.Command(self.name, params=known, add_help_option=False, context_settings=settings)
        with first.make_context(ctx.info_name, list(args), resilient_parsing=True) as found:
            ctx.obj = self.find(found.params)
        return super().parse_args(ctx, args)

    def more_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options of the network."""
        added = list(self.added(ctx.obj)) if ctx.obj is not None else []
        if twice := {option.name for option in added} & {parameter.name for parameter in self.params}:
            raise ConfigError(f"network: {ctx.obj.name} has a setting {min(map(str, twice))}, which d2c has; rename it")
        return [*added]


def setting_options(network: Network) -> list[click.Option]:
    """Options for every field of a network's settings. Without the option, the preset's or file's value is used."""
    options: list[click.Option] = []
    for settings in network.preset("paper")[:2]:
        types = types_of(type(settings))
        for f in dataclasses.fields(settings):
            value = getattr(settings, f.name)
            note = "" if value is None else f"[paper: {value}]"
            if f.name == "scale":
                note = "[default: that of the data]"
            options.append(setting_option(f, types[f.name], note=note, default=None))
    return options
