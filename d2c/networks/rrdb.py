"""RRDBNet, the generator of ESRGAN, trained by L1: residual-in-residual dense blocks.

Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", ECCVW 2018,
doi:10.1007/978-3-030-11021-5_5, section 3.1. This is the stage that minimises L1 only; there is no adversarial stage.

Departures. The publication has ×4 only. Here each doubling is one nearest-neighbour enlargement with a convolution, so
that ×2 has one and ×8 has three; ×3 has a single enlargement by 3. The rate of ``paper`` falls along one cosine, where
the usual training restarts it four times.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from d2c.networks.base.entry import Network
from d2c.networks.base.initial import kaiming
from d2c.networks.base.released import Naming, count, read_released
from d2c.settings.config import NetworkConfig, PixelSettings, setting
from d2c.settings.presets import Preset
from d2c.tails.layers import conv3x3
from d2c.tails.tail import upscale_factors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from d2c.networks.base.released import Weights

__all__ = ["NAMINGS", "RRDBConfig", "RRDBNet", "RRDBNetwork"]

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


class RRDBNet(nn.Module):
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

    def trunk(self, lr: Tensor, tapped: Sequence[int] = ()) -> tuple[Tensor, list[Tensor]]:
        """The features ``(N, n, h, w)`` of an image, and what the blocks of these numbers, counted from 0, make."""
        shallow = self.conv_first(lr)
        x, found = shallow, []
        for number, block in enumerate(self.body):
            x = block(x)
            if number in tapped:
                found.append(x)
        return self.conv_body(x) + shallow, found

    def levels(self, trunk: Tensor) -> Iterator[Tensor]:
        """The trunk's features, then those of each enlargement before their activation."""
        x = trunk
        yield x
        for number, (conv, factor) in enumerate(zip(self.upconvs, self.factors, strict=True)):
            x = F.leaky_relu(x, _SLOPE) if number else x
            x = conv(F.interpolate(x, scale_factor=factor, mode="nearest"))
            yield x

    def forward(self, lr: Tensor) -> Tensor:
        x, _ = self.trunk(lr)
        for x in self.levels(x):  # noqa: B007, B020  (only the last one is kept)
            pass
        x = F.leaky_relu(x, _SLOPE)
        sr: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(x), _SLOPE))
        return sr


# --- weights in the three namings of the authors' and of BasicSR's programs ------------------------------------------


def _config(state: Weights, *, dense: str, growth: str, ups: int) -> RRDBConfig:
    """An enlargement by 3 has one convolution, as one by 2 has, so a file cannot be told to be of ×3."""
    first = state[growth]
    return RRDBConfig(scale=2**ups, features=first.shape[1], growth=first.shape[0], blocks=count(state, dense))


def _names(
    config: RRDBConfig, dense: Callable[[int, int, int], str], ends: Sequence[str], up: Callable[[int], str]
) -> Iterator[tuple[str, str]]:
    """``ends`` are the first convolution, that after the body, and the last two."""
    yield from zip(("conv_first", "conv_body", "conv_hr", "conv_last"), ends, strict=True)
    yield from ((f"upconvs.{i}", up(i)) for i in range(len(upscale_factors(config.scale))))
    for i, j, k in itertools.product(range(config.blocks), range(_DENSE), range(_CONVS)):
        yield f"body.{i}.dense.{j}.convs.{k}", dense(i, j + 1, k + 1)


def _oldest_ups(state: Weights) -> int:
    """Enlargements in the oldest naming, where each has three entries of a list, and three more follow."""
    return (count(state, r"model\.(\d+)\.") - 5) // 3


NAMINGS = (
    Naming(
        "conv_body.weight",
        lambda state: _config(
            state, dense=r"body\.(\d+)\.", growth="body.0.rdb1.conv1.weight", ups=count(state, r"conv_up(\d+)") - 1
        ),
        lambda config: _names(
            config,
            lambda i, j, k: f"body.{i}.rdb{j}.conv{k}",
            ("conv_first", "conv_body", "conv_hr", "conv_last"),
            lambda i: f"conv_up{i + 1}",
        ),
    ),
    Naming(
        "trunk_conv.weight",
        lambda state: _config(
            state,
            dense=r"RRDB_trunk\.(\d+)\.",
            growth="RRDB_trunk.0.RDB1.conv1.weight",
            ups=count(state, r"upconv(\d+)") - 1,
        ),
        lambda config: _names(
            config,
            lambda i, j, k: f"RRDB_trunk.{i}.RDB{j}.conv{k}",
            ("conv_first", "trunk_conv", "HRconv", "conv_last"),
            lambda i: f"upconv{i + 1}",
        ),
    ),
    Naming(
        "model.0.weight",
        lambda state: _config(
            state,
            dense=r"model\.1\.sub\.(\d+)\.RDB",
            growth="model.1.sub.0.RDB1.conv1.0.weight",
            ups=_oldest_ups(state),
        ),
        lambda config: _names(
            config,
            lambda i, j, k: f"model.1.sub.{i}.RDB{j}.conv{k}.0",
            (
                "model.0",
                f"model.1.sub.{config.blocks}",
                f"model.{2 + 3 * len(upscale_factors(config.scale))}",
                f"model.{4 + 3 * len(upscale_factors(config.scale))}",
            ),
            lambda i: f"model.{3 + 3 * i}",
        ),
    ),
)


class RRDBNetwork(Network):
    """Residual-in-residual dense blocks, enlarged by nearest neighbours and convolutions."""

    paper = "Wang et al., doi:10.1007/978-3-030-11021-5_5"
    config = RRDBConfig
    train = PixelSettings
    starts_anew = {"scale": "upconvs"}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "paper": Preset(
            RRDBConfig(),
            PixelSettings(batch=16, patch=32, lr=2e-4, beta2=0.99, schedule="cosine", steps=1_000_000),
            "23 blocks of 64 features",
        ),
        "tiny": Preset(
            RRDBConfig(features=16, growth=8, blocks=2),
            PixelSettings(patch=24, lr=1e-3, ema=0.99, steps=600, log_every=25, save_every=100),
            "to see it work; a minute or two on a CPU",
        ),
    }

    def build(self, config: Any) -> nn.Module:
        return RRDBNet(config)

    def released(self, source: Path) -> nn.Module:
        return read_released(self, source, NAMINGS)

    def reach_of(self, config: Any) -> int:
        return int(1 + _DENSE * _CONVS * config.blocks + 1 + 3)  # each step of the tail is finer than the previous one
