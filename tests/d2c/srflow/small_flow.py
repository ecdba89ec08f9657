"""A small SRFlow, and data and settings for it."""

from __future__ import annotations

import dataclasses

import torch

from d2c.networks import find
from d2c.srflow.config import SRFlowConfig

NETWORK = find("srflow")
SMALL = {"features": 4, "growth": 3, "blocks": 2, "transitions": 1, "flow_steps": 2, "flow_features": 4}


def small(scale=4, *, random=0.1, **changes):
    """A small model in double precision whose flow does something."""
    torch.manual_seed(0)
    model = NETWORK.make(SRFlowConfig(scale=scale, **SMALL | changes)).double().eval()
    if random:
        for name, parameter in model.named_parameters():
            share = len(parameter) ** -0.5 if "mix" in name else 1.0  # matrices remain well-conditioned
            parameter.data += random * share * torch.randn_like(parameter)
        model.started.fill_(True)
    return model


def images(scale=4, side=4, count=2, seed=1):
    made = torch.Generator().manual_seed(seed)
    lr = torch.rand(count, 3, side, side, dtype=torch.float64, generator=made)
    return lr, torch.rand(count, 3, scale * side, scale * side, dtype=torch.float64, generator=made)


def settings(**changes):
    preset = NETWORK.preset("tiny").train
    return dataclasses.replace(preset, **{"batch": 2, "patch": 4, "steps": 2, "steps_flow": 8, "warmup": 0} | changes)


def stage_of(model, number=1, **changes):
    return NETWORK.stages(None)[number](model.float(), settings(**changes)).train()
