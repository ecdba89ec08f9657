"""Residual channel attention, the body of RCAN and of D2C-SR's branches.

Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks", ECCV 2018,
doi:10.1007/978-3-030-01234-2_18. Every part maps features ``(N, n, h, w)`` to features of the same shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from d2c.tails.layers import conv3x3

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AttentionBlock", "ChannelAttention", "ResidualGroup"]


class ChannelAttention(nn.Module):
    """Scale each channel by a factor in (0, 1) that depends on the means of all channels."""

    def __init__(self, features: int, reduction: int) -> None:
        super().__init__()
        narrow = max(1, features // reduction)
        self.squeeze = nn.Conv2d(features, narrow, 1)
        self.excite = nn.Conv2d(narrow, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean(dim=(2, 3), keepdim=True)  # (N, n, 1, 1)
        attention: Tensor = torch.sigmoid(self.excite(F.relu(self.squeeze(means))))
        return x * attention


class AttentionBlock(nn.Module):
    """Residual channel attention block: two convolutions and channel attention, with a skip connection."""

    def __init__(self, features: int, reduction: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(features, features)
        self.conv2 = conv3x3(features, features)
        self.attention = ChannelAttention(features, reduction)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.attention(self.conv2(F.relu(self.conv1(x))))
        return x + residual


class ResidualGroup(nn.Module):
    """B attention blocks and a convolution, with a skip connection."""

    def __init__(self, features: int, reduction: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(AttentionBlock(features, reduction) for _ in range(blocks)))
        self.conv = conv3x3(features, features)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.conv(self.blocks(x))
        return x + residual
