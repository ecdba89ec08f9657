"""The settings of a run: those of the preset, replaced by those of a settings file, and those by options."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

from d2c.data.datasets import Datasets, datasets_in
from d2c.errors import ConfigError
from d2c.networks import network_in, stored
from d2c.settings import toml
from d2c.settings.config import types_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from d2c.networks import Network, NetworkConfig, TrainSettings

__all__ = ["Resolved", "resolve"]


class Resolved(NamedTuple):
    """The structure of the model, the settings of its training, and the datasets."""

    model: NetworkConfig
    train: TrainSettings
    datasets: Datasets


def resolve(
    network: Network, preset_name: str | None, file: Path | None, options: Mapping[str, Any], *, resumed: bool
) -> Resolved:
    """The settings of a run. Without a scale, it is that of the data.

    Where the file or the options give a number of epochs, but not the steps that can stand in its place, they set these
    to 0, so that the steps of the preset or of the file do not come before the epochs.

    Parameters
    ----------
    preset_name : str or None
        By default ``paper``.
    file : Path or None
        A settings file with the tables [model] and [train].
    options : mapping
        Values by the names of settings; None if an option was not given, and () if one was not that can be repeated.
    resumed : bool
        Whether the file is that of the run itself. What it lacks, because an earlier version made it, has then the
        value that changes nothing, and not that of the preset.

    Raises
    ------
    ConfigError
        When a setting is unknown or wrong, or no dataset is named.
    DataError
        When the scale cannot be taken from the data.
    """
    base = (network.config(), network.train()) if resumed else network.preset(preset_name or "paper")[:2]
    tables = toml.read(file) if file else {}
    if unknown := sorted(set(tables) - {"model", "train", "data"}):
        raise ConfigError(f"{file}: unknown table [{unknown[0]}], expected [model] and [train]")
    stored(network_in(tables, network.name), network.name, str(file))
    given = {name: toml.plain(value) for name, value in options.items() if not (value is None or _is_empty(value))}
    named = datasets_in(tables.get("train", {}), str(file))
    named |= {name: given.pop(name) for name in ("data", "data_weight", "validate_on") if name in given}
    if not named.get("data"):
        weights = f" (for {len(named['data_weight'])} of --data-weight)" if "data_weight" in named else ""
        raise ConfigError(f"data: no pairs are named{weights}; give --data, or data = [...] in the table [train]")
    datasets = Datasets(**named)
    if not resumed:  # a run records both
        tables["train"] = _by_epochs(tables.get("train", {}), types_of(network.train))
    given = _by_epochs(given, types_of(network.train))
    before = tables.get("train", {}).get("precision", base[1].precision)
    given |= _one_precision(given, before)
    for kind, name in ((network.config, "model"), (network.train, "train")):  # options may correct a file
        own = {key: toml.of_type(given[key], wanted, key) for key, wanted in types_of(kind).items() if key in given}
        tables[name] = tables.get(name, {}) | own
    model = toml.from_table(network.config, tables["model"], base[0], str(file))
    train = toml.from_table(network.train, tables["train"], base[1], str(file))
    if "scale" not in tables["model"]:
        model = dataclasses.replace(model, scale=datasets.scale())
    return Resolved(model, train, datasets)


def _by_epochs(layer: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    """The values, and steps of 0 for each number of epochs without a number of steps, which would come before it."""
    steps = [name.replace("epochs", "steps") for name in layer if "epochs" in name]
    return dict.fromkeys((name for name in steps if name in known), 0) | layer


def _is_empty(value: object) -> bool:
    """Whether an option that can be repeated was not given."""
    return isinstance(value, tuple) and not value


def _one_precision(given: Mapping[str, Any], before: object) -> dict[str, Any]:
    """What the options --precision and --tf32 mean together, and with the precision ``before`` them."""
    precision, tf32 = given.get("precision"), given.get("tf32")
    if precision == "tf32" and tf32 is False:
        raise ConfigError("tf32: --precision tf32 and --no-tf32 contradict each other; leave one of them out")
    if precision == "fp32" and tf32:
        raise ConfigError("tf32: --precision fp32 and --tf32 contradict each other; leave one of them out")
    if precision == "fp32" and tf32 is None:
        return {"tf32": False}  # a settings file may say otherwise
    if precision is None and tf32 is False and before == "tf32":
        return {"precision": "fp32"}
    return {}
