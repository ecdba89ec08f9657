"""The structure of D2C-SR, read from the names and shapes of its tensors."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open

from d2c.d2csr.config import D2CConfig
from d2c.tails.tail import upscale_factors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

__all__ = ["NEEDED", "SETTINGS", "config_of", "parameters_in", "settings_in"]

NEEDED = ("head.weight", "layers.0.0.conv.weight", "tails.0.conv.weight", "convergence.conv3.weight")
"""Tensors by which D2C-SR is known."""

_PREFIX = "d2c.settings."
SETTINGS = ("borders", "convergence_gain", "convergence_relu")
"""Settings that no tensor shows. A loader that knows them adds them as scalars under these names, with a prefix."""
_BORDERS = ("exact", "composed")


def config_of(state: Mapping[str, Tensor]) -> D2CConfig:
    """The configuration of the network whose parameters these are.

    Settings that no tensor shows have the default values where they were not added by :func:`settings_in`: exact
    borders, no gain, and the ReLU before the softmax where the convergence net has no biases, as in released weights.
    """
    features = state["head.weight"].shape[0]
    squeeze = "layers.0.0.groups.0.blocks.0.attention.squeeze.weight"
    bias = "convergence.conv1.bias" in state
    hidden: dict[str, Any] = {"convergence_relu": not bias}
    for name in SETTINGS:
        if (value := state.get(_PREFIX + name)) is not None:
            hidden[name] = _BORDERS[int(value)] if name == "borders" else value.item()
    return D2CConfig(
        scale=_scale(state),
        depth=_count(state, r"layers\.(\d+)\."),
        width=_count(state, r"layers\.0\.(\d+)\."),
        groups=_count(state, r"layers\.0\.0\.groups\.(\d+)\."),
        blocks=_count(state, r"layers\.0\.0\.groups\.0\.blocks\.(\d+)\."),
        features=features,
        reduction=max(1, features // state[squeeze].shape[0]),
        deep_residual=any(name.startswith("residuals.") for name in state),
        convergence_features=state["convergence.conv1.weight"].shape[0],
        convergence_bias=bias,
        **hidden,
    )


def settings_in(path: Path) -> dict[str, Tensor]:
    """The settings of a checkpoint that no tensor shows, as scalars to add to its tensors; empty for other files."""
    try:
        with safe_open(path, framework="pt") as file:
            described = json.loads((file.metadata() or {})["d2c"])
        config = described["config"]
        if described.get("network", "d2csr") != "d2csr":
            return {}
        values = {**config, "borders": _BORDERS.index(config["borders"])}
        return {_PREFIX + name: torch.tensor(values[name]) for name in SETTINGS}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError):
        return {}


def parameters_in(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the network itself."""
    return {name: tensor for name, tensor in state.items() if not name.startswith(_PREFIX)}


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """Length of a list of modules, by the largest number in names that match."""
    return 1 + max(int(match[1]) for name in state if (match := re.match(pattern, name)))


def _scale(state: Mapping[str, Tensor]) -> int:
    expands = [tensor for name, tensor in state.items() if re.fullmatch(r"tails\.0\.expand\.\d+\.weight", name)]
    factors = [math.isqrt(tensor.shape[0] // tensor.shape[1]) for tensor in expands]
    scale = math.prod(factors)
    if sorted(factors) != sorted(upscale_factors(scale)):
        raise ValueError(f"tails.0 enlarges in steps of {factors}, which D2C-SR does not")
    return scale
