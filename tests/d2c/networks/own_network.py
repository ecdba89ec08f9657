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


class Dropping(Least):
    """Leaves out pixels by chance in training."""

    def build(self, config):
        return nn.Sequential(nn.Dropout(0.5), *super().build(config))


class Normed(Network):
    """Keeps statistics of what it sees in training."""

    def build(self, config):
        layers = nn.BatchNorm2d(3), nn.Conv2d(3, 3 * config.scale**2, 1), nn.PixelShuffle(config.scale)
        return nn.Sequential(*layers)


class NoBuild(Network):
    """Lacks the only thing that is required."""


class Unequal(Least):
    """Keeps a counter, has the same layer twice, and a setting without a value."""

    @dataclass(frozen=True, kw_only=True)
    class Config(NetworkConfig):
        note: str | None = setting(None, "nothing")

    config = Config

    def build(self, config):
        layer = nn.Conv2d(3, 3 * config.scale**2, 1)
        net = nn.Sequential(layer, nn.PixelShuffle(config.scale))
        net[1].again = layer
        net.register_buffer("seen", torch.zeros((), dtype=torch.long))
        return net


class WrongSize(Network):
    """Leaves the size as it is."""

    def build(self, config):
        return nn.Conv2d(3, 3, 3, padding=1)


class Tuples(Least):
    def build(self, config):
        net = super().build(config)
        net.register_forward_hook(lambda module, given, made: (made, None))
        return net


class Untrained(Network):
    def build(self, config):
        return nn.Upsample(scale_factor=config.scale)


class NoModule(Network):
    def build(self, config):
        return None


class Failing(Network):
    def build(self, config):
        raise KeyError("width")


class Listed(Least):
    """A setting of no plain type."""

    @dataclass(frozen=True, kw_only=True)
    class Config(NetworkConfig):
        widths: tuple[int, ...] = setting((1, 2), "widths")

    config = Config


class Needy(Least):
    """A setting without a default."""

    @dataclass(frozen=True, kw_only=True)
    class Config(NetworkConfig):
        width: int

    config = Config


class NoMultiple(Least):
    multiple = 0


class Black(Least):
    peak = 0.0


class Backward(Least):
    reach = -1


class NoPreset(Least):
    presets = {"tiny": (1, 2)}  # noqa: RUF012


class NoMain(Least):
    main = "fused"

    def outputs(self, config):
        return ["sr"]


class NoStage(Least):
    def stages(self, train):
        return []


class Endless(Least):
    def stages(self, train):
        return [SecondStage]


class Other(Stage):
    """Returns other terms than it says."""

    def forward(self, lr, hr, **weights):
        return {"loss": self.upscaled(lr).mean()}


class OtherTerms(Least):
    def stages(self, train):
        return [Other]


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
