"""Named sizes of networks with their schedules."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

from d2c.errors import ConfigError
from d2c.settings.config import NetworkConfig, TrainSettings

__all__ = ["Preset", "scaled_down"]


class Preset(NamedTuple):
    """A size of a network with its training settings. ``doc`` says what it is for."""

    model: NetworkConfig
    train: TrainSettings
    doc: str = ""


def scaled_down(chosen: Preset, factor: int) -> Preset:
    """A preset for a smaller machine: steps or epochs, and the area of a patch, are divided by ``factor``.

    The periods of the schedules shrink with the epochs. The network does not change.
    """
    if factor < 1:
        raise ConfigError(f"scale-down: got {factor}, expected at least 1")
    changes: dict[str, Any] = {"patch": max(8, round(chosen.train.patch / math.sqrt(factor)))}
    for f in dataclasses.fields(chosen.train):
        value, shrinks = getattr(chosen.train, f.name), f.metadata.get("shrinks")
        if shrinks and value > 0:
            changes[f.name] = max(1, value // factor) if shrinks == "down" else -(-value // factor)
    return chosen._replace(train=dataclasses.replace(chosen.train, **(changes if factor > 1 else {})))
