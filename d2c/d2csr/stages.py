"""The stages of D2C-SR: divergence, then convergence, or both at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import torch

from d2c.d2csr.banded import banded_convergence_loss
from d2c.losses import convergence_loss, divergence_loss
from d2c.networks.base.stage import Stage, halvings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from d2c.d2csr.config import TrainConfig
    from d2c.d2csr.memory import Kind
    from d2c.d2csr.network import D2CSR
    from d2c.losses import DivergenceTerms

    Terms: TypeAlias = dict[str, Tensor]

__all__ = ["TERMS", "ConvergenceStage", "DivergenceStage", "JointStage", "spread", "triplet_weight"]

TERMS = ("total", "reconstruction", "triplet", "convergence", "spread")
"""What a stage may report of a step: the loss, its terms, and the RMS difference of the predictions from their mean."""


class D2CStage(Stage):
    """A stage of D2C-SR. Its log has the columns of all of them."""

    model: D2CSR
    config: TrainConfig
    terms = TERMS
    weights = ("alpha",)
    kind: ClassVar[Kind]

    def term_weights(self, epoch: int) -> dict[str, float]:
        return {"alpha": triplet_weight(epoch, self.config)}

    def lay_out(self, device: torch.device) -> None:
        """On a CPU the convergence net gains 1.0 to 1.3 times by channels last, the tree where it takes no gradients.

        CUDA's half precision and TF32 are made for that order.
        """
        halved = self.config.precision != "fp32" or self.config.tf32
        forward_only = not any(p.requires_grad for p in self.model.divergence_parameters())
        whole = halved if device.type == "cuda" else device.type == "cpu" and forward_only
        chosen: Any = self.model if whole else self.model.convergence
        if whole or device.type == "cpu":
            chosen.to(memory_format=torch.channels_last)

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


class DivergenceStage(D2CStage):
    """Stage 1: the tree learns P predictions that are near HR and apart from each other (Eq. 7)."""

    kind = "stage 1"
    judged_by = "mean"

    def trained(self) -> list[nn.Parameter]:
        return self.model.divergence_parameters()

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> Terms:
        predictions = self.model.diverge(lr)
        terms = self._divergence(predictions, hr, weights["alpha"])
        return {**terms._asdict(), "spread": spread(predictions)}


class ConvergenceStage(D2CStage):
    """Stage 2: the tree is frozen, the convergence net learns to fuse (Eq. 9)."""

    kind = "stage 2"
    lengths = ("steps_convergence", "epochs_convergence")

    def trained(self) -> list[nn.Parameter]:
        return self.model.convergence_parameters()

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> Terms:
        with torch.no_grad():
            predictions = self.model.diverge(lr)
        loss = self._convergence(predictions, hr)
        return {"total": loss, "convergence": loss, "spread": spread(predictions)}


class JointStage(D2CStage):
    """Both nets in every step, from one pass of the tree. Eq. 9 trains the convergence net only, as in two stages."""

    kind = label = "joint"

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> Terms:
        predictions = self.model.diverge(lr)
        terms = self._divergence(predictions, hr, weights["alpha"])
        fused = self._convergence(predictions.detach(), hr)
        return {**terms._asdict(), "total": terms.total + fused, "convergence": fused, "spread": spread(predictions)}


def triplet_weight(epoch: int, config: TrainConfig) -> float:
    """α of Eq. 7 in an epoch, counted from 0; 0 while the triplet rests.

    With the released code's numbers (after 200, period 1000, length 200, halved every 2000) it first acts in epoch
    1000, since epochs 0 to 199 come before it may.
    """
    acts = epoch > config.triplet_after
    if config.triplet_period:
        acts = acts and epoch % config.triplet_period < config.triplet_length
    return config.alpha * halvings(epoch, config.alpha_halve_epochs) if acts else 0.0


@torch.no_grad()
def spread(predictions: Tensor) -> Tensor:
    """RMS difference of the predictions ``(N, P, 3, H, W)`` from their mean over P, a scalar: the divergence."""
    detached = predictions.detach().to(torch.promote_types(predictions.dtype, torch.float32))
    deviation: Tensor = (detached - detached.mean(dim=1, keepdim=True)).square().mean().sqrt()
    return deviation
