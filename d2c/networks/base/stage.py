"""A stage of training: the loss that it minimises, as a module, so that it can be distributed as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch.nn.functional as F
from torch import nn

from d2c.device import at_least_fp32, no_autocast
from d2c.networks.base.entry import network_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["PixelStage", "Stage", "halvings"]


class Stage(nn.Module):
    """A model with a loss. Parameters that the stage does not train take no gradients while it lasts.

    Attributes
    ----------
    label : str
        What its kind of step is called; by default after its number.
    terms : tuple of str
        What ``forward`` returns of a step, ``total`` first: the loss, and what it is made of.
    weights : tuple of str
        Names of what :meth:`term_weights` gives; columns of the log, too.
    lengths : (str, str)
        Settings that say how long it is: in steps, and in epochs where those are 0.
    judged_by : str
        The output by which the best weights are chosen; empty for the network's main one.
    """

    label: ClassVar[str] = ""
    terms: ClassVar[tuple[str, ...]] = ("total",)
    weights: ClassVar[tuple[str, ...]] = ()
    lengths: ClassVar[tuple[str, str]] = ("steps", "epochs")
    judged_by: ClassVar[str] = ""

    def __init__(self, model: Any, config: Any) -> None:
        super().__init__()
        self.model, self.config = model, config
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in self.trained():
            parameter.requires_grad_(True)

    def trained(self) -> list[nn.Parameter]:
        """The parameters that this stage changes."""
        return list(self.model.parameters())

    def learning_rate(self, epoch: int) -> float:
        """The learning rate in an epoch of the stage, counted from 0."""
        return float(self.config.lr * halvings(epoch, self.config.lr_halve_epochs))

    def term_weights(self, epoch: int) -> dict[str, float]:
        """What ``forward`` is given besides a batch in an epoch, such as the weights of terms."""
        return {}

    def lay_out(self, device: torch.device) -> None:
        """Order the weights in memory as the device is fastest with; their numbers stay what they are."""

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> dict[str, Tensor]:
        """The loss ``total`` of a batch, RGB on [0, 1], and the terms that it is made of."""
        raise NotImplementedError

    def upscaled(self, lr: Tensor) -> Tensor:
        """What the model makes of a batch, RGB on [0, 1] whatever range it works in."""
        peak = network_of(self.model)[0].peak
        made: Tensor = self.model(lr * peak) / peak if peak != 1 else self.model(lr)
        return made


class PixelStage(Stage):
    """The only stage of a network that says nothing else: the mean absolute difference from HR."""

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> dict[str, Tensor]:
        sr = self.upscaled(lr)
        with no_autocast(sr.device):
            return {"total": F.l1_loss(at_least_fp32(sr), at_least_fp32(hr))}


def halvings(epoch: int, every: int) -> float:
    """0.5 to the number of periods that are over; 1 where there are no periods."""
    return 0.5 ** (epoch // every) if every else 1.0
