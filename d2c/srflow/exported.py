"""SRFlow in the form in which it is exported: the image of latents 0, with inverted matrices as constants."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

import torch.nn.functional as F
from torch import nn

from d2c.srflow.flow import InvertibleConv, Step
from d2c.srflow.model import zeros

if TYPE_CHECKING:
    from torch import Tensor

    from d2c.srflow.model import SRFlow

__all__ = ["ExportedSRFlow"]


class _Inverted(nn.Module):
    """The inverse of an invertible convolution."""

    def __init__(self, mix: InvertibleConv) -> None:
        super().__init__()
        self.kernel = nn.Parameter(mix.inverted().detach()[:, :, None, None].contiguous())

    def inverse(self, y: Tensor) -> Tensor:
        return F.conv2d(y, self.kernel)


class ExportedSRFlow(nn.Module):
    """``(N, 3, h, w)`` with even sides to ``(N, 3, s·h, s·w)``."""

    def __init__(self, model: SRFlow) -> None:
        super().__init__()
        self.model = cast("Any", copy.deepcopy(model))
        self.has_started = model.has_started
        for step in self.model.flow.modules():
            if isinstance(step, Step):
                step.mix = _Inverted(step.mix)  # type: ignore[assignment]

    def forward(self, lr: Tensor) -> Tensor:
        if not self.has_started:
            return cast("Tensor", self.model.encoder(lr))
        return cast("Tensor", self.model.flow.inverse(self.model.conditions(lr), zeros))
