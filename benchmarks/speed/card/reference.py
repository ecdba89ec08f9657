"""What training steps are compared with: the factored structure of the released code, RCAN and EDSR.

They run in the engine of d2c, with its losses, so that nothing differs but the networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from benchmarks.peers import peer_networks
from d2c.losses import convergence_loss, divergence_loss
from d2c.networks.base.stage import Stage

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["FactoredStage", "PeerStage", "compile_blocks"]


class _ChannelsLast(Stage):
    """A plain network, in the order in memory in which it is fastest."""

    def lay_out(self, device: torch.device) -> None:
        self.model.to(memory_format=torch.channels_last)


class FactoredStage(_ChannelsLast):
    """A stage of D2C-SR on the factored structure, with one pass of the tree.

    Parameters
    ----------
    kind : str
        ``stage 1``, ``stage 2`` or ``joint``.
    """

    def __init__(self, model: Any, config: Any, kind: str) -> None:
        self.kind = kind
        super().__init__(model, config)
        self.divergence = divergence_loss

    def trained(self) -> list[nn.Parameter]:
        named = self.model.named_parameters()
        unused = {"stage 1": "convergence.", "stage 2": ("colour", "head", "layers", "residuals", "tails")}
        return [p for name, p in named if self.kind == "joint" or not name.startswith(unused[self.kind])]

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> dict[str, Tensor]:
        config = self.config
        with torch.set_grad_enabled(self.kind != "stage 2"):
            predictions = self.model.diverge(lr)
        total: Any = 0
        if self.kind != "stage 2":
            alpha, theta, margin = weights["alpha"], config.theta, config.margin
            total = self.divergence(predictions, hr, tree=(2, 2), alpha=alpha, theta=theta, margin=margin).total
        if self.kind != "stage 1":
            total = total + convergence_loss(self.model.convergence(predictions.detach()), hr)
        return {"total": total}


class PeerStage(_ChannelsLast):
    """A network with a loss of absolute differences, as RCAN and EDSR are trained."""

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> dict[str, Tensor]:
        return {"total": F.l1_loss(self.model(lr).float(), hr)}


def compile_blocks(stage: FactoredStage, backend: str) -> None:
    """Compile what is pointwise in a step, block by block: attention blocks and the loss."""
    for module in stage.model.modules():
        if isinstance(module, peer_networks.Block):
            module.compile(dynamic=False, backend=backend)
    stage.divergence = torch.compile(divergence_loss, dynamic=False, backend=backend)
