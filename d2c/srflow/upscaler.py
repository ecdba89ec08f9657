"""Run SRFlow on whole images: the image of latents 0, and samples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from d2c.networks.base.mirror import mirrored
from d2c.networks.base.upscaler import Strip, Upscaler
from d2c.srflow.config import MULTIPLE
from d2c.srflow.model import drawn, zeros

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from torch import Tensor, nn

    from d2c.networks.base.entry import Network
    from d2c.networks.base.upscaler import Plan

__all__ = ["FlowUpscaler"]


class FlowUpscaler(Upscaler):
    """Makes the result and the samples that are asked for, one after the other, from the same conditions."""

    def __init__(self, network: Network, config: Any) -> None:
        super().__init__(network, config)
        assert network.sampling is not None
        self.sampling = network.sampling
        self.channels = 3 * (1 + self.sampling.samples)

    @torch.inference_mode()
    def _made(self, model: Any, lr: Tensor, first_row: int, *, samples: bool) -> list[Tensor]:
        """The result of a strip, then its samples. Where the inverse of the flow has no value, they are black."""
        sampling, scale = self.sampling, self.config.scale
        draws = [sampling.result] + [sampling.temperature] * (sampling.samples if samples else 0)
        if not model.has_started:
            return [model(lr)] * len(draws)
        conditions = model.conditions(lr)
        numbers = (1, *range(1, len(draws)))
        made = [
            model.flow.inverse(conditions, drawn(scale, draw, number, first_row) if draw else zeros)
            for draw, number in zip(draws, numbers, strict=True)
        ]
        return [image.nan_to_num(nan=0.0, posinf=math.inf, neginf=-math.inf) for image in made]

    def strips(
        self, model: nn.Module, lr: Tensor, plan: Plan, folder: Path | None, progress: Callable[[], None]
    ) -> Generator[Strip, None, None]:
        """The image from top to bottom, with ``samples`` (K, 3, ·, W) if all outputs are kept."""
        scale, padded = self.config.scale, mirrored(lr, MULTIPLE)
        for start in range(0, plan.height, plan.strip):
            stop = min(plan.height, start + plan.strip)
            above, below = self._around(start, stop, plan.height)
            made = self._made(model, padded[:, :, above:below], above, samples=plan.keep_all)
            rows, columns = slice(scale * (start - above), scale * (stop - above)), slice(0, scale * plan.width)
            sr, *samples = (image[0, :, rows, columns] for image in made)
            more = {"samples": torch.stack(samples)} if samples else {}
            yield Strip(scale * start, sr, more)
