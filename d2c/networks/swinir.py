"""SwinIR: attention within windows of pixels, whose grid is shifted in every second layer.

Liang et al., "SwinIR: Image Restoration Using Swin Transformer", ICCVW 2021, doi:10.1109/ICCVW54120.2021.00210,
section 3. ``paper`` is SwinIR-M for "classical" super-resolution, ``light`` the publication's lightweight form.

Sides that are no multiples of the window are padded by reflection, as in the authors' network; their test program pads
by repeating the border pixels as well. Learning rate, batch and milestones are those of the authors' training options
(KAIR, ``train_swinir_sr_classical.json`` and ``…_lightweight.json``); stochastic depth is the default of their network.

Departures. The tail runs as one convolution at LR size (:mod:`d2c.tails`). The authors train ×3, ×4 and ×8 from the
weights of ×2, in half the steps at half the rate; here all scales start at random, unless ``--weights`` names others.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from d2c.networks.base.mirror import cut_off, mirrored, mirrored_once
from d2c.networks.base.released import Naming, count, read_released, scale_of
from d2c.networks.base.residual import LinearTailNetwork
from d2c.networks.base.upscaler import Upscaler
from d2c.networks.base.windows import WindowAttention, shift_mask
from d2c.settings.config import NetworkConfig, PixelSettings, SettingError, setting
from d2c.settings.presets import Preset
from d2c.tails.fixed import fixed_tail
from d2c.tails.layers import RGB_MEAN, ColourLayer, conv3x3
from d2c.tails.tail import HALO, Tail, upscale_factors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from d2c.networks.base.released import Weights

__all__ = ["SwinIRConfig", "SwinIRNetwork"]

_DROP = 0.1
"""Probability with which training leaves out a residual of the last layer. It grows linearly from 0 in the first."""
_SLOPE = 0.01
"""Slope of the leaky ReLU before the tail, for negative values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SwinIRConfig(NetworkConfig):
    """Structure of SwinIR."""

    features: int = setting(180, "Feature channels.", at_least=1, at_most=4096)
    groups: int = setting(6, "Residual groups of layers.", at_least=1, at_most=256)
    layers: int = setting(6, "Attention layers in a group.", at_least=1, at_most=256)
    heads: int = setting(6, "Attention heads, among which the channels are divided.", at_least=1, at_most=256)
    window: int = setting(8, "Side of a window.", unit="LR px", at_least=2, at_most=64)
    expansion: int = setting(2, "Hidden channels of a layer's two-layer network, times its channels.", at_least=1)
    tail_features: int = setting(
        64, "Channels of the tail; 0 for a tail of one convolution, as in the light form.", at_least=0, at_most=1024
    )

    def __post_init__(self) -> None:
        NetworkConfig.__post_init__(self)
        if self.features % self.heads:
            raise SettingError(
                f"heads: {self.features} channels cannot be divided among {self.heads} heads",
                "change --heads or --features",
            )


class _StochasticDepth(nn.Module):
    """In training, leave out a residual for a random share of the images in the batch."""

    def __init__(self, drop: float) -> None:
        super().__init__()
        self.kept = 1 - drop

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.kept == 1:
            return x
        return x * (x.new_empty(len(x), 1, 1, 1).bernoulli_(self.kept) / self.kept)


class _Layer(nn.Module):
    """Attention within windows, and a network of two layers at every pixel; each is added to its input."""

    def __init__(self, config: SwinIRConfig, shift: int, drop: float) -> None:
        super().__init__()
        n = config.features
        self.norm1, self.norm2 = nn.LayerNorm(n), nn.LayerNorm(n)
        self.attention = WindowAttention(n, config.heads, config.window, shift)
        self.mlp = nn.Sequential(nn.Linear(n, config.expansion * n), nn.GELU(), nn.Linear(config.expansion * n, n))
        self.residual = _StochasticDepth(drop)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.residual(self.attention(self.norm1(x), mask))
        return x + cast("Tensor", self.residual(self.mlp(self.norm2(x))))


class _Group(nn.Module):
    """Layers with and without shifted windows in turn, and a convolution; added to the input ``(N, h, w, n)``."""

    def __init__(self, config: SwinIRConfig, drops: Sequence[float]) -> None:
        super().__init__()
        half = config.window // 2
        self.layers = nn.ModuleList(_Layer(config, half if i % 2 else 0, drop) for i, drop in enumerate(drops))
        self.conv = conv3x3(config.features, config.features)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        inner = x
        for layer in self.layers:
            inner = layer(inner, mask)
        return x + cast("Tensor", self.conv(inner.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class _ShortTail(nn.Module):
    """A tail of one convolution: ``(N, n, h, w)`` to ``(N, 3, s·h, s·w)``."""

    def __init__(self, features: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.conv = conv3x3(features, 3 * scale**2)

    def forward(self, x: Tensor, colour: nn.Module) -> Tensor:
        return cast("Tensor", colour(F.pixel_shuffle(self.conv(x), self.scale)))

    factored = forward


class _SwinIR(nn.Module):
    """``(N, 3, h, w)`` to ``(N, 3, s·h, s·w)``, RGB on [0, 1]."""

    def __init__(self, config: SwinIRConfig) -> None:
        super().__init__()
        n, inner, layers = config.features, config.tail_features, config.layers
        self.scale, self.window = config.scale, config.window
        red, green, blue = (-mean for mean in RGB_MEAN)
        self.colour_in = ColourLayer((red, green, blue))
        self.head = conv3x3(3, n)
        self.norm1, self.norm2 = nn.LayerNorm(n), nn.LayerNorm(n)
        last = max(1, config.groups * layers - 1)
        drops = [_DROP * i / last for i in range(config.groups * layers)]
        self.body = nn.ModuleList(_Group(config, drops[g * layers : (g + 1) * layers]) for g in range(config.groups))
        self.after_body = conv3x3(n, n)
        self.narrow = conv3x3(n, inner) if inner else None
        self.tail = Tail(inner, config.scale) if inner else _ShortTail(n, config.scale)
        self.colour_out = ColourLayer(RGB_MEAN)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def features(self, lr: Tensor) -> Tensor:
        """The features that the tail upscales, of an image whose sides are multiples of the window."""
        shallow = self.head(self.colour_in(lr))
        shallow = shallow.contiguous(memory_format=torch.channels_last)  # as all features after it
        mask = shift_mask(shallow, self.window)
        x = self.norm1(shallow.permute(0, 2, 3, 1))  # (N, n, h, w) -> (N, h, w, n)
        for group in self.body:
            x = group(x, mask)
        deep: Tensor = self.after_body(self.norm2(x).permute(0, 3, 1, 2)) + shallow
        if self.narrow is None:
            return deep
        narrow = self.narrow(deep).permute(0, 2, 3, 1)  # in the order in which they are in memory
        return F.leaky_relu(narrow, _SLOPE).permute(0, 3, 1, 2)

    def forward(self, lr: Tensor) -> Tensor:
        height, width = (self.scale * side for side in lr.shape[2:])
        sr: Tensor = self.tail(self.features(mirrored(lr, self.window)), self.colour_out)
        return sr[:, :, :height, :width]


class _Exported(nn.Module):
    """A :class:`_SwinIR` with a constant tail, for images of every size."""

    def __init__(self, model: _SwinIR) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        for module in self.model.modules():
            if isinstance(module, WindowAttention):
                module.any_size = True
        self.tail = fixed_tail(model.tail, model.colour_out) if isinstance(model.tail, Tail) else None
        if self.tail is not None:
            del self.model.tail

    def forward(self, lr: Tensor) -> Tensor:
        features = self.model.features(mirrored_once(lr, self.model.window)).contiguous()
        sr = self.model.tail(features, self.model.colour_out) if self.tail is None else self.tail(features)
        height, width = (self.model.scale * side for side in lr.shape[2:])
        return cut_off(sr, height, width)


# --- weights of the authors ------------------------------------------------------------------------------------------

_FIRST = "layers.0.residual_group.blocks.0"


def _config(state: Weights) -> SwinIRConfig:
    features = state["conv_first.weight"].shape[0]
    pairs, heads = state[f"{_FIRST}.attn.relative_position_bias_table"].shape  # (2·window − 1)² pairs of distances
    ups = [state[name] for name in sorted(state) if name.startswith("upsample.") and name.endswith(".weight")]
    short = "conv_before_upsample.0.weight" not in state
    return SwinIRConfig(
        scale=round((ups[0].shape[0] / 3) ** 0.5) if short else scale_of(ups),
        features=features,
        groups=count(state, r"layers\.(\d+)\."),
        layers=count(state, r"layers\.0\.residual_group\.blocks\.(\d+)\."),
        heads=heads,
        window=(round(pairs**0.5) + 1) // 2,
        expansion=state[f"{_FIRST}.mlp.fc1.weight"].shape[0] // features,
        tail_features=0 if short else state["conv_before_upsample.0.weight"].shape[0],
    )


def _names(config: SwinIRConfig) -> Iterator[tuple[str, str]]:
    yield from (("head", "conv_first"), ("norm1", "patch_embed.norm"), ("norm2", "norm"))
    yield "after_body", "conv_after_body"
    if config.tail_features:
        yield from (("narrow", "conv_before_upsample.0"), ("tail.conv", "conv_last"))
        yield from ((f"tail.expand.{i}", f"upsample.{2 * i}") for i in range(len(upscale_factors(config.scale))))
    else:
        yield "tail.conv", "upsample.0"
    for g in range(config.groups):
        yield f"body.{g}.conv", f"layers.{g}.conv"
        for i in range(config.layers):
            ours, theirs = f"body.{g}.layers.{i}", f"layers.{g}.residual_group.blocks.{i}"
            yield f"{ours}.attention.table", f"{theirs}.attn.relative_position_bias_table"
            yield from ((f"{ours}.attention.{part}", f"{theirs}.attn.{part}") for part in ("qkv", "proj"))
            yield from ((f"{ours}.{norm}", f"{theirs}.{norm}") for norm in ("norm1", "norm2"))
            yield from ((f"{ours}.mlp.{2 * k}", f"{theirs}.mlp.fc{k + 1}") for k in (0, 1))


_NAMING = Naming(
    f"{_FIRST}.norm1.weight",
    _config,
    _names,
    unused=r"layers\.\d+\.residual_group\.blocks\.\d+\.(attn\.relative_position_index|attn_mask)",
)


class _AlignedStrips(Upscaler):
    """Strips that begin where a window begins, so that the windows are those of the whole image."""

    def _around(self, start: int, stop: int, height: int) -> tuple[int, int]:
        above, below = super()._around(start, stop, height)
        return above - above % self.config.window, below


_SCHEDULE: dict[str, Any] = {"lr": 2e-4, "schedule": "milestones", "steps": 500_000}


class SwinIRNetwork(LinearTailNetwork):
    """Residual groups of attention within shifted windows, and a tail without activation."""

    paper = "Liang et al., doi:10.1109/ICCVW54120.2021.00210"
    config = SwinIRConfig
    train = PixelSettings
    starts_anew = {"scale": "tail"}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "paper": Preset(
            SwinIRConfig(),
            PixelSettings(batch=32, patch=48, **_SCHEDULE),
            "SwinIR-M: 6 groups of 6 layers with 180 features",
        ),
        "light": Preset(
            SwinIRConfig(features=60, groups=4, tail_features=0),
            PixelSettings(batch=64, patch=64, **_SCHEDULE),
            "the publication's small form: 4 groups of 6 layers with 60 features",
        ),
        "tiny": Preset(
            SwinIRConfig(features=32, groups=2, layers=2, heads=4, tail_features=16),
            PixelSettings(patch=24, lr=1e-3, ema=0.99, steps=600, log_every=25, save_every=100),
            "to see it work; a few minutes on a CPU",
        ),
    }

    def build(self, config: Any) -> nn.Module:
        return _SwinIR(config)

    def released(self, source: Path) -> nn.Module:
        return read_released(self, source, (_NAMING,))

    def exported(self, model: Any, *, everything: bool = False) -> nn.Module:
        return _Exported(model)

    def least_exported_side(self, config: Any) -> int:
        return int(config.window + 1)

    def upscaler(self, config: Any) -> Upscaler:
        return _AlignedStrips(self, config)

    def layer_by_layer(self, model: Any, lr: Tensor) -> Any:
        return super().layer_by_layer(model, mirrored(lr, model.window))

    def reach_of(self, config: Any) -> int:
        """The first layer of a group reaches to the ends of a window, and every further one half a window on."""
        further = (config.layers - 1) * (config.window - config.window // 2)
        group = config.window - 1 + further + 1  # and its convolution
        return int(1 + config.groups * group + 1 + (1 + HALO if config.tail_features else 1))
