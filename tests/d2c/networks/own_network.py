"""Networks as somebody would write them outside of this repository, for the tests beside this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from d2c.networks import Network, NetworkConfig, Preset, TrainSettings, setting
from d2c.networks.base.stage import Stage


@dataclass(frozen=True, kw_only=True)
class OwnConfig(NetworkConfig):
    """Structure."""

    channels: int = setting(4, "channels", at_least=1, at_most=64)
    skip: Literal["nearest", "bilinear"] = setting("nearest", "what is added", choices=("nearest", "bilinear"))


@dataclass(frozen=True, kw_only=True)
class OwnTraining(TrainSettings):
    """Training in two stages."""

    steps_second: int = setting(0, "steps of stage 2", at_least=0, length=True)
    epochs_second: int = setting(1, "epochs of stage 2", at_least=1, length=True)
    weight: float = setting(2.0, "weight of the squares in stage 2", at_least=0)


class OwnNet(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.scale, self.skip = config.scale, config.skip
        self.body = nn.Conv2d(3, config.channels, 3, padding=1)
        self.tail = nn.Conv2d(config.channels, 3 * config.scale**2, 3, padding=1)

    def forward(self, lr):
        if lr.shape[-1] % 4 or lr.shape[-2] % 4:
            raise ValueError(f"sides of {tuple(lr.shape)} are no multiples of 4")
        made = F.pixel_shuffle(self.tail(F.relu(self.body(lr))), self.scale)
        return made + F.interpolate(lr, scale_factor=self.scale, mode=self.skip)


class SecondStage(Stage):
    """Squares instead of absolute differences, for the tail alone."""

    terms = ("total", "squares")
    weights = ("weight",)
    lengths = ("steps_second", "epochs_second")

    def trained(self):
        return list(self.model.tail.parameters())

    def term_weights(self, epoch):
        return {"weight": self.config.weight}

    def forward(self, lr, hr, **weights):
        squares = F.mse_loss(self.upscaled(lr), hr)
        return {"total": weights["weight"] * squares, "squares": squares}


class Own(Network):
    """Values up to 255, sides that are multiples of 4, two stages."""

    paper = "nobody, 2026"
    config = OwnConfig
    train = OwnTraining
    multiple = 4
    peak = 255.0
    reach = 3
    starts_anew = {"scale": "tail"}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "tiny": Preset(
            OwnConfig(channels=3),
            OwnTraining(patch=8, batch=2, steps=4, steps_second=3, lr=1e-3, log_every=1, save_every=2),
            "for tests",
        )
    }

    def build(self, config):
        return OwnNet(config)

    def stages(self, train):
        return [*super().stages(train), SecondStage]


class Whole(Own):
    """The same, but that all pixels depend on all others."""

    reach = None

    def build(self, config):
        net = OwnNet(config)
        net.register_forward_hook(lambda module, given, made: made + given[0].mean())
        return net


class Least(Network):
    """Nothing but what must be written."""

    def build(self, config):
        return nn.Sequential(nn.Conv2d(3, 3 * config.scale**2, 1), nn.PixelShuffle(config.scale))


class Normed(Network):
    """Keeps statistics of what it sees in training."""

    def build(self, config):
        layers = nn.BatchNorm2d(3), nn.Conv2d(3, 3 * config.scale**2, 1), nn.PixelShuffle(config.scale)
        return nn.Sequential(*layers)


class NoBuild(Network):
    """Lacks the only thing that is required."""


class Twice(Network):
    """Two settings of one name."""

    @dataclass(frozen=True, kw_only=True)
    class Config(NetworkConfig):
        batch: int = setting(1, "not what training calls a batch")

    config = Config

    def build(self, config):
        return torch.nn.Identity()


class Taken(Network):
    """A setting that has the name of an option."""

    @dataclass(frozen=True, kw_only=True)
    class Config(NetworkConfig):
        device: str = setting("", "something else")

    config = Config

    def build(self, config):
        return torch.nn.Identity()
