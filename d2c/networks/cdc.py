"""CDC: hourglasses whose three intermediate images are for flat parts, edges and corners, and masks that join them.

Wei et al., "Component Divide-and-Conquer for Real-World Image Super-Resolution", ECCV 2020,
doi:10.1007/978-3-030-58598-3_7. Section 3.1 has the structure, section 3.2 the intermediate losses (Eq. 2), section 3.3
the gradient-weighted loss (Eqs. 3 and 4).

Departures. The publication has ×2, ×3 and ×4; ×8 has a third doubling in each tail. Luma, from which corners and edges
are found, is that of BT.601.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from d2c.device import at_least_fp32, no_autocast
from d2c.networks.base.constants import constant
from d2c.networks.base.entry import Network
from d2c.networks.base.initial import kaiming
from d2c.networks.base.released import Naming, count, read_released
from d2c.networks.base.stage import Stage
from d2c.settings.config import NetworkConfig, TrainSettings, setting
from d2c.settings.presets import Preset
from d2c.tails.layers import conv3x3
from d2c.tails.tail import upscale_factors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from d2c.networks.base.released import Weights

__all__ = ["CDCConfig", "CDCNetwork", "harris_masks"]

_SLOPE = 0.2
"""Slope of the leaky ReLU for negative values."""
_HALVINGS = 4
"""An hourglass halves the image this many times, so its sides must be multiples of 16."""
_PARTS = ("flat", "edge", "corner")
_WEIGHTS = (1.0, 2.0, 5.0)
"""Weights of the losses of the intermediate images, in the order of the parts."""
_LUMA = (65.481, 128.553, 24.966)
"""Luma on [16, 235], less 16, of RGB on [0, 1] (BT.601)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CDCConfig(NetworkConfig):
    """Structure of CDC."""

    features: int = setting(64, "Feature channels; an hourglass has up to four times as many.", at_least=1, at_most=512)
    hourglasses: int = setting(
        6, "Hourglasses; images are made after the second, the middle and the last.", at_least=4, at_most=64
    )


def _conv(ins: int, outs: int, side: int = 1) -> nn.Conv2d:
    return nn.Conv2d(ins, outs, side, padding=side // 2, bias=False)


class _Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions without bias, added to the input (itself convolved if the width changes)."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        self.narrow, self.conv, self.wide = _conv(ins, outs), _conv(outs, outs, 3), _conv(outs, outs)
        self.identity = nn.Identity() if ins == outs else _conv(ins, outs)

    def forward(self, x: Tensor) -> Tensor:
        residual = F.leaky_relu(self.conv(F.leaky_relu(self.narrow(x), _SLOPE)), _SLOPE)
        added: Tensor = self.identity(x) + self.wide(residual)
        return added


class _Inception(nn.Module):
    """Three paths with no, one and two 3×3 convolutions, joined by a 1×1 convolution and added to the input."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.starts = nn.ModuleList(_conv(n, n) for _ in range(3))
        self.once, self.first, self.second = _conv(n, n, 3), _conv(n, n, 3), _conv(n, n, 3)
        self.join = _conv(3 * n, n)

    def forward(self, x: Tensor) -> Tensor:
        none, one, two = (start(x) for start in self.starts)
        two = self.second(F.leaky_relu(self.first(two), _SLOPE))
        paths = [F.leaky_relu(path, _SLOPE) for path in (none, self.once(one), two)]
        joined: Tensor = self.join(torch.cat(paths, dim=1))
        return x + joined


class _Hourglass(nn.Module):
    """Bottlenecks at five resolutions, down and up again, with a bottleneck on every skip connection."""

    def __init__(self, n: int, *, inceptions: int) -> None:
        super().__init__()
        widths = (n, 2 * n, 2 * n, 4 * n, 4 * n)
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(_Bottleneck(ins, outs) for ins, outs in pairs)
        self.middle = nn.Sequential(*(_Bottleneck(widths[-1], widths[-1]) for _ in range(2)))
        self.skips = nn.ModuleList(_Bottleneck(width, width) for width in widths)
        self.up = nn.ModuleList(_Bottleneck(outs, ins) for ins, outs in reversed(pairs))
        self.inceptions = nn.Sequential(*(_Inception(n) for _ in range(inceptions)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The input of the next hourglass, and the features of this one; both as large as ``x``."""
        kept, small = [x], x
        for down in self.down:
            wide = down(small)
            kept.append(wide)
            small = F.max_pool2d(wide, 2)
        small = self.middle(small)
        for up, skip, before in zip(self.up, reversed(self.skips[1:]), reversed(kept[1:]), strict=True):
            small = up(F.interpolate(small, scale_factor=2, mode="nearest") + skip(before))
        features: Tensor = self.skips[0](x) + small
        return self.inceptions(features), features


class _Tail(nn.Module):
    """From features to three channels at HR size. ``side`` is that of the last convolution's kernel."""

    def __init__(self, n: int, scale: int, side: int) -> None:
        super().__init__()
        self.factors = upscale_factors(scale)
        self.first = conv3x3(n, n)
        self.upconvs = nn.ModuleList(conv3x3(n, n) for _ in self.factors)
        self.conv_hr = conv3x3(n, n)
        self.last = nn.Conv2d(n, 3, side, padding=side // 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for conv, factor in zip(self.upconvs, self.factors, strict=True):
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=factor, mode="nearest")), _SLOPE)
        made: Tensor = self.last(F.leaky_relu(self.conv_hr(x), _SLOPE))
        return made


class _CDC(nn.Module):
    """``(N, 3, h, w)`` with sides that are multiples of 16, to ``(N, 3, s·h, s·w)``, RGB on [0, 1]."""

    def __init__(self, config: CDCConfig) -> None:
        super().__init__()
        n, count = config.features, config.hourglasses
        self.taps = (1, count // 2, count - 1)
        self.stem = conv3x3(3, n)
        self.hourglasses = nn.ModuleList(_Hourglass(n, inceptions=2 * (i + 1 < count)) for i in range(count))
        self.images = nn.ModuleList(_Tail(n, config.scale, 3) for _ in _PARTS)
        self.masks = nn.ModuleList(_Tail(n, config.scale, 3 if config.scale == 3 else 1) for _ in _PARTS)
        kaiming(self.modules(), 0.1)

    def parts(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """The image ``(N, 3, H, W)`` and the intermediate ones ``(3, N, 3, H, W)``, for flat parts, edges, corners."""
        stem = self.stem(lr)
        x, tapped = stem, []
        for i, hourglass in enumerate(self.hourglasses):
            x, features = hourglass(x)
            if i in self.taps:
                tapped.append(0.2 * x + stem if i == self.taps[-1] else features)
        images = torch.stack([tail(x) for tail, x in zip(self.images, tapped, strict=True)])
        masks = torch.stack([tail(x) for tail, x in zip(self.masks, tapped, strict=True)])
        return (torch.softmax(masks, dim=0) * images).sum(dim=0), images

    def forward(self, lr: Tensor) -> Tensor:
        return self.parts(lr)[0]


class CDCStage(Stage):
    """The gradient-weighted loss of the image, and L1 of the intermediate images on flat parts, edges and corners."""

    terms = ("total", "weighted", *_PARTS)
    realigns = True

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> dict[str, Tensor]:
        sr, images = self.model.parts(lr)
        hr = self.target(sr, hr)
        with no_autocast(sr.device):
            sr, images, hr = at_least_fp32(sr), at_least_fp32(images), at_least_fp32(hr)
            masks = harris_masks(hr)
            terms = [(mask * (image - hr)).abs().mean() for mask, image in zip(masks, images, strict=True)]
            weighted = gradient_weighted(sr, hr)
            total = weighted + sum(weight * term for weight, term in zip(_WEIGHTS, terms, strict=True))
            return {"total": total, "weighted": weighted, **dict(zip(_PARTS, terms, strict=True))}


def _sobel(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel derivatives of ``(N, C, h, w)`` along x and y; the outermost pixels are repeated."""
    smooth, slope = constant((1.0, 2.0, 1.0), planes), constant((-1.0, 0.0, 1.0), planes)
    kernels = torch.stack([torch.outer(smooth, slope), torch.outer(slope, smooth)])[:, None]
    n, c, h, w = planes.shape
    padded = F.pad(planes.reshape(n * c, 1, h, w), (1, 1, 1, 1), mode="replicate")
    slopes = F.conv2d(padded, kernels).view(n, c, 2, h, w)
    return slopes[:, :, 0], slopes[:, :, 1]


def harris_masks(hr: Tensor) -> Tensor:
    """Where HR is flat, an edge or a corner by Harris's response: ``(3, N, 1, H, W)`` of 0 and 1, which sum to 1.

    The response is ``det − .04·trace²`` of the structure tensor over 3×3 pixels. It is a corner above .01 of its
    largest value in the patch, and an edge below −.001 of it.
    """
    luma = torch.einsum("c,nchw->nhw", constant(_LUMA, hr), hr)[:, None]
    dx, dy = _sobel(luma)
    xx, yy, xy = (F.avg_pool2d(F.pad(p, (1, 1, 1, 1), mode="replicate"), 3, 1) for p in (dx * dx, dy * dy, dx * dy))
    response = xx * yy - xy**2 - 0.04 * (xx + yy) ** 2
    largest = response.amax(dim=(1, 2, 3), keepdim=True)
    corner = response > 0.01 * largest
    edge = (response < -0.001 * largest) & ~corner
    return torch.stack([~corner & ~edge, edge, corner]).to(hr.dtype)


def gradient_weighted(sr: Tensor, hr: Tensor, alpha: float = 4.0) -> Tensor:
    """Mean of ``(1 + α|Δ∂x|)(1 + α|Δ∂y|)|Δ|``, where Δ is the difference of two images (Eqs. 3 and 4)."""
    dx, dy = _sobel(sr - hr)
    return ((1 + alpha * dx.abs()) * (1 + alpha * dy.abs()) * (sr - hr).abs()).mean()


# --- the authors' weights (trained on DRealSR at ×2, ×3 and ×4) ------------------------------------------------------

_BOTTLENECK = {"narrow": "res.0", "conv": "res.2", "wide": "res.4", "identity": "identity"}
_INCEPTION = {
    "starts.0": "res1.0",
    "starts.1": "res2.0",
    "once": "res2.1",
    "starts.2": "res3.0",
    "first": "res3.1",
    "second": "res3.3",
    "join": "filter_concat",
}


def _config_of(state: Weights) -> CDCConfig:
    """The scale is seen in the layers of a tail: at ×3, its enlargement is not a part of its own."""
    features = state["conv_in.0.weight"].shape[0]
    last = count(state, r"upsample_flat\.(\d+)\.") - 1
    scale = 3 if "upsample_flat.2.weight" in state else 2 ** (last - 2)
    return CDCConfig(scale=scale, features=features, hourglasses=count(state, r"HG_(\d+)\."))


def _hourglass_names(ours: str, other: str, inceptions: int) -> Iterator[tuple[str, str]]:
    parts = [(f"down.{k}", f"down{k + 1}.res_block") for k in range(_HALVINGS)]
    parts += [(f"up.{k}", f"up{k + 1}.res_block") for k in range(_HALVINGS)]
    parts += [(f"middle.{k}", f"mid_res.{k}") for k in range(2)]
    parts += [(f"skips.{k}", f"skip_conv{k}") for k in range(_HALVINGS + 1)]
    for part, name in parts:
        yield from ((f"{ours}.{part}.{layer}", f"{other}.{name}.{its}") for layer, its in _BOTTLENECK.items())
    for k in range(inceptions):
        pairs = _INCEPTION.items()
        yield from ((f"{ours}.inceptions.{k}.{layer}", f"{other}.tail.{k}.{its}") for layer, its in pairs)


def _tail_names(ours: str, other: str, factors: list[int]) -> Iterator[tuple[str, str]]:
    ups = ["2"] if factors == [3] else [f"{i + 1}.1" for i in range(len(factors))]
    after = 4 if factors == [3] else 1 + len(factors)
    yield from ((f"{ours}.upconvs.{i}", f"{other}.{up}") for i, up in enumerate(ups))
    for layer, its in (("first", "0.0"), ("conv_hr", f"{after}.0"), ("last", f"{after + 1}.0")):
        yield f"{ours}.{layer}", f"{other}.{its}"


def _names(config: CDCConfig) -> Iterator[tuple[str, str]]:
    yield "stem", "conv_in.0"
    for i in range(config.hourglasses):
        yield from _hourglass_names(f"hourglasses.{i}", f"HG_{i}", 2 * (i + 1 < config.hourglasses))
    for i, part in enumerate(_PARTS):
        yield from _tail_names(f"images.{i}", f"upsample_{part}", upscale_factors(config.scale))
        yield from _tail_names(f"masks.{i}", f"{part}_map", upscale_factors(config.scale))


class CDCNetwork(Network):
    """Hourglasses with images for flat parts, edges and corners, joined by masks."""

    paper = "Wei et al., doi:10.1007/978-3-030-58598-3_7"
    config = CDCConfig
    multiple = 2**_HALVINGS
    starts_anew = {"scale": ("images", "masks")}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "paper": Preset(
            CDCConfig(),
            TrainSettings(batch=16, patch=48, lr=2e-4, lr_halve_steps=200_000, steps=800_000),
            "6 hourglasses of 64 features",
        ),
        "tiny": Preset(
            CDCConfig(features=5, hourglasses=4),
            TrainSettings(patch=32, lr=1e-3, ema=0.99, steps=600, log_every=25, save_every=100),
            "to see it work; a minute or two on a CPU",
        ),
    }

    def build(self, config: Any) -> nn.Module:
        return _CDC(config)

    def stages(self, train: Any) -> Sequence[type[Stage]]:
        return [CDCStage]

    def released(self, source: Path) -> nn.Module:
        return read_released(self, source, [Naming("conv_in.0.weight", _config_of, _names)])
