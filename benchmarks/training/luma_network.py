"""A network of luma alone for experiments with many short trainings on a CPU, and its training.

A few residual blocks at LR size add detail to bicubic interpolation; HR's pixels are the channels of the last layer
(Shi et al., arXiv:1609.05158). A step costs about a third of one of EDSR with as many parameters in `d2c train`, which
computes three colours and composes its tail, and it starts at bicubic interpolation. On the same pairs, EDSR is still
below bicubic interpolation after 140 steps, and this network above it after 100.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["LumaNetwork", "LumaPair", "Result", "Schedule", "psnr_db", "train_luma"]

LumaPair: TypeAlias = "tuple[NDArray[np.float32], NDArray[np.float32]]"
"""Luma of LR and of HR on [16, 235]."""

_PEAK = 255.0


class LumaNetwork(nn.Module):
    """Bicubic interpolation and what residual blocks add to it. Before training they add nothing."""

    def __init__(self, scale: int, features: int, blocks: int) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(1, features, 3, padding=1)
        self.body = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(features, features, 3, padding=1), nn.ReLU(), nn.Conv2d(features, features, 3, padding=1)
            )
            for _ in range(blocks)
        )
        self.tail = nn.Conv2d(features, scale**2, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)

    def forward(self, lr: Tensor) -> Tensor:
        """HR ``(N, 1, s·h, s·w)`` of LR ``(N, 1, h, w)``, both on [0, 1]."""
        features = self.head(lr - 0.5)
        for block in self.body:
            features = features + block(features)
        plain = F.interpolate(lr, scale_factor=self.scale, mode="bicubic", align_corners=False)
        return plain + F.pixel_shuffle(self.tail(features), self.scale)

    def image(self, lr: NDArray[np.float32]) -> NDArray[np.float32]:
        """Luma of HR of luma of LR, both on [16, 235]."""
        with torch.inference_mode():
            return np.asarray(self(torch.from_numpy(lr)[None, None] / _PEAK)[0, 0].numpy() * _PEAK)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Length and settings of a training. The learning rate is constant; the weights are averaged over the steps."""

    steps: int
    rate: float
    validate_every: int
    batch: int = 4
    patch: int = 24
    average: float = 0.99
    turned: bool = True
    """Whether crops are used in random flips and turns."""


class Result(NamedTuple):
    """The network at the best step by validation, that step, and its mean PSNR there in dB."""

    network: LumaNetwork
    step: int
    validation_db: float


def psnr_db(image: NDArray[np.floating], hr: NDArray[np.floating], border: int) -> float:
    """PSNR of luma in dB without a border, on 255 levels; values beyond [16, 235] are clipped."""
    inner = (slice(border, -border), slice(border, -border))
    return float(10 * np.log10(_PEAK**2 / np.mean((np.clip(image, 16, 235) - hr)[inner] ** 2)))


def train_luma(
    network: LumaNetwork, pairs: Sequence[LumaPair], validation: Sequence[LumaPair], schedule: Schedule, seed: int
) -> Result:
    """Train by the absolute error of random crops, in random flips and turns; returns the best averaged weights."""
    rng, scale = np.random.default_rng(seed), network.scale
    tensors = [(torch.from_numpy(lr) / _PEAK, torch.from_numpy(hr) / _PEAK) for lr, hr in pairs]
    optimiser = torch.optim.Adam(network.parameters(), schedule.rate)
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(schedule.average)
    )
    best, best_step, best_db = network.state_dict(), 0, -np.inf
    for step in range(1, schedule.steps + 1):
        lr, hr = _batch(tensors, rng, schedule, scale)
        optimiser.zero_grad()
        F.l1_loss(network(lr), hr).backward()
        optimiser.step()
        averaged.update_parameters(network)
        if step % schedule.validate_every == 0:
            found = float(np.mean([psnr_db(averaged.module.image(lr), hr, scale) for lr, hr in validation]))
            if found > best_db:
                best, best_step, best_db = {k: v.clone() for k, v in averaged.module.state_dict().items()}, step, found
    network.load_state_dict(best)
    return Result(network, best_step, best_db)


def _batch(
    tensors: Sequence[tuple[Tensor, Tensor]], rng: np.random.Generator, schedule: Schedule, scale: int
) -> tuple[Tensor, Tensor]:
    """Crops of pairs drawn at random; all crops of a batch have one of the eight flips and turns."""
    crops, side = [], schedule.patch
    for which in rng.integers(len(tensors), size=schedule.batch):
        lr, hr = tensors[which]
        y, x = (int(rng.integers(length - side + 1)) for length in lr.shape)
        big = scale * side
        crops.append((lr[y : y + side, x : x + side], hr[scale * y : scale * y + big, scale * x : scale * x + big]))
    turns, mirrored = int(rng.integers(4)) * schedule.turned, bool(rng.integers(2)) and schedule.turned
    batch = []
    for planes in zip(*crops, strict=True):
        stacked = torch.rot90(torch.stack(planes)[:, None], turns, (2, 3))
        batch.append(stacked.transpose(2, 3) if mirrored else stacked)
    return batch[0].contiguous(), batch[1].contiguous()
