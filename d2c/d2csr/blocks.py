"""The branch of the divergence net, made of RCAN's residual groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from d2c.networks.base.attention import ResidualGroup
from d2c.tails.layers import conv3x3

if TYPE_CHECKING:
    from torch import Tensor

    from d2c.d2csr.config import D2CConfig

__all__ = ["Branch"]


class Branch(nn.Module):
    """The basic branch module: G residual groups and a final convolution."""

    def __init__(self, config: D2CConfig) -> None:
        super().__init__()
        size = config.features, config.reduction, config.blocks
        self.groups = nn.Sequential(*(ResidualGroup(*size) for _ in range(config.groups)))
        self.conv = conv3x3(config.features, config.features)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(self.groups(x))
        return out
