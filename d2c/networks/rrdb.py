"""RRDBNet, the generator of ESRGAN, trained by L1: residual-in-residual dense blocks.

Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", ECCVW 2018,
doi:10.1007/978-3-030-11021-5_5, section 3.1. This is the stage that minimises L1 only; there is no adversarial stage.

Departures. The publication has ×4 only. Here each doubling is one nearest-neighbour enlargement with a convolution, so
that ×2 has one and ×8 has three; ×3 has a single enlargement by 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from d2c.networks.base.entry import Network
from d2c.networks.base.initial import kaiming
from d2c.settings.config import NetworkConfig, TrainSettings, setting
from d2c.settings.presets import Preset
from d2c.tails.layers import conv3x3
from d2c.tails.tail import upscale_factors

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["RRDBConfig", "RRDBNetwork"]

_SLOPE = 0.2
"""Slope of the leaky ReLU for negative values."""
_SHARE = 0.2
"""Factor on residuals, in a dense block and in a block of three."""
_CONVS = 5
"""Convolutions in a dense block."""
_DENSE = 3
"""Dense blocks in a block."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RRDBConfig(NetworkConfig):
    """Structure of RRDBNet."""

    features: int = setting(64, "Feature channels.", at_least=1, at_most=1024)
    growth: int = setting(32, "Channels that each convolution of a dense block adds.", at_least=1, at_most=1024)
    blocks: int = setting(23, "Residual-in-residual dense blocks.", at_least=1, at_most=256)


class _Dense(nn.Module):
    """Five convolutions, each of which sees the outputs of all previous ones; a share is added to the input."""

    def __init__(self, config: RRDBConfig) -> None:
        super().__init__()
        n, growth = config.features, config.growth
        outs = [growth] * (_CONVS - 1) + [n]
        self.convs = nn.ModuleList(conv3x3(n + i * growth, out) for i, out in enumerate(outs))

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for conv in self.convs[:-1]:
            seen.append(F.leaky_relu(conv(torch.cat(seen, dim=1)), _SLOPE))
        residual: Tensor = self.convs[-1](torch.cat(seen, dim=1))
        return x + _SHARE * residual


class _Block(nn.Module):
    """Three dense blocks; a share of the result is added to the input."""

    def __init__(self, config: RRDBConfig) -> None:
        super().__init__()
        self.dense = nn.Sequential(*(_Dense(config) for _ in range(_DENSE)))

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.dense(x)
        return x + _SHARE * residual


class _RRDBNet(nn.Module):
    """``(N, 3, h, w)`` to ``(N, 3, s·h, s·w)``, RGB on [0, 1]."""

    def __init__(self, config: RRDBConfig) -> None:
        super().__init__()
        n = config.features
        self.factors = upscale_factors(config.scale)
        self.conv_first = conv3x3(3, n)
        self.body = nn.Sequential(*(_Block(config) for _ in range(config.blocks)))
        self.conv_body = conv3x3(n, n)
        self.upconvs = nn.ModuleList(conv3x3(n, n) for _ in self.factors)
        self.conv_hr = conv3x3(n, n)
        self.conv_last = conv3x3(n, 3)
        kaiming(self.body.modules(), 0.1)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.conv_first(lr)
        x = self.conv_body(self.body(shallow)) + shallow
        for conv, factor in zip(self.upconvs, self.factors, strict=True):
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=factor, mode="nearest")), _SLOPE)
        sr: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(x), _SLOPE))
        return sr


class RRDBNetwork(Network):
    """Residual-in-residual dense blocks, enlarged by nearest neighbours and convolutions."""

    paper = "Wang et al., doi:10.1007/978-3-030-11021-5_5"
    config = RRDBConfig
    presets = {  # noqa: RUF012
        "paper": Preset(
            RRDBConfig(),
            TrainSettings(batch=16, patch=32, lr=2e-4, beta2=0.99, steps=1_000_000),
            "23 blocks of 64 features",
        ),
        "tiny": Preset(
            RRDBConfig(features=16, growth=8, blocks=2),
            TrainSettings(patch=24, lr=1e-3, ema=0.99, steps=600, log_every=25, save_every=100),
            "to see it work; a minute or two on a CPU",
        ),
    }

    def build(self, config: Any) -> nn.Module:
        return _RRDBNet(config)

    def reach_of(self, config: Any) -> int:
        return int(1 + _DENSE * _CONVS * config.blocks + 1 + 3)  # each step of the tail is finer than the previous one
