"""The table of networks. A network is one module and one line here; nothing is found by scanning or registers itself.

A line names a class that extends :class:`Network`, of which only the method ``build`` is required. The class is
imported only when it is used. ``--network module:NAME`` names a class outside the table in the same form.
"""

from __future__ import annotations

import importlib
import inspect
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
    "srresnet": "d2c.networks.srresnet:SRResNetNetwork",
    "edsr": "d2c.networks.edsr:EDSRNetwork",
    "rcan": "d2c.networks.rcan:RCANNetwork",
    "rrdb": "d2c.networks.rrdb:RRDBNetwork",
    "cdc": "d2c.networks.cdc:CDCNetwork",
    "lpkpn": "d2c.networks.lpkpn:LPKPNNetwork",
    "srflow": "d2c.srflow.entry:SRFlowNetwork",
    "swinir": "d2c.networks.swinir:SwinIRNetwork",
}

DEFAULT = "d2csr"
"""The default network. Files that were written before there were other networks name none."""


def find(name: str | type[Network]) -> Network:
    """The network of that name in the table, or the class that ``module:NAME`` names. Its module is imported.

    A class itself is found by its module and name, so that a run can record them.

    Raises
    ------
    ConfigError
        When there is no such network.
    """
    name = _name_of(name)
    module, _, attribute = NETWORKS.get(name, name).partition(":")
    if not attribute or not module.replace(".", "_").isidentifier():
        raise ConfigError(
            f"network: got {name[:80]!r}, expected {', '.join(NETWORKS)}, or module:NAME for one of your own; "
            "change --network"
        )
    here = name not in NETWORKS and "" not in sys.path
    if here:  # a module of the user's may lie in the current folder
        sys.path.append("")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # the module's own code may raise anything
        file = getattr(sys.modules.get(module), "__file__", None)
        said = f"{type(error).__name__}: {error}{f', in {file}' if file else ''}"
        raise ConfigError(
            f"network: {name} cannot be imported ({said}); correct --network, or see where it fails with "
            f"python -c 'import {module}'"
        ) from error
    finally:
        if here:
            sys.path.remove("")
    if not (isinstance(kind, type) and issubclass(kind, Network) and not inspect.isabstract(kind)):
        raise ConfigError(f"network: {name} is not a class that extends d2c.networks.Network and has build; correct it")
    try:
        found = kind(name)
        found.check()
    except D2CError:
        raise
    except Exception as error:  # so may its settings and methods
        raise ConfigError(
            f"network: {name} has settings or presets that cannot be made ({type(error).__name__}: {error}); correct "
            "them (--debug shows where)"
        ) from error
    return found


def _name_of(network: str | type[Network]) -> str:
    """The name in the table of a network or of its class, or ``module:NAME``."""
    if isinstance(network, str):
        return network
    place = f"{network.__module__}:{network.__qualname__}"
    return next((name for name, its in NETWORKS.items() if its == place), place)


def stored(name: str, given: str | type[Network] | None, where: str) -> Network:
    """The network for which a file was written. If it is not in the table, it is imported only if ``given`` names it.

    Parameters
    ----------
    name : str
        The network named in the file.
    given : str, type or None
        The network named by the user with ``--network``, if any, or its class.
    where : str
        The file, for messages.

    Raises
    ------
    CheckpointError
        When the file is of another network, or of one that the user must name.
    """
    own = ":" in name
    given = None if given is None else _name_of(given)
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
    """The network that a settings file names in its table [model]. The entry is removed from the table."""
    return str(tables.get("model", {}).pop("network", otherwise))


def default_out(network: Network, preset: str | None) -> Path:
    """The default folder of a run: ``runs/NETWORK-PRESET``, but ``runs/PRESET`` for D2C-SR."""
    size = preset or "paper"
    return Path("runs") / (size if network.name == DEFAULT else f"{network.name.replace(':', '.')}-{size}")
