"""How large a network is and what it costs, counted from its modules on torch's meta device, which computes nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from d2c.networks.base.entry import Network

__all__ = ["multiply_adds", "parameters", "sizes"]

_SIDE = 48
"""Side of the image that multiplications are counted for, in LR px, where the network takes it."""


def parameters(network: Network, config: Any) -> int:
    """Numbers that training changes."""
    with torch.device("meta"):
        model = network.build(config)
    return sum(parameter.numel() for parameter in model.parameters())


def multiply_adds(network: Network, config: Any) -> int:
    """Multiplications with an addition for each LR pixel, every convolution as it is written down."""
    side = network.multiple * -(-_SIDE // network.multiple)
    with torch.device("meta"):
        model = network.build(config).eval()
        lr = torch.empty(1, 3, side, side)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.layer_by_layer(model, lr)
    return round(counter.get_total_flops() / 2 / side**2)


def sizes(network: Network) -> list[dict[str, Any]]:
    """A row for each of the network's sizes; counts by scale."""
    rows = []
    for size, preset in network.sizes().items():
        configs = {scale: dataclasses.replace(preset.model, scale=scale) for scale in network.scales}
        rows.append(
            {
                "name": network.name,
                "size": size,
                "paper": network.paper,
                "parameters": {scale: parameters(network, config) for scale, config in configs.items()},
                "multiply_adds_per_lr_pixel": {
                    scale: multiply_adds(network, config) for scale, config in configs.items()
                },
                "padding": network.multiple,
            }
        )
    return rows
