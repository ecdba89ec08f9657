"""The table of networks. Nothing is scanned and nothing registers itself: a network is one module and one line here.

A line names a class that extends :class:`Network`, of which only ``build`` is required. It is imported when it is
asked for and not before. ``--network module:NAME`` names a class that is not in the table in the same words.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from d2c.errors import CheckpointError, ConfigError, D2CError
from d2c.networks.base.entry import Difference, Maps, Network, network_of
from d2c.settings.config import NetworkConfig, TrainSettings, setting
from d2c.settings.presets import Preset

__all__ = [
    "DEFAULT",
    "NETWORKS",
    "Difference",
    "Maps",
    "Network",
    "NetworkConfig",
    "Preset",
    "TrainSettings",
    "default_out",
    "find",
    "network_in",
    "network_of",
    "setting",
    "stored",
]

NETWORKS: dict[str, str] = {
    "d2csr": "d2c.d2csr.entry:D2CSRNetwork",
}

DEFAULT = "d2csr"
"""The network that is meant where none is named; files that were written before there were others name none."""


def find(name: str) -> Network:
    """The network of that name in the table, or the one that ``module:NAME`` names; its module is imported.

    Raises
    ------
    ConfigError
        When there is none.
    """
    module, _, attribute = NETWORKS.get(name, name).partition(":")
    if not module or not attribute:
        raise ConfigError(
            f"network: got {name[:80]!r}, expected {', '.join(NETWORKS)}, or module:NAME for one of your own; "
            "change --network"
        )
    sys.path.insert(0, "")  # a module in the current folder, as for python -m
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # the module's own code may raise anything
        said = f"{type(error).__name__}: {error}"
        raise ConfigError(
            f"network: {name} cannot be imported ({said}); correct --network, or see where it fails with "
            f"python -c 'import {module}'"
        ) from error
    finally:
        sys.path.remove("")
    if not (isinstance(kind, type) and issubclass(kind, Network) and kind.build is not Network.build):
        raise ConfigError(f"network: {name} is no class that extends d2c.networks.Network and has build; correct it")
    found = kind(name)
    found.check()
    return found


def stored(name: str, given: str | None, where: str) -> Network:
    """The network that a file was written for. What is not in the table is imported only where ``given`` names it.

    Parameters
    ----------
    name : str
        What the file says.
    given : str or None
        What the user says with ``--network``, if anything.
    where : str
        The file, for messages.

    Raises
    ------
    CheckpointError
        When the file is of another network, or of one that must be named again.
    """
    own = ":" in name
    if given is None and own:
        raise CheckpointError(
            f"{where}: is of the network {name[:80]}, whose code is imported only where it is named; "
            f"add --network {name[:80]}"
        )
    if given not in (None, name) and not (own and ":" in str(given)):
        raise CheckpointError(f"{where}: is of the network {name[:80]}, not of {given}; change --network")
    try:
        return find(given or name)
    except D2CError as error:
        if given is not None:
            raise
        raise CheckpointError(f"{where}: is of the network {name[:80]!r}, which this version does not know") from error


def network_in(tables: dict[str, dict[str, Any]], otherwise: str = DEFAULT) -> str:
    """The network that a file of settings names in its table [model], which is taken out of it."""
    return str(tables.get("model", {}).pop("network", otherwise))


def default_out(network: Network, preset: str | None) -> Path:
    """Where a run goes that was given no folder: ``runs/NETWORK-PRESET``, without NETWORK for D2C-SR."""
    size = preset or "paper"
    return Path("runs") / (size if network.name == DEFAULT else f"{network.name.replace(':', '.')}-{size}")
