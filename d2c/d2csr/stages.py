"""The stages of D2C-SR: divergence, then convergence, or both at once; and both nets through the fused output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import torch

from d2c.d2csr.banded import banded_convergence_loss
from d2c.losses import convergence_loss, divergence_loss
from d2c.networks.base.stage import Stage, halvings
from d2c.tails.chains import chain

if TYPE_CHECKING:
    from torch import Tensor, nn

    from d2c.d2csr.config import TrainConfig
    from d2c.d2csr.memory import Kind
    from d2c.d2csr.network import D2CSR
    from d2c.losses import DivergenceTerms

    Terms: TypeAlias = dict[str, Tensor]

__all__ = ["TERMS", "ConvergenceStage", "DivergenceStage", "JointStage", "TogetherStage", "spread", "triplet_weight"]

TERMS = ("total", "reconstruction", "triplet", "convergence", "spread")
"""Values that a stage reports for a step: the loss, its terms, and the RMS difference of predictions from the mean."""


class D2CStage(Stage):
    """A stage of D2C-SR. The log has the columns of all stages."""

    model: D2CSR
    config: TrainConfig
    terms = TERMS
    weights = ("alpha",)
    kind: ClassVar[Kind]

    def term_weights(self, epoch: int) -> dict[str, float]:
        return {"alpha": triplet_weight(epoch, self.config)}

    def lay_out(self, device: torch.device) -> None:
        """Use channels last on a CPU for the convergence net, and for the tree if it receives no gradients.

        It makes them 1.0 to 1.3 times as fast. On CUDA, half precision and TF32 are fastest in this order. The order of
        an earlier stage is undone, since sums are rounded by it and a resumed run has had no earlier stage.
        """
        self.model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        halved = self.config.precision != "fp32"
        forward_only = not any(p.requires_grad for p in self.model.divergence_parameters())
        whole = halved if device.type == "cuda" else device.type == "cpu" and forward_only
        chosen: Any = self.model if whole else self.model.convergence
        if whole or device.type == "cpu":
            chosen.to(memory_format=torch.channels_last)

    def _target(self, predictions: Tensor, hr: Tensor) -> Tensor:
        """HR where it fits best on the mean of the predictions, which all stages have."""
        return self.target(predictions.detach().mean(dim=1), hr) if self.config.realign else hr

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
        """Eq. 9 in bands. Not in fp16, whose gradients must be scaled before they are computed."""
        if self.config.precision == "fp16":
            return convergence_loss(self.model.converge(predictions)[0], hr)
        return banded_convergence_loss(self.model.convergence, predictions, hr)


class DivergenceStage(D2CStage):
    """Stage 1: the tree learns P predictions that are close to HR but differ from each other (Eq. 7)."""

    kind = "stage 1"
    realigns = True
    judged_by = "mean"

    def trained(self) -> list[nn.Parameter]:
        return self.model.divergence_parameters()

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> Terms:
        predictions = self.model.diverge(lr)
        terms = self._divergence(predictions, self._target(predictions, hr), weights["alpha"])
        return {**terms._asdict(), "spread": spread(predictions)}


class ConvergenceStage(D2CStage):
    """Stage 2: the tree is frozen, and the convergence net learns to fuse the predictions (Eq. 9)."""

    kind = "stage 2"
    realigns = True
    lengths = ("steps_convergence", "epochs_convergence")
    may_be_left_out = True

    def trained(self) -> list[nn.Parameter]:
        return self.model.convergence_parameters()

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> Terms:
        with torch.no_grad():
            predictions = self.model.diverge(lr)
        loss = self._convergence(predictions, self._target(predictions, hr))
        return {"total": loss, "convergence": loss, "spread": spread(predictions)}


class JointStage(D2CStage):
    """Train both nets in every step, with one pass of the tree. Eq. 9 trains only the convergence net."""

    kind = label = "joint"
    realigns = True

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> Terms:
        predictions = self.model.diverge(lr)
        hr = self._target(predictions, hr)
        terms = self._divergence(predictions, hr, weights["alpha"])
        fused = self._convergence(predictions.detach(), hr)
        return {**terms._asdict(), "total": terms.total + fused, "convergence": fused, "spread": spread(predictions)}


class TogetherStage(D2CStage):
    """Train both nets by Eq. 9 alone, whose gradient passes through the weighted sum and the weights to the tree.

    It begins with the weights of the stages before it, with a new Adam. It trains all that stage 2 trains, so stage 2
    may be left out.
    """

    kind = "together"
    realigns = True
    lengths = ("steps_together", "epochs_together")
    share = 1 / 5

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> Terms:
        predictions = self.model.diverge(lr)
        loss = self._convergence(predictions, self._target(predictions, hr))
        return {"total": loss, "convergence": loss, "spread": spread(predictions)}


def triplet_weight(epoch: int, config: TrainConfig) -> float:
    """α of Eq. 7 in an epoch, counted from 0. It is 0 in epochs without the triplet.

    With the numbers of the released code (after 200, period 1000, length 200, halved every 2000) the triplet is first
    used in epoch 1000, because it is not allowed in epochs 0 to 199.
    """
    acts = epoch > config.triplet_after
    if config.triplet_period:
        acts = acts and epoch % config.triplet_period < config.triplet_length
    return config.alpha * halvings(epoch, config.alpha_halve_epochs) if acts else 0.0


@torch.no_grad()
@chain
def spread(predictions: Tensor) -> Tensor:
    """The divergence, a scalar: RMS difference of the predictions ``(N, P, 3, H, W)`` from their mean over P.

    A step in several parts or processes logs the mean over them, which is some percent smaller than that of the batch.
    """
    detached = predictions.detach().to(torch.promote_types(predictions.dtype, torch.float32))
    deviation: Tensor = (detached - detached.mean(dim=1, keepdim=True)).square().mean().sqrt()
    return deviation
