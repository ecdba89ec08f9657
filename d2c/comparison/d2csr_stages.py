"""Stages of D2C-SR with other losses than its own, for the common loss of a table and for the claims of the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch

from d2c.comparison.triplet import TripletForm, norm, triplet_of
from d2c.d2csr.stages import ConvergenceStage, DivergenceStage
from d2c.device import at_least_fp32, no_autocast
from d2c.losses import DivergenceTerms
from d2c.networks.base.stage import pixel_loss

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "LiteralConvergence",
    "LiteralDivergence",
    "PixelConvergence",
    "PixelDivergence",
    "PlainDivergence",
    "SignedDivergence",
]


class _Divergence(DivergenceStage):
    """Stage 1 with Eq. 1 in another norm, or with a triplet of another form."""

    form: ClassVar[TripletForm] = TripletForm()

    def distance(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Eq. 1 for one prediction."""
        return pixel_loss(sr, hr, "l2")

    def _divergence(self, predictions: Tensor, hr: Tensor, alpha: float) -> DivergenceTerms:
        model, config = self.model.config, self.config
        with no_autocast(predictions.device):
            predictions, hr = at_least_fp32(predictions), at_least_fp32(hr)
            reconstruction = torch.stack([self.distance(sr, hr) for sr in predictions.unbind(dim=1)]).sum()
            if alpha == 0:
                return DivergenceTerms(reconstruction, torch.zeros_like(reconstruction), reconstruction)
            triplet = triplet_of(
                predictions,
                hr,
                self.form,
                tree=(model.depth, model.width),
                theta=config.theta,
                margin=config.margin,
            )
            return DivergenceTerms(reconstruction, triplet, reconstruction + alpha * triplet)


class PixelDivergence(_Divergence):
    """Eq. 1 with the loss of the settings."""

    def distance(self, sr: Tensor, hr: Tensor) -> Tensor:
        config: Any = self.config
        return pixel_loss(sr, hr, config.loss)


class PixelConvergence(ConvergenceStage):
    """Eq. 9 with the loss of the settings."""

    def _convergence(self, predictions: Tensor, hr: Tensor) -> Tensor:
        config: Any = self.config
        fused = self.model.converge(predictions)[0]
        with no_autocast(fused.device):
            return pixel_loss(at_least_fp32(fused), at_least_fp32(hr), config.loss)


class LiteralDivergence(_Divergence):
    """Eqs. 1 and 4 with unsquared norms."""

    form = TripletForm(squared=False)

    def distance(self, sr: Tensor, hr: Tensor) -> Tensor:
        return norm(sr - hr)


class LiteralConvergence(ConvergenceStage):
    """Eq. 9 with an unsquared norm."""

    def _convergence(self, predictions: Tensor, hr: Tensor) -> Tensor:
        fused = self.model.converge(predictions)[0]
        with no_autocast(fused.device):
            return norm(at_least_fp32(fused) - at_least_fp32(hr))


class PlainDivergence(_Divergence):
    """The triplet without Eq. 2."""

    form = TripletForm(standardised=False)


class SignedDivergence(_Divergence):
    """The triplet without the absolute value of Eq. 3."""

    form = TripletForm(absolute=False)
