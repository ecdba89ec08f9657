"""The network of :mod:`d2c.comparison.worth.one_body`, and how it runs on whole images."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from d2c.d2csr.config import D2CConfig
from d2c.d2csr.convergence import ConvergenceNet
from d2c.d2csr.grouped_tree import leaf_features_side_by_side
from d2c.d2csr.network import D2CSR
from d2c.d2csr.strips import strips
from d2c.d2csr.upscaler import BandUpscaler
from d2c.inference.spill import FeatureMap
from d2c.networks.base.upscaler import Upscaler
from d2c.tails.frame import predictions_side_by_side
from d2c.tails.layers import RGB_MEAN, ColourLayer
from d2c.tails.siblings import run_side_by_side
from d2c.tails.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from torch import Tensor

    from d2c.comparison.worth.one_body import OneBodyConfig
    from d2c.networks.base.entry import Network
    from d2c.networks.base.upscaler import Plan, Strip, Way

__all__ = ["SharedBody", "SharedBodyUpscaler"]


class SharedBody(D2CSR):
    """A tree of one layer whose branches are one and the same: the body of a path, without its tail."""

    def __init__(self, network: Network, config: OneBodyConfig) -> None:
        nn.Module.__init__(self)  # without the branches of a tree
        self.config = config
        fields = {f.name: getattr(config, f.name) for f in dataclasses.fields(D2CConfig)}
        self.body = D2CSR(D2CConfig(**fields | {"depth": config.body_depth, "width": 1}))
        del self.body.tails, self.body.convergence, self.body.colour_out
        self.tails = nn.ModuleList(
            Tail(config.features, config.scale, config.borders) for _ in range(config.predictions)
        )
        self.colour_out = ColourLayer(RGB_MEAN)
        self.convergence = ConvergenceNet(config)
        network.note(self, config)

    def leaf_features(self, lr: Tensor) -> list[Tensor]:
        return self.body.leaf_features(lr) * self.config.predictions

    def diverge(self, lr: Tensor) -> Tensor:
        if not run_side_by_side(lr.device):
            return super().diverge(lr)
        tails = [cast("Tail", tail) for tail in self.tails]
        shared = leaf_features_side_by_side(self.body, lr).repeat(1, len(tails), 1, 1)
        return predictions_side_by_side(tails, shared, self.colour_out)


class SharedBodyUpscaler(BandUpscaler):
    """Runs the body on the whole image, then tails and convergence net in strips."""

    def ways(self, size: tuple[int, int], device: torch.device) -> Iterator[Way]:
        return (way for way in super().ways(size, device) if not way.spilled)

    def parts(self, plan: Plan) -> int:
        return Upscaler.parts(self, plan)

    def strips(
        self, model: Any, lr: Tensor, plan: Plan, folder: Path | None, progress: Callable[[], None]
    ) -> Generator[Strip, None, None]:
        with torch.inference_mode():
            (feature,) = model.body.leaf_features(lr)
            shared = FeatureMap(feature[0].permute(1, 2, 0).contiguous())
        leaves = [shared] * self.config.predictions
        with contextlib.closing(strips(model, leaves, plan.height, plan.strip)) as made:
            yield from made
