"""The tree with the branches of each layer side by side, as grouped convolutions; see :mod:`d2c.tails.siblings`.

A feature map of J branches has J·n channels, those of the first branch first. The result is that of
``D2CSR.leaf_features``, except for rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import torch
import torch.nn.functional as F

from d2c.tails.chains import chain
from d2c.tails.siblings import stacked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor, nn

    from d2c.d2csr.blocks import Branch
    from d2c.d2csr.network import D2CSR
    from d2c.networks.base.attention import AttentionBlock, ResidualGroup

__all__ = ["leaf_features_side_by_side"]


class _Layer(NamedTuple):
    """Equal convolutions of J networks: ``weight`` (J, out, in, 3, 3), or (J, out, in) for 1×1; ``bias`` (J, out)."""

    weight: Tensor
    bias: Tensor


def leaf_features_side_by_side(model: D2CSR, lr: Tensor) -> Tensor:
    """The inputs of all tails, ``(N, P·n, h, w)``, for an image ``(N, 3, h, w)``, RGB in [0, 1]."""
    config = model.config
    layers = _gathered(model)
    width = config.width
    tree: list[Tensor] = [model.head(model.colour_in(lr))]
    for number in range(config.depth):
        x = _for_children(tree[-1], width**number, width)
        tree.append(_branches(cast("nn.ModuleList", model.layers[number]), x, layers))
    feature: Tensor = tree.pop()
    for step in range(config.depth if config.deep_residual else 0):
        nodes = width ** (config.depth - 1 - step)
        grown = torch.unflatten(_convolve(feature, next(layers)), 1, (nodes, config.predictions // nodes, -1))
        feature = (grown + torch.unflatten(tree.pop(), 1, (nodes, 1, -1))).flatten(1, 3)
    return feature


def _gathered(model: D2CSR) -> Iterator[_Layer]:
    """All layers of the tree in the order in which they are used, those of siblings together."""
    together: list[Sequence[nn.Conv2d]] = []
    for layer in model.layers:
        branches = [list(_convolutions(cast("Branch", branch))) for branch in cast("nn.ModuleList", layer)]
        together += zip(*branches, strict=True)
    residuals = [list(cast("nn.ModuleList", convs)) for convs in model.residuals]
    together += zip(*cast("list[list[nn.Conv2d]]", residuals), strict=True)
    weights = [[_weight(conv) for conv in convs] for convs in together]
    biases = [[cast("Tensor", conv.bias) for conv in convs] for convs in together]
    found = stacked([*weights, *biases])
    half = len(together)
    return (_Layer(weight, bias) for weight, bias in zip(found[:half], found[half:], strict=True))


def _weight(conv: nn.Conv2d) -> Tensor:
    return conv.weight.flatten(1) if conv.kernel_size == (1, 1) else conv.weight


def _convolutions(branch: Branch) -> Iterator[nn.Conv2d]:
    """The convolutions of a branch in the order in which they are used."""
    for group in branch.groups:
        for block in cast("ResidualGroup", group).blocks:
            attention = cast("AttentionBlock", block)
            yield from (attention.conv1, attention.conv2, attention.attention.squeeze, attention.attention.excite)
        yield cast("ResidualGroup", group).conv
    yield branch.conv


def _branches(branches: nn.ModuleList, x: Tensor, layers: Iterator[_Layer]) -> Tensor:
    """The features of the branches of a layer, which get their inputs side by side."""
    groups = cast("Branch", branches[0]).groups
    for group in groups:
        entry = x
        for _ in cast("ResidualGroup", group).blocks:
            x = _block(x, *(next(layers) for _ in range(4)))
        x = entry + _convolve(x, next(layers))
    return _convolve(x, next(layers))


@chain
def _block(x: Tensor, conv1: _Layer, conv2: _Layer, squeeze: _Layer, excite: _Layer) -> Tensor:
    """Residual channel attention blocks, as :class:`d2c.networks.base.attention.AttentionBlock`."""
    count = len(conv1.bias)
    residual = _convolve(F.relu_(_convolve(x, conv1)), conv2)
    means = torch.unflatten(residual.mean(dim=(2, 3)), 1, (count, -1)).transpose(0, 1)  # (J, N, n)
    attention = torch.sigmoid(_product(F.relu_(_product(means, squeeze)), excite))
    factors = attention.transpose(0, 1)[..., None, None]  # (N, J, n, 1, 1)
    return x + (torch.unflatten(residual, 1, (count, -1)) * factors).flatten(1, 2)


def _convolve(x: Tensor, layer: _Layer) -> Tensor:
    """J convolutions side by side, each of its own n channels."""
    weight, bias = layer.weight.flatten(0, 1), layer.bias.flatten()
    return F.conv2d(x, weight, bias, padding=1, groups=len(layer.bias))


def _product(x: Tensor, layer: _Layer) -> Tensor:
    """J convolutions of a single pixel, ``(J, N, in)`` to ``(J, N, out)``."""
    return torch.baddbmm(layer.bias[:, None], x, layer.weight.mT)


def _for_children(x: Tensor, nodes: int, children: int) -> Tensor:
    """The features of J nodes, repeated for their children: ``(N, J·n, h, w)`` to ``(N, J·C·n, h, w)``."""
    if children == 1:
        return x
    if x.is_contiguous(memory_format=torch.channels_last):  # a copy in the other order would be copied again
        apart = torch.unflatten(x.permute(0, 2, 3, 1), 3, (nodes, 1, -1))
        return apart.expand(-1, -1, -1, -1, children, -1).flatten(3).permute(0, 3, 1, 2)
    apart = torch.unflatten(x, 1, (nodes, 1, -1))
    return apart.expand(-1, -1, children, -1, -1, -1).flatten(1, 3)
