"""SRFlow's model: the encoder, the conditions that it gives to the flow, images, samples and likelihoods."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from d2c.device import at_least_fp32, no_autocast
from d2c.networks.base.mirror import mirrored
from d2c.networks.rrdb import RRDBConfig, RRDBNet
from d2c.srflow.config import MULTIPLE
from d2c.srflow.flow import Flow, log_normal

if TYPE_CHECKING:
    from torch import Tensor

    from d2c.srflow.config import SRFlowConfig
    from d2c.srflow.flow import Latent

__all__ = ["SRFlow", "drawn", "encoder_config", "zeros"]

_LEVELS_OF_GREY = 255
_BITS_OF_GREY = math.log2(_LEVELS_OF_GREY)


class SRFlow(nn.Module):
    """``(N, 3, h, w)`` to ``(N, 3, s·h, s·w)``, RGB on [0, 1], computed in single precision or better.

    Its image is the one of latents 0. Until the flow has been started, it is the encoder's own.
    """

    started: Tensor

    def __init__(self, config: SRFlowConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = RRDBNet(encoder_config(config))
        self.flow = Flow(config, (1 + len(config.taps)) * config.features)
        self.register_buffer("started", torch.tensor(False))

    @property
    def has_started(self) -> bool:
        """Whether the flow has been started from data or read from a file; a model of shapes only counts as started."""
        return self.started.is_meta or bool(self.started)

    def conditions(self, lr: Tensor) -> list[Tensor]:
        """For each level of the flow, the finest first, the encoder's features of that size and outputs of blocks.

        The features are those of the enlargements before their activation, of the trunk, and the trunk's mean over 2×2
        pixels. The outputs of blocks are resized by taking the nearest pixel.
        """
        trunk, blocks = self.encoder.trunk(lr, self.config.taps)
        # the last enlargement, to the size of HR, is only for the encoder's own image
        found = [F.avg_pool2d(trunk, 2), *itertools.islice(self.encoder.levels(trunk), self.config.levels - 1)]
        stacked = torch.cat(blocks, dim=1)
        both = [torch.cat([own, _resized(stacked, number)], dim=1) for number, own in enumerate(found)]
        return both[::-1]

    def forward(self, lr: Tensor) -> Tensor:
        height, width = (self.config.scale * side for side in lr.shape[2:])
        with no_autocast(lr.device):
            lr = mirrored(at_least_fp32(lr), MULTIPLE)
            made: Tensor = self.flow.inverse(self.conditions(lr), zeros) if self.has_started else self.encoder(lr)
        return made[..., :height, :width]

    def bits(self, hr: Tensor, conditions: list[Tensor]) -> Tensor:
        """The negative logarithm of the likelihood of images, in bits for each HR pixel: the mean over the batch.

        It is that of a density over colours in grey levels of 8 bit.
        """
        latents, log_det = self.flow(hr, conditions)
        nats: Tensor = -(log_normal(latents) + log_det) / (hr.shape[2] * hr.shape[3])
        return nats.mean() / math.log(2) + 3 * _BITS_OF_GREY


def encoder_config(config: SRFlowConfig) -> RRDBConfig:
    """The structure of the encoder."""
    return RRDBConfig(scale=config.scale, features=config.features, growth=config.growth, blocks=config.blocks)


def _resized(blocks: Tensor, number: int) -> Tensor:
    """Features at LR size for a level, by nearest neighbours: 0 is half the size, 1 the same, 2 twice the size …"""
    if number == 0:
        return blocks[:, :, ::2, ::2]
    return F.interpolate(blocks, scale_factor=2 ** (number - 1), mode="nearest") if number > 1 else blocks


def zeros(level: int, like: Tensor) -> Tensor:
    """Latents 0."""
    return torch.zeros_like(like, memory_format=torch.contiguous_format)


def drawn(scale: int, temperature: float, sample: int, first_row: int = 0) -> Latent:
    """Latents of one image, drawn row by row, so that a strip of the image gets the same numbers as the whole.

    They depend on the number of the sample, the level, the row and the width alone, and not on the device.

    Parameters
    ----------
    temperature : float
        Standard deviation.
    sample : int
        Number of the sample, which is its seed.
    first_row : int
        First LR row of the strip, an even number.
    """

    def latent(level: int, like: Tensor) -> Tensor:
        _, channels, rows, width = like.shape
        first = first_row * scale // 2 ** (level + 1)
        made = np.empty((channels, rows, width), np.float32)
        for row in range(rows):
            rng = np.random.default_rng((sample, level, first + row))
            made[:, row] = rng.standard_normal((channels, width), dtype=np.float32)
        return temperature * torch.from_numpy(made)[None].to(like.device, like.dtype)

    return latent
