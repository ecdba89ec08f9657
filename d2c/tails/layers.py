"""Layers at both ends of a network: the convolution that keeps the size, and the colour layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["RGB_MEAN", "ColourLayer", "conv3x3"]

RGB_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of DIV2K's training images, which the released code subtracts; RGB on [0, 1]."""


def conv3x3(channels_in: int, channels_out: int, *, bias: bool = True) -> nn.Conv2d:
    """A 3×3 convolution that keeps height and width (zeros outside)."""
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=bias)


class ColourLayer(nn.Module):
    """``out = matrix · rgb + offset`` at every pixel. Both are buffers, which are saved but never trained.

    The matrix is ``gain`` times the identity.
    """

    matrix: Tensor
    offset: Tensor

    def __init__(self, offset: tuple[float, float, float], gain: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("matrix", gain * torch.eye(3))
        self.register_buffer("offset", torch.tensor(offset))

    def forward(self, rgb: Tensor) -> Tensor:
        return F.conv2d(rgb, self.matrix[:, :, None, None], self.offset)
