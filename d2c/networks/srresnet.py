"""SRResNet: residual blocks at LR size, then sub-pixel convolutions.

Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", CVPR 2017,
doi:10.1109/CVPR.2017.19, section 2.1. The publication has batch normalisation; this is ``batch_norm`` (preset ``bn``).
Most later comparisons use a modified form without it, which is the default here.

Departures. The modified form: 3×3 convolutions at both ends, leaky ReLU, no skip connection around the body, and the
output is added to the bilinearly enlarged input; it minimises L1. Both forms are trained at every scale of this
package, the publication only at ×4. The rate of ``paper`` falls along one cosine, where the usual training restarts it
four times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import nn

from d2c.networks.base.entry import Network
from d2c.networks.base.initial import kaiming
from d2c.networks.base.released import Naming, count, read_released, scale_of
from d2c.networks.base.residual import ResidualBlock
from d2c.settings.config import NetworkConfig, PixelSettings, setting
from d2c.settings.presets import Preset
from d2c.tails.layers import conv3x3
from d2c.tails.tail import upscale_factors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from d2c.networks.base.released import Weights

__all__ = ["SRResNetConfig", "SRResNetNetwork"]

_SLOPE = 0.1
"""Slope of the leaky ReLU for negative values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SRResNetConfig(NetworkConfig):
    """Structure of SRResNet."""

    features: int = setting(64, "Feature channels.", at_least=1, at_most=1024)
    blocks: int = setting(16, "Residual blocks.", at_least=1, at_most=1024)
    batch_norm: bool = setting(False, "Use the form of the publication, with batch normalisation.")


class _Modified(nn.Module):
    """The form without batch normalisation: ``(N, 3, h, w)`` to ``(N, 3, s·h, s·w)``, RGB on [0, 1]."""

    def __init__(self, config: SRResNetConfig) -> None:
        super().__init__()
        n, self.scale = config.features, config.scale
        self.factors = upscale_factors(config.scale)
        self.conv_first = conv3x3(3, n)
        self.body = nn.Sequential(*(ResidualBlock(n) for _ in range(config.blocks)))
        self.upconvs = nn.ModuleList(conv3x3(n, factor**2 * n) for factor in self.factors)
        self.conv_hr = conv3x3(n, n)
        self.conv_last = conv3x3(n, 3)
        kaiming(self.modules(), 0.1)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.body(F.leaky_relu(self.conv_first(lr), _SLOPE))
        for conv, factor in zip(self.upconvs, self.factors, strict=True):
            x = F.leaky_relu(F.pixel_shuffle(conv(x), factor), _SLOPE)
        made: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(x), _SLOPE))
        return made + F.interpolate(lr, scale_factor=self.scale, mode="bilinear", align_corners=False)


class _Normed(nn.Module):
    """Convolution, batch normalisation, PReLU, convolution, batch normalisation; added to the input."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = conv3x3(features, features), nn.BatchNorm2d(features)
        self.relu = nn.PReLU()
        self.conv2, self.norm2 = conv3x3(features, features), nn.BatchNorm2d(features)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        return x + residual


class _Published(nn.Module):
    """The form of the publication: ``(N, 3, h, w)`` to ``(N, 3, s·h, s·w)``, RGB on [0, 1]."""

    def __init__(self, config: SRResNetConfig) -> None:
        super().__init__()
        n = config.features
        self.first = nn.Sequential(nn.Conv2d(3, n, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(*(_Normed(n) for _ in range(config.blocks)))
        self.after_body = nn.Sequential(conv3x3(n, n), nn.BatchNorm2d(n))
        self.upsample = nn.Sequential()
        for factor in upscale_factors(config.scale):
            self.upsample.extend([conv3x3(n, factor**2 * n), nn.PixelShuffle(factor), nn.PReLU()])
        self.last = nn.Conv2d(n, 3, 9, padding=4)

    def forward(self, lr: Tensor) -> Tensor:
        first = self.first(lr)
        made: Tensor = self.last(self.upsample(self.after_body(self.body(first)) + first))
        return made


_SCHEDULE: dict[str, Any] = {
    "batch": 16,
    "patch": 32,
    "lr": 2e-4,
    "beta2": 0.99,
    "ema": 0.999,
    "steps": 1_000_000,
    "schedule": "cosine",
}


# --- the weights of BasicSR's model zoo (the modified form at ×2, ×3 and ×4) ---------------------------------------


def _config_of(state: Weights) -> SRResNetConfig:
    ups = [state[f"upconv{i + 1}.weight"] for i in range(count(state, r"upconv(\d+)\.weight") - 1)]
    blocks = count(state, r"body\.(\d+)\.")
    return SRResNetConfig(scale=scale_of(ups), features=state["conv_first.weight"].shape[0], blocks=blocks)


def _names(config: SRResNetConfig) -> Iterator[tuple[str, str]]:
    yield from ((name, name) for name in ("conv_first", "conv_hr", "conv_last"))
    yield from ((f"body.{i}.conv{k}", f"body.{i}.conv{k}") for i in range(config.blocks) for k in (1, 2))
    yield from ((f"upconvs.{i}", f"upconv{i + 1}") for i in range(len(upscale_factors(config.scale))))


class SRResNetNetwork(Network):
    """Residual blocks at LR size and sub-pixel convolutions."""

    paper = "Ledig et al., doi:10.1109/CVPR.2017.19"
    config = SRResNetConfig
    train = PixelSettings
    starts_anew = {"scale": ("upconvs", "upsample")}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "paper": Preset(SRResNetConfig(), PixelSettings(**_SCHEDULE), "the usual form without batch normalisation"),
        "bn": Preset(
            SRResNetConfig(batch_norm=True),
            PixelSettings(batch=16, patch=24, lr=1e-4, lr_halve_epochs=0, loss="l2", steps=1_000_000),
            "the form of the publication, with batch normalisation",
        ),
        "tiny": Preset(
            SRResNetConfig(features=24, blocks=4),
            PixelSettings(patch=24, lr=1e-3, ema=0.99, steps=600, log_every=25, save_every=100),
            "to see it work; a minute or two on a CPU",
        ),
    }

    def build(self, config: Any) -> nn.Module:
        return _Published(config) if config.batch_norm else _Modified(config)

    def released(self, source: Path) -> nn.Module:
        return read_released(self, source, [Naming("upconv1.weight", _config_of, _names)])

    def reach_of(self, config: Any) -> int:
        ends = 4 + 4 if config.batch_norm else 1 + 1
        return int(2 * config.blocks + ends + 1 + 3)  # 3: each step of the tail is finer than the previous one
