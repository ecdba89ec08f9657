"""What is trained when: the loss of each stage as a module, so that it can be distributed as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import nn

from d2c.d2csr.banded import banded_convergence_loss
from d2c.losses import convergence_loss, divergence_loss

if TYPE_CHECKING:
    from torch import Tensor

    from d2c.d2csr.network import D2CSR
    from d2c.losses import DivergenceTerms
    from d2c.settings.config import TrainConfig

    Terms: TypeAlias = dict[str, Tensor]

__all__ = ["TERMS", "ConvergenceStage", "DivergenceStage", "JointStage", "Stage", "make_stage"]

TERMS = ("total", "reconstruction", "triplet", "convergence", "spread")
"""What a stage may report of a step: the loss, its terms, and the RMS difference of the predictions from their mean."""


class Stage(nn.Module):
    """A model with the loss that one stage minimises. ``forward`` returns ``total`` and the terms it is made of."""

    def __init__(self, model: D2CSR, config: TrainConfig) -> None:
        super().__init__()
        self.model = model
        self.config = config
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in self.trained():
            parameter.requires_grad_(True)

    def trained(self) -> list[nn.Parameter]:
        """The parameters this stage changes."""
        raise TypeError("a stage says what it trains")

    def _divergence(self, predictions: Tensor, hr: Tensor, alpha: float) -> DivergenceTerms:
        model, config = self.model.config, self.config
        return divergence_loss(
            predictions,
            hr,
            tree=(model.depth, model.width),
            alpha=alpha,
            theta=config.theta,
            margin=config.margin,
            margin_siblings=config.margin_siblings,
        )

    def _convergence(self, predictions: Tensor, hr: Tensor) -> Tensor:
        """In bands, but in fp16, whose gradients must be scaled before they are computed."""
        if self.config.precision == "fp16":
            return convergence_loss(self.model.converge(predictions)[0], hr)
        return banded_convergence_loss(self.model.convergence, predictions, hr)


class DivergenceStage(Stage):
    """Stage 1: the tree learns P predictions that are near HR and apart from each other (Eq. 7)."""

    def trained(self) -> list[nn.Parameter]:
        return self.model.divergence_parameters()

    def forward(self, lr: Tensor, hr: Tensor, alpha: float) -> Terms:
        predictions = self.model.diverge(lr)
        terms = self._divergence(predictions, hr, alpha)
        return {**terms._asdict(), "spread": spread(predictions)}


class ConvergenceStage(Stage):
    """Stage 2: the tree is frozen, the convergence net learns to fuse (Eq. 9)."""

    def trained(self) -> list[nn.Parameter]:
        return self.model.convergence_parameters()

    def forward(self, lr: Tensor, hr: Tensor, alpha: float) -> Terms:
        with torch.no_grad():
            predictions = self.model.diverge(lr)
        loss = self._convergence(predictions, hr)
        return {"total": loss, "convergence": loss, "spread": spread(predictions)}


class JointStage(Stage):
    """Both nets in every step, from one pass of the tree. Eq. 9 trains the convergence net only, as in two stages."""

    def trained(self) -> list[nn.Parameter]:
        return list(self.model.parameters())

    def forward(self, lr: Tensor, hr: Tensor, alpha: float) -> Terms:
        predictions = self.model.diverge(lr)
        terms = self._divergence(predictions, hr, alpha)
        fused = self._convergence(predictions.detach(), hr)
        return {**terms._asdict(), "total": terms.total + fused, "convergence": fused, "spread": spread(predictions)}


def make_stage(number: int, model: D2CSR, config: TrainConfig) -> Stage:
    """Stage 1 or 2 of a run; a joint run has stage 1 only."""
    if config.joint:
        return JointStage(model, config)
    return DivergenceStage(model, config) if number == 1 else ConvergenceStage(model, config)


@torch.no_grad()
def spread(predictions: Tensor) -> Tensor:
    """RMS difference of the predictions ``(N, P, 3, H, W)`` from their mean over P, a scalar: the divergence."""
    detached = predictions.detach().to(torch.promote_types(predictions.dtype, torch.float32))
    deviation: Tensor = (detached - detached.mean(dim=1, keepdim=True)).square().mean().sqrt()
    return deviation
