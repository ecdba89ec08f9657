"""The flow of SRFlow: an invertible map between HR images and latents, given features of the LR image.

Each module has ``forward``, from the image towards the latents, which also adds up the logarithm of the absolute
determinant of its Jacobian for each image, and ``inverse``. Steps and levels follow Lugmayr et al.,
doi:10.1007/978-3-030-58558-7_42, section 3, and Glow (Kingma and Dhariwal, arXiv:1807.03039).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from d2c.srflow.config import SRFlowConfig

    Latent = Callable[[int, Tensor], Tensor]

__all__ = ["ActNorm", "Flow", "InvertibleConv", "Step", "log_normal"]

_LOG_GAIN = 3.0
"""Factor on the logarithms of the gains of a layer that begins with zeros."""
_LEAST_SCALE = 1e-4
"""Smallest factor of an affine layer; its largest is 1 more."""
_LEAST_DEVIATION = 1e-6
_INITIAL = 0.05
"""Standard deviation of the weights of convolutions before an ActNorm."""


class ActNorm(nn.Module):
    """Add a bias to each channel, then multiply by ``exp(logs)``.

    While ``starting``, both are set so that the channels of what it gets have mean 0 and standard deviation 1, over the
    batches of all processes.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.logs = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.starting = False

    def forward(self, x: Tensor) -> Tensor:
        if self.starting:
            self._start(x)
        return (x + self.bias) * self.logs.exp()

    def inverse(self, y: Tensor) -> Tensor:
        return y * (-self.logs).exp() - self.bias

    @torch.no_grad()
    def _start(self, x: Tensor) -> None:
        x = x.double()
        moments = torch.stack([x.mean(dim=(0, 2, 3)), x.square().mean(dim=(0, 2, 3))])
        if dist.is_initialized():  # all processes have equally many images
            dist.all_reduce(moments)
            moments /= dist.get_world_size()
        mean, square = moments
        deviation = (square - mean**2).clamp(min=0).sqrt() + _LEAST_DEVIATION
        self.bias.copy_(-mean.view_as(self.bias))
        self.logs.copy_(-deviation.log().view_as(self.logs))


class InvertibleConv(nn.Module):
    """A 1×1 convolution with a square matrix, which is orthogonal at the start."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(channels, channels)))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight[:, :, None, None])

    def inverse(self, y: Tensor) -> Tensor:
        return F.conv2d(y, self.inverted()[:, :, None, None])

    def inverted(self) -> Tensor:
        """The inverse of the matrix, computed in double precision."""
        found: Tensor = torch.linalg.inv(self.weight.double()).to(self.weight.dtype)
        return found

    def log_det(self) -> Tensor:
        """Of one pixel, in double precision."""
        found: Tensor = torch.linalg.slogdet(self.weight.double())[1]
        return found


class ZeroConv(nn.Module):
    """A 3×3 convolution times gains, all zero at the start. Even channels of the result are first, odd ones second."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(ins, 2 * outs, 3, padding=1)
        self.logs = nn.Parameter(torch.zeros(2 * outs, 1, 1))
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(cast("Tensor", self.conv.bias))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        made = self.conv(x) * (_LOG_GAIN * self.logs).exp()
        return made[:, 0::2], made[:, 1::2]


class AffineNet(nn.Module):
    """The shift and the factor of an affine layer, ``(N, outs, h, w)`` each, from ``(N, ins, h, w)``."""

    def __init__(self, ins: int, outs: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(ins, hidden, 3, padding=1, bias=False)
        self.norm1 = ActNorm(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, 1, bias=False)
        self.norm2 = ActNorm(hidden)
        self.last = ZeroConv(hidden, outs)
        for conv in (self.conv1, self.conv2):
            nn.init.normal_(conv.weight, 0.0, _INITIAL)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.norm1(self.conv1(x)))
        shift, factor = self.last(F.relu(self.norm2(self.conv2(x))))
        return shift, torch.sigmoid(factor + 2) + _LEAST_SCALE


class Step(nn.Module):
    """ActNorm and an invertible convolution; with conditions, then an affine injector and an affine coupling.

    The injector changes all channels by factors and shifts that follow from the conditions alone. The coupling changes
    the second half of the channels, by the first half and the conditions.
    """

    def __init__(self, channels: int, conditions: int = 0, hidden: int = 0) -> None:
        super().__init__()
        self.norm, self.mix = ActNorm(channels), InvertibleConv(channels)
        self.injector = AffineNet(conditions, channels, hidden) if conditions else None
        half = channels // 2
        self.coupling = AffineNet(half + conditions, channels - half, hidden) if conditions else None

    def forward(self, x: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """What the step makes, and the logarithm of the determinant for each image, ``(N,)``."""
        x = self.mix(self.norm(x))
        log_det = x.shape[2] * x.shape[3] * (self.norm.logs.sum() + self.mix.log_det().to(x.dtype))
        total = log_det.expand(len(x))
        if self.injector is None or self.coupling is None:
            return x, total
        shift, factor = self.injector(conditions)
        x = (x + shift) * factor
        total = total + factor.log().sum(dim=(1, 2, 3))
        first, second = halves(x)
        shift, factor = self.coupling(torch.cat([first, conditions], dim=1))
        total = total + factor.log().sum(dim=(1, 2, 3))
        return torch.cat([first, (second + shift) * factor], dim=1), total

    def inverse(self, y: Tensor, conditions: Tensor) -> Tensor:
        if self.injector is not None and self.coupling is not None:
            first, second = halves(y)
            shift, factor = self.coupling(torch.cat([first, conditions], dim=1))
            y = torch.cat([first, second / factor - shift], dim=1)
            shift, factor = self.injector(conditions)
            y = y / factor - shift
        return self.norm.inverse(self.mix.inverse(y))


class Level(nn.Module):
    """Squeeze 2×2 pixels into channels, then steps; then, if it splits, take half of the channels out as a latent."""

    def __init__(self, config: SRFlowConfig, channels: int, conditions: int, *, splits: bool) -> None:
        super().__init__()
        plain = (Step(channels) for _ in range(config.transitions))
        full = (Step(channels, conditions, config.flow_features) for _ in range(config.flow_steps))
        self.steps = nn.ModuleList([*plain, *full])
        self.prior = ZeroConv(channels // 2, channels - channels // 2) if splits else None

    def forward(self, x: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """What the next level gets, the log-determinant for each image, and the latent, if it splits."""
        x = F.pixel_unshuffle(x, 2)
        total = x.new_zeros(len(x))
        for step in self.steps:
            x, log_det = step(x, conditions)
            total = total + log_det
        if self.prior is None:
            return x, total, None
        kept, taken = halves(x)
        mean, logs = self.prior(kept)
        return kept, total - logs.sum(dim=(1, 2, 3)), (taken - mean) * (-logs).exp()

    def inverse(self, y: Tensor, conditions: Tensor, latent: Callable[[Tensor], Tensor]) -> Tensor:
        """``latent`` makes the latent in the form of a tensor that it is given."""
        if self.prior is not None:
            mean, logs = self.prior(y)
            y = torch.cat([y, mean + logs.exp() * latent(mean)], dim=1)
        for step in reversed(self.steps):
            y = cast("Step", step).inverse(y, conditions)
        return F.pixel_shuffle(y, 2)


class Flow(nn.Module):
    """From HR images to latents, all levels together. All levels but the last two give one of their own away.

    ``conditions`` are those of the levels, the finest first: ``(N, c, H/2, W/2)``, ``(N, c, H/4, W/4)`` …
    """

    def __init__(self, config: SRFlowConfig, conditions: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        channels = 3
        for number in range(config.levels):
            channels *= 4
            splits = number < config.levels - 2
            self.levels.append(Level(config, channels, conditions, splits=splits))
            channels = channels // 2 if splits else channels

    def forward(self, hr: Tensor, conditions: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """The latents, the finest first, which are standard normal numbers, and the log-determinant ``(N,)``."""
        latents, total = [], hr.new_zeros(len(hr))
        for level, given in zip(self.levels, conditions, strict=True):
            hr, log_det, latent = level(hr, given)
            total = total + log_det
            latents += [] if latent is None else [latent]
        return [*latents, hr], total

    def inverse(self, conditions: Sequence[Tensor], latent: Latent) -> Tensor:
        """The HR images of latents.

        ``latent`` makes the latent of a level (from 0), given a tensor of its form. Those of the last level are all of
        its channels.
        """
        last = len(self.levels) - 1
        coarsest = conditions[-1]
        channels = cast("Step", cast("Level", self.levels[last]).steps[0]).norm.bias.shape[1]
        like = coarsest.new_zeros(1, 1, 1, 1).expand(coarsest.shape[0], channels, *coarsest.shape[2:])
        y = latent(last, like)
        for number in reversed(range(last + 1)):
            level = cast("Level", self.levels[number])
            y = level.inverse(y, conditions[number], lambda like, of=number: latent(of, like))  # type: ignore[misc]
        return y

    @torch.no_grad()
    def start(self, hr: Tensor, conditions: Sequence[Tensor]) -> None:
        """Set all ActNorms from a batch: each gets what those before it, set already, make."""
        norms = [module for module in self.modules() if isinstance(module, ActNorm)]
        for norm in norms:
            norm.starting = True
        try:
            self(hr, conditions)
        finally:
            for norm in norms:
                norm.starting = False


def halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the second half of the channels."""
    half = x.shape[1] // 2
    return x[:, :half], x[:, half:]


def log_normal(latents: Sequence[Tensor]) -> Tensor:
    """The logarithm of the standard normal density of latents, for each image, ``(N,)``."""
    logs = [-0.5 * (z.square() + math.log(2 * math.pi)).sum(dim=(1, 2, 3)) for z in latents]
    return torch.stack(logs).sum(dim=0)
