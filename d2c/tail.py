"""A leaf's tail: from features at LR size to one prediction at HR size. It holds no activation: it is linear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from d2c.blocks import conv3x3

if TYPE_CHECKING:
    from torch import Tensor

    from d2c.config import D2CConfig

__all__ = ["Tail"]


def upscale_factors(scale: int) -> list[int]:
    """Factors of the upscale module's steps: 3 in one, 2^k in k steps of 2, none for 1."""
    return [3] if scale == 3 else [2] * (scale.bit_length() - 1)


class Tail(nn.Module):
    """Upscale module and closing convolution: ``(N, n, h, w)`` to ``(N, 3, s·h, s·w)``."""

    def __init__(self, config: D2CConfig) -> None:
        super().__init__()
        n = config.features
        factors = upscale_factors(config.scale)
        self.expand = nn.ModuleList(conv3x3(n, factor**2 * n) for factor in factors)
        self.shuffle = nn.ModuleList(nn.PixelShuffle(factor) for factor in factors)
        self.conv = conv3x3(n, 3)

    def forward(self, x: Tensor) -> Tensor:
        for expand, shuffle in zip(self.expand, self.shuffle, strict=True):
            x = shuffle(expand(x))  # (N, n, h, w) -> (N, n, f·h, f·w)
        prediction: Tensor = self.conv(x)
        return prediction
