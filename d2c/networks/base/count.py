"""Count the parameters and operations of a network on torch's meta device, which computes nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch

from d2c.networks.base.entry import network_of
from d2c.networks.base.shapes import Multiplications, shapes_only

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from d2c.networks.base.entry import Network

__all__ = ["described", "executed_multiply_adds", "multiply_adds", "parameters", "size_rows"]

_SIDE = 48
"""Side in LR px of the image for which multiplications are counted, if the network accepts it."""


def parameters(network: Network, config: Any) -> int:
    """Number of trainable parameters."""
    with shapes_only():
        return _parameters_of(network.build(config))


def multiply_adds(network: Network, config: Any) -> int:
    """Multiply-adds per LR pixel, with every convolution executed as it is written down."""
    with shapes_only():
        model = network.build(config).eval()
    return _multiply_adds_of(network, model)


def executed_multiply_adds(network: Network, config: Any) -> int:
    """Multiply-adds per LR pixel as the network runs, for example with each tail composed to one convolution.

    What an image costs in proportion to its sides, as its borders do, or at any size, as composing does, is left out.
    """
    side = network.multiple * -(-_SIDE // network.multiple)
    with shapes_only():
        model = network.make(config).eval()

    def cost(rows: int, columns: int) -> int:
        with torch.no_grad(), Multiplications() as counted:
            model(torch.empty(1, 3, rows, columns, device="meta"))
        return int(counted.total)

    grown = cost(2 * side, 2 * side) - cost(2 * side, side) - cost(side, 2 * side) + cost(side, side)
    return grown // side**2


def size_rows(network: Network) -> Iterator[dict[str, Any]]:
    """One row for each size of the network, with counts by scale, each as soon as it is counted."""
    for size, preset in network.sizes().items():
        row: dict[str, Any] = {"name": network.name, "size": size, "paper": network.paper}
        row |= {"parameters": {}, "multiply_adds_per_lr_pixel": {}, "padding": network.multiple}
        for scale in network.scales:
            with shapes_only():
                model = network.build(dataclasses.replace(preset.model, scale=scale)).eval()
            row["parameters"][scale] = _parameters_of(model)
            row["multiply_adds_per_lr_pixel"][scale] = _multiply_adds_of(network, model)
        yield row


def _parameters_of(model: nn.Module) -> int:
    return sum(int(parameter.numel()) for parameter in model.parameters())


def _multiply_adds_of(network: Network, model: nn.Module) -> int:
    side = network.multiple * -(-_SIDE // network.multiple)
    with torch.no_grad(), Multiplications() as counted:
        network.layer_by_layer(model, torch.empty(1, 3, side, side, device="meta"))
    return int(counted.total // side**2)


def described(model: nn.Module) -> str:
    """A description of a model in one line: its network, settings and size."""
    network, config = network_of(model)
    settings = ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(config).items())
    return f"{network.name}, {_parameters_of(model):,} parameters; {settings}"
