"""The weights that a run starts from: random ones, or as many of a checkpoint's as fit the run's model."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from d2c.checkpoints import native
from d2c.d2csr.network import D2CSR
from d2c.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from d2c.settings.config import D2CConfig

__all__ = ["initial_model"]


def initial_model(
    config: D2CConfig, seed: int, weights: Path | None, only_stage_2: bool, note: Callable[[str], None]
) -> D2CSR:
    """A new model, with the weights of a checkpoint where one is given.

    Its tails are taken only where the scale is the same, its convergence net only where that has the same structure;
    ``note`` is told what starts at random. Everything else must be equal.

    Raises
    ------
    ConfigError
        Naming the first setting that differs; for another scale where ``only_stage_2`` is run, which trains no tails.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = D2CSR(config)
    if weights is None:
        return model
    start = native.load(weights)
    values = {f.name: (getattr(start.config, f.name), getattr(config, f.name)) for f in dataclasses.fields(config)}
    differs = {name: pair for name, pair in values.items() if pair[0] != pair[1]}
    anew = {}
    for name, (got, expected) in differs.items():
        if name == "scale":
            anew["tails"] = name
        elif name.startswith("convergence_"):
            anew.setdefault("convergence", name)
        else:
            option = "--" + name.replace("_", "-")
            raise ConfigError(f"{weights}: has {name} = {got}, expected {expected}; change {option}")
    if "tails" in anew and only_stage_2:
        raise ConfigError(
            f"{weights}: is of scale {differs['scale'][0]}, expected {config.scale}: the tails would have to be "
            "trained anew, which stage 2 does not do; use --stage both"
        )
    for part, name in anew.items():
        got, expected = differs[name]
        what = "the tails start" if part == "tails" else "the convergence net starts"
        note(f"weights: {name} is {got} in the checkpoint and {expected} here, so {what} at random")
    random = {key: value for key, value in model.state_dict().items() if key.split(".")[0] in anew}
    kept = {key: value for key, value in start.state_dict().items() if key.split(".")[0] not in anew}
    model.load_state_dict(random | kept, strict=True)
    return model
