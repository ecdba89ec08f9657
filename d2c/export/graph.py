"""The module whose graph is exported: any network as a map from images to images, for every size and batch.

It takes ``lr``, float32 RGB on [0, 1], ``(batch, 3, height, width)``, and returns ``sr`` ``(batch, 3, s·height,
s·width)`` in the same range, not clipped, whatever range, number format and multiples of sides the network has inside.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from d2c.errors import ConfigError
from d2c.networks import network_of
from d2c.networks.base.mirror import cut_off, mirrored, mirrored_once
from d2c.networks.base.plausible import one_line

if TYPE_CHECKING:
    from torch import Tensor
    from torch.export import ExportedProgram

    from d2c.networks import Network

__all__ = ["PRECISIONS", "Graph", "graph_of", "own_output", "traced"]

PRECISIONS: dict[str, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16}


class Graph(NamedTuple):
    """A module to export, and the names of its outputs."""

    module: nn.Module
    outputs: tuple[str, ...]


def graph_of(model: nn.Module, *, everything: bool, precision: str) -> Graph:
    """The module to export for a model on the CPU.

    Raises
    ------
    ConfigError
        When its network cannot be exported, or has no outputs beside the image although ``everything`` is asked for.
    """
    network, config = network_of(model)
    if not network.exports:
        raise ConfigError(
            f"network: {network.name} cannot be exported as a graph, as its entry says; use --format safetensors"
        )
    if everything and not network.more_outputs:
        raise ConfigError(f"outputs: got all, but {network.name} makes nothing beside the image; leave --outputs out")
    inner = network.exported(model, everything=everything)
    module = _AnySize(inner, network, config.scale, PRECISIONS[precision])
    return Graph(module.eval().requires_grad_(False), ("sr", *(network.more_outputs if everything else ())))


def traced(graph: Graph, model: nn.Module) -> ExportedProgram:
    """The graph of a model as torch.export finds it, with dynamic sizes.

    Raises
    ------
    ConfigError
        When the code of the network cannot be written as one graph for all sizes.
    """
    network, config = network_of(model)
    dim, least = torch.export.Dim, network.least_exported_side(config)
    sizes = {0: dim("batch", min=1), 2: dim("height", min=least), 3: dim("width", min=least)}
    try:
        with torch.no_grad():
            return torch.export.export(graph.module, (torch.rand(2, 3, 21, 18),), dynamic_shapes={"lr": sizes})
    except Exception as error:  # the code of a network may fail in any way
        raise ConfigError(
            f"network: {network.name} cannot be exported as one graph for all sizes ({type(error).__name__}: "
            f"{one_line(error)[:200]}); write exported() in its entry, or set exports = False"
        ) from error


def own_output(model: nn.Module, lr: Tensor) -> Tensor:
    """What a model itself makes of ``lr``, with which exported graphs are compared."""
    network, config = network_of(model)
    height, width = (config.scale * side for side in lr.shape[2:])
    made = model(mirrored(lr, network.multiple) * network.peak)
    sr: Tensor = made[..., :height, :width] / network.peak
    return sr


class _AnySize(nn.Module):
    """Convert colours and number format, extend the sides to multiples by mirroring, and cut that off again."""

    def __init__(self, model: nn.Module, network: Network, scale: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).to(dtype)
        self.multiple, self.peak = network.multiple, network.peak
        self.scale, self.dtype = scale, dtype

    def forward(self, lr: Tensor) -> Tensor | tuple[Tensor, ...]:
        height, width = lr.shape[2:]
        x = lr if self.peak == 1 else lr * self.peak
        made = self.model(mirrored_once(x, self.multiple).to(self.dtype))
        sr, *more = made if isinstance(made, tuple) else (made,)
        if self.peak != 1:
            sr = sr / self.peak
        found = [image.float() for image in (sr, *more)]
        if self.multiple > 1:
            found = [cut_off(image, self.scale * height, self.scale * width) for image in found]
        return tuple(found) if more else found[0]
