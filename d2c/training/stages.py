"""The stages of a training run, and their lengths."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from d2c.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2c.networks import Network
    from d2c.networks.base.stage import Stage

__all__ = ["asked_stages", "check_patch", "label", "stage_steps", "stages_fact", "with_stages"]

_ALL = ("both", "all")
"""Names that mean all stages; ``both`` is for networks with two."""


def with_stages(network: Network, stages: Sequence[type[Stage]]) -> Network:
    """The network with other stages in place of its own; the network itself where there are none."""
    if not stages:
        return network
    changed = copy.copy(network)
    vars(changed)["stages"] = lambda train: list(stages)
    return changed


def stages_fact(stages: Sequence[type[Stage]]) -> dict[str, str]:
    """Other stages than the network's own, as a run records them: their names, and the settings of their steps."""
    if not stages:
        return {}
    names = " ".join(f"{kind.__module__}:{kind.__qualname__}" for kind in stages)
    return {"stages": names, "stage_steps": " ".join(kind.lengths[0] for kind in stages)}


def asked_stages(network: Network, train: Any, choice: str) -> dict[int, type[Stage]]:
    """The requested stages, by number.

    Raises
    ------
    ConfigError
        When the run has no stage of that number.
    """
    stages = dict(enumerate(network.stages(train), start=1))
    lengths = {name for stage in stages.values() for name in stage.lengths}
    if missing := sorted(name for name in lengths if not hasattr(train, name)):
        raise ConfigError(
            f"network: {network.name} has a stage whose length is the setting {missing[0]}, which its train lacks; "
            "add it, or change the stage's lengths"
        )
    if not stages:
        raise ConfigError(f"network: {network.name} has no stages; its method stages must return at least one")
    if choice in _ALL:
        return _realigning(network, train, stages)
    if not choice.isdecimal() or int(choice) not in stages:
        there = "stage 1 only" if len(stages) == 1 else f"stages 1 to {len(stages)}"
        how = f"a {stages[1].label} run" if stages[1].label else "this run"
        raise ConfigError(f"stage: {how} has {there}, got {choice}; change --stage")
    return _realigning(network, train, {int(choice): stages[int(choice)]})


def _realigning(network: Network, train: Any, asked: dict[int, type[Stage]]) -> dict[int, type[Stage]]:
    """The stages. Raises :class:`ConfigError` if HR patches are to be moved in one that does not do so."""
    for number, kind in asked.items():
        if train.realign and not kind.realigns:
            earlier = (
                f", or train stage {number - 1} with it (--stage {number - 1}) and this one in a new run without it "
                f"(--weights RUN --stage {number} --out NEW)"
            )
            raise ConfigError(
                f"realign: stage {number} of {network.name}, {kind.__name__}, does not align HR with a prediction; "
                f"leave --realign out{earlier if number > 1 else ''}"
            )
    return asked


def label(number: int, stage: type[Stage]) -> str:
    """Name of a stage's steps."""
    return stage.label or f"stage {number}"


def stage_steps(stage: type[Stage], steps_per_epoch: int, train: Any) -> int:
    """Optimiser steps of a stage: its steps if they are given, else its epochs times the steps of an epoch."""
    steps, epochs = (int(getattr(train, name)) for name in stage.lengths)
    return steps or epochs * steps_per_epoch


def check_patch(network: Network, train: Any) -> None:
    """Raise :class:`ConfigError` if the network does not accept the side of the patches."""
    multiple = network.multiple
    if train.patch % multiple:
        raise ConfigError(
            f"patch: got {train.patch}, but {network.name} takes sides that are multiples of {multiple}; "
            f"use --patch {max(1, train.patch // multiple) * multiple}"
        )
