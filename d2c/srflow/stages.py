"""The stages of SRFlow: the encoder by L1, then the flow by its likelihood."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.distributed as dist

from d2c.device import at_least_fp32, no_autocast
from d2c.networks.base.skips import Skips
from d2c.networks.base.stage import PixelStage, Stage, pixel_loss

if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor, nn

    from d2c.srflow.config import SRFlowSettings
    from d2c.srflow.model import SRFlow

__all__ = ["NOISE", "EncoderStage", "FlowStage"]

NOISE = 4 / math.sqrt(3) / 255
"""Standard deviation of the normal noise that is added to HR, where white is 1: 4/√3 grey levels of 8 bit."""


class EncoderStage(PixelStage):
    """Stage 1: the encoder alone, as RRDB."""

    model: SRFlow
    realigns = True

    def trained(self) -> list[nn.Parameter]:
        return list(self.model.encoder.parameters())

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> dict[str, Tensor]:
        sr = self.model.encoder(lr)
        return {"total": pixel_loss(sr, self.target(sr, hr), self.config.loss)}


class FlowStage(Stage):
    """Stage 2: the negative log-likelihood of HR with noise, in bits for each HR pixel.

    In its first half the encoder is frozen. A longer stage has a later half, so an encoder that was trained already is
    frozen again until then. Steps whose gradient is not finite are left out.
    """

    model: SRFlow
    config: SRFlowSettings
    terms = ("total", "per_dimension", "skipped")
    lengths = ("steps_flow", "epochs_flow")
    share = 0.5
    milestones = (0.5, 0.75, 0.9, 0.95)
    skips: Skips

    def __init__(self, model: Any, config: Any) -> None:
        super().__init__(model, config)
        self.skips = Skips()
        self._step = self._seen = 0
        self._frozen = False

    def _encoder(self) -> list[nn.Parameter]:
        """The parameters of the encoder on which the conditions depend."""
        encoder = self.model.encoder
        unused = {
            id(p) for part in (encoder.upconvs[-1], encoder.conv_hr, encoder.conv_last) for p in part.parameters()
        }
        return [p for p in encoder.parameters() if id(p) not in unused]

    def trained(self) -> list[nn.Parameter]:
        return [*self._encoder(), *self.model.flow.parameters()]

    def scheduled_rate(self, step: int, steps: int, epoch: int) -> float:
        return self.warmed_up(self.by_milestones(self.config.lr_flow, step, steps), step)

    @classmethod
    def follows_length(cls, config: Any) -> str:
        return (
            "the rate follows the milestones of the new length from here on, and the encoder is frozen, again if need "
            "be, until half of it is done"
        )

    def clip_norm(self) -> float:
        return self.config.clip_norm_flow

    def before_step(self, step: int, steps: int) -> bool:
        self._step, self._seen = step, 0
        frozen, self._frozen = self._frozen, 2 * step <= steps
        for parameter in self._encoder():
            parameter.requires_grad_(not self._frozen)
        return frozen != self._frozen

    @torch.no_grad()
    def begin(self, lr: Tensor, hr: Tensor) -> bool:
        if self.model.has_started:
            return False
        self.model.flow.start(hr + self._noise(hr), self.model.conditions(lr))
        self.model.started.fill_(True)
        self._seen = 0
        return True

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> dict[str, Tensor]:
        with no_autocast(hr.device):
            lr, hr = at_least_fp32(lr), at_least_fp32(hr)
            bits = self.model.bits(hr + self._noise(hr), self.model.conditions(lr))
        return {"total": bits, "per_dimension": bits / 3, "skipped": bits.new_tensor(self.skips.total)}

    def _noise(self, hr: Tensor) -> Tensor:
        """The noise of a batch or of a part of it, drawn for each patch of a step on its own."""
        samples, *shape = hr.shape
        processes = dist.get_world_size() if dist.is_initialized() else 1
        first = (dist.get_rank() if processes > 1 else 0) * (self.config.batch // processes) + self._seen
        self._seen += samples
        keys = [(self.config.seed, 2, 2, self._step, first + number) for number in range(samples)]
        drawn = np.stack([np.random.default_rng(key).standard_normal(shape, dtype=np.float32) for key in keys])
        return NOISE * torch.from_numpy(drawn).to(hr.device, hr.dtype)
