"""Read the weights of SRFlow that its authors released (×4 and ×8), whose encoder has one of RRDB's three namings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from d2c.networks.base.released import Naming, read_released
from d2c.networks.rrdb import NAMINGS
from d2c.srflow.config import SCALES, SRFlowConfig
from d2c.srflow.model import encoder_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import nn

    from d2c.networks.base.entry import Network
    from d2c.networks.base.released import Weights
    from d2c.networks.rrdb import RRDBConfig
    from d2c.srflow.model import SRFlow

__all__ = ["names", "read"]

_ENCODER, _FLOW = "RRDB.", "flowUpsamplerNet.layers."
_UNUSED = r"flowUpsamplerNet\.f\..*"
"""A layer in the files that the authors' program never runs."""
_FINEST = 12
"""Channels of the first level: three colours of 2×2 pixels."""


def read(network: Network, source: Path) -> nn.Module:
    """The model with the weights in a file. Its flow counts as started."""
    model = read_released(network, source, [_naming(encoder) for encoder in NAMINGS])
    cast("SRFlow", model).started.fill_(True)
    return model


def _naming(encoder: Naming) -> Naming:
    return Naming(
        _ENCODER + encoder.mark,
        lambda state: _config(state, encoder),
        lambda config: names(config, encoder),
        unused=_UNUSED,
    )


def _config(state: Weights, encoder: Naming) -> SRFlowConfig:
    """The encoder says the scale, and the first level of the flow how many steps a level has."""
    inner = {name.removeprefix(_ENCODER): value for name, value in state.items() if name.startswith(_ENCODER)}
    found = cast("RRDBConfig", encoder.config(inner))
    if found.scale not in SCALES:
        raise ValueError(f"its encoder is of scale {found.scale}, expected {' or '.join(map(str, SCALES))}")
    finest = [
        name.removesuffix("invconv.weight")
        for name, value in state.items()
        if re.fullmatch(re.escape(_FLOW) + r"\d+\.invconv\.weight", name) and value.shape[0] == _FINEST
    ]
    full = [name for name in finest if f"{name}affine.fFeatures.0.weight" in state]
    if not full:
        raise KeyError("no conditional step of the flow")
    return SRFlowConfig(
        scale=found.scale,
        features=found.features,
        growth=found.growth,
        blocks=found.blocks,
        transitions=len(finest) - len(full),
        flow_steps=len(full),
        flow_features=state[f"{full[0]}affine.fFeatures.0.weight"].shape[0],
    )


def names(config: SRFlowConfig, encoder: Naming) -> Iterator[tuple[str, str]]:
    """Our names and the authors'. Their layers are numbered through all levels; each level begins with its squeeze."""
    yield from ((f"encoder.{ours}", _ENCODER + theirs) for ours, theirs in encoder.names(encoder_config(config)))
    layer = 0
    for level in range(config.levels):
        for step in range(config.transitions + config.flow_steps):
            layer += 1
            ours, theirs = f"flow.levels.{level}.steps.{step}", f"{_FLOW}{layer}"
            yield from _norm(f"{ours}.norm", f"{theirs}.actnorm")
            yield f"{ours}.mix.weight", f"{theirs}.invconv.weight"
            if step >= config.transitions:
                yield from _affine(f"{ours}.injector", f"{theirs}.affine.fFeatures")
                yield from _affine(f"{ours}.coupling", f"{theirs}.affine.fAffine")
        layer += 1
        if level < config.levels - 2:
            yield from _zero_conv(f"flow.levels.{level}.prior", f"{_FLOW}{layer}.conv")
            layer += 1


def _norm(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield from ((f"{ours}.{name}", f"{theirs}.{name}") for name in ("bias", "logs"))


def _zero_conv(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}.conv", theirs
    yield f"{ours}.logs", f"{theirs}.logs"


def _affine(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    for number, place in ((1, 0), (2, 2)):
        yield f"{ours}.conv{number}", f"{theirs}.{place}"
        yield from _norm(f"{ours}.norm{number}", f"{theirs}.{place}.actnorm")
    yield from _zero_conv(f"{ours}.last", f"{theirs}.4")
