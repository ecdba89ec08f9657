"""The initial weights of a run: random, or from a checkpoint as far as it fits the model of the run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from d2c.checkpoints import native
from d2c.errors import ConfigError
from d2c.networks import network_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import nn

    from d2c.networks import Network, NetworkConfig, TrainSettings
    from d2c.networks.base.stage import Stage

__all__ = ["initial_model"]


def initial_model(
    network: Network,
    config: NetworkConfig,
    train: TrainSettings,
    weights: Path | None,
    stages: Sequence[type[Stage]],
    note: Callable[[str], None],
) -> nn.Module:
    """A new model, with the weights of a checkpoint if one is given.

    If settings named in ``starts_anew`` of the network differ, the parts of the model that depend on them start at
    random, and ``note`` is told. All other settings must be equal.

    Parameters
    ----------
    stages : sequence of Stage types
        The stages in which the model will be trained.

    Raises
    ------
    ConfigError
        When another setting differs (names the first), or when a part that would start at random is not trained in any
        of the stages.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(train.seed)
        model = network.make(config)
    if weights is None:
        return model
    start = native.load(weights, network=network.name)
    before = network_of(start)[1]
    anew: dict[str, str] = {}
    for field in dataclasses.fields(config):
        got, expected = getattr(before, field.name), getattr(config, field.name)
        if got == expected:
            continue
        if field.name not in network.starts_anew:
            option = "--" + field.name.replace("_", "-")
            raise ConfigError(f"{weights}: has {field.name} = {got}, expected {expected}; change {option}")
        words = network.starts_anew[field.name]
        why = f"{field.name} is {got} in the checkpoint and {expected} here"
        anew = dict.fromkeys((words,) if isinstance(words, str) else words, why) | anew
    places = {id(parameter): name.split(".")[0] for name, parameter in model.named_parameters()}
    trained = {places[id(parameter)] for kind in stages for parameter in kind(model, train).trained()}
    anew = {part: why for part, why in anew.items() if part in places.values()}
    for part, why in anew.items():
        if part not in trained:
            raise ConfigError(
                f"{weights}: {why}, so the parameters {part}.* would have to be trained anew, which this stage does "
                "not do; leave --stage out"
            )
        note(f"weights: {why}, so the parameters {part}.* start at random")
    random = {key: value for key, value in model.state_dict().items() if key.split(".")[0] in anew}
    kept = {key: value for key, value in start.state_dict().items() if key.split(".")[0] not in anew}
    model.load_state_dict(random | kept, strict=True)
    return model
