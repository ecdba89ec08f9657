"""D2C-SR in the form in which it is exported: with constant tails."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from d2c.tails.fixed import fixed_tail

if TYPE_CHECKING:
    from torch import Tensor

    from d2c.d2csr.network import D2CSR
    from d2c.tails.tail import Tail

__all__ = ["ExportedD2CSR"]


class ExportedD2CSR(nn.Module):
    """The fused image. With ``everything``, also the predictions ``(N, P, 3, H, W)`` and weights ``(N, P, H, W)``."""

    def __init__(self, model: D2CSR, *, everything: bool) -> None:
        super().__init__()
        self.model = cast("Any", copy.deepcopy(model))
        self.model.tails = nn.ModuleList(fixed_tail(cast("Tail", tail), model.colour_out) for tail in model.tails)
        self.model.colour_out = nn.Identity()
        self.everything = everything

    def forward(self, lr: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        leaves = zip(self.model.tails, self.model.leaf_features(lr), strict=True)
        predictions = torch.stack([tail(features) for tail, features in leaves], dim=1)
        sr, weights = self.model.converge(predictions)
        return (sr, predictions, weights) if self.everything else sr
