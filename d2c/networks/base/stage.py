"""A stage of training: a model together with its loss as one module, which can be distributed as a whole."""

from __future__ import annotations

import abc
import math
from typing import TYPE_CHECKING, Any, ClassVar

import torch.nn.functional as F
from torch import nn

from d2c.device import at_least_fp32, no_autocast
from d2c.networks.base.entry import network_of
from d2c.networks.base.trial import check_output
from d2c.realignment import realigned

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor

    from d2c.networks.base.skips import Skips

__all__ = ["MOVED", "PixelStage", "Stage", "halvings", "pixel_loss"]

MOVED = "realigned_hr_px"
"""Column of the log with the mean length by which HR patches were moved, with ``--realign``."""

_EPSILON = 1e-3
"""Difference below which the Charbonnier loss is nearly a parabola."""


class Stage(nn.Module, abc.ABC):
    """A model with a loss. During the stage, only the parameters that it trains receive gradients.

    Attributes
    ----------
    label : str
        Name of its kind of step; by default made from its number.
    terms : tuple of str
        Names of the values that ``forward`` returns: ``total``, the loss, and then its terms.
    weights : tuple of str
        Names of the values of :meth:`term_weights`, which are also columns of the log.
    lengths : (str, str)
        Settings of its length: in steps, and in epochs if the steps are 0.
    judged_by : str
        Output by which the best weights are chosen; empty for the main output of the network.
    share : float
        Share of a stage after the first one in the steps that a comparison gives to all stages together; by default
        that of D2C-SR, 2,000 of 22,000 epochs.
    may_be_left_out : bool
        Whether a later stage may begin without this one.
    realigns : bool
        Whether ``forward`` takes HR from :meth:`target`, as ``--realign`` needs it. A class with a ``forward`` of its
        own has to say so itself.
    moved_hr_px : Tensor or None
        By how many HR px the last call of :meth:`target` has moved HR, a mean over the patches.
    skips : Skips or None
        Counts steps whose gradient is not finite, which are then left out. None ends the run when the loss is not
        finite.
    milestones : sequence of float
        Shares of its steps after which ``--schedule milestones`` halves the learning rate.
    """

    label: ClassVar[str] = ""
    terms: ClassVar[tuple[str, ...]] = ("total",)
    weights: ClassVar[tuple[str, ...]] = ()
    lengths: ClassVar[tuple[str, str]] = ("steps", "epochs")
    judged_by: ClassVar[str] = ""
    share: ClassVar[float] = 1 / 11
    may_be_left_out: ClassVar[bool] = False
    realigns: ClassVar[bool] = False
    skips: Skips | None = None
    milestones: ClassVar[Sequence[float]] = (0.5, 0.8, 0.9, 0.95)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls) and "realigns" not in vars(cls):
            cls.realigns = False  # what another forward does says nothing about this one

    def __init__(self, model: Any, config: Any) -> None:
        super().__init__()
        self.model, self.config = model, config
        self.moved_hr_px: Tensor | None = None
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in self.trained():
            parameter.requires_grad_(True)

    def trained(self) -> list[nn.Parameter]:
        """The parameters that this stage changes."""
        return list(self.model.parameters())

    def learning_rate(self, epoch: int) -> float:
        """The learning rate in an epoch of the stage, counted from 0, where it is lowered step by step."""
        return float(self.config.lr * halvings(epoch, self.config.lr_halve_epochs))

    def scheduled_rate(self, step: int, steps: int, epoch: int) -> float:
        """The learning rate of a step, counted from 1, of a stage with this many steps, with warm-up.

        A stage that is made longer when it is resumed follows the longer cosine, or later milestones, from there on.
        """
        if self.config.schedule == "cosine":
            rate = float(self.config.lr * (0.5 + 0.5 * math.cos(math.pi * (step - 1) / steps)))
        elif self.config.schedule == "milestones":
            rate = self.by_milestones(self.config.lr, step, steps)
        elif self.config.lr_halve_steps:
            rate = float(self.config.lr * halvings(step - 1, self.config.lr_halve_steps))
        else:
            rate = self.learning_rate(epoch)
        return self.warmed_up(rate, step)

    @classmethod
    def follows_length(cls, config: Any) -> str:
        """What follows the new length of a begun stage that gets another one, as a clause; empty if nothing does.

        A stage with a :meth:`scheduled_rate` or :meth:`before_step` of its own that depends on ``steps`` says so here.
        """
        schedule = getattr(config, "schedule", "step")
        if schedule == "step":
            return ""
        return f"the rate follows the {schedule} schedule of the new length from here on"

    def by_milestones(self, rate: float, step: int, steps: int) -> float:
        """A rate, halved after each of the milestones that are past."""
        return float(rate * 0.5 ** sum(step > share * steps for share in self.milestones))

    def warmed_up(self, rate: float, step: int) -> float:
        """A rate, lowered in proportion in the steps of the warm-up."""
        return rate * min(1.0, step / self.config.warmup) if self.config.warmup else rate

    def clip_norm(self) -> float:
        """Largest norm of the gradient; 0 for no limit."""
        return float(self.config.clip_norm)

    def before_step(self, step: int, steps: int) -> bool:
        """Called before each step, counted from 1, of a stage with this many steps.

        Returns whether the parameters that receive gradients have changed since the last call.
        """
        return False

    def begin(self, lr: Tensor, hr: Tensor) -> bool:
        """Called with this process's patches before each step. Returns whether it has set weights from them.

        The weights must then be equal in all processes. Their moving average begins anew.
        """
        return False

    def term_weights(self, epoch: int) -> dict[str, float]:
        """Further arguments of ``forward`` in an epoch, such as the weights of terms."""
        return {}

    def lay_out(self, device: torch.device) -> None:
        """Arrange the weights in memory in the order that is fastest on the device. Their values do not change."""

    def target(self, sr: Tensor, hr: Tensor) -> Tensor:
        """The HR image with which the loss compares a prediction ``sr``, RGB or luma on [0, 1]: ``hr`` itself.

        With ``--realign`` it is the part of ``hr`` that fits best, because ``hr`` then has a margin.
        """
        if not self.config.realign:
            return hr
        found = realigned(sr, hr)
        self.moved_hr_px = found.length
        return found.hr

    @abc.abstractmethod
    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> dict[str, Tensor]:
        """The loss ``total`` of a batch, RGB on [0, 1], and its terms."""

    def upscaled(self, lr: Tensor) -> Tensor:
        """The model's output for a batch. Both are RGB on [0, 1], whatever range the model uses."""
        network, config = network_of(self.model)
        made: Tensor = self.model(lr if network.peak == 1 else lr * network.peak)
        check_output(network, config.scale, lr, made)
        return made if network.peak == 1 else made / network.peak


class PixelStage(Stage):
    """The default stage of a network: it minimises the mean absolute difference from HR.

    Where the training settings have a ``loss`` (:class:`d2c.settings.config.PixelSettings`), it minimises that one.
    """

    realigns = True

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> dict[str, Tensor]:
        sr = self.upscaled(lr)
        hr = self.target(sr, hr)
        with no_autocast(sr.device):
            return {"total": pixel_loss(at_least_fp32(sr), at_least_fp32(hr), getattr(self.config, "loss", "l1"))}


def pixel_loss(sr: Tensor, hr: Tensor, kind: str) -> Tensor:
    """Mean over pixels of |d|, d², or √(d² + ε²) with ε = .001 (Charbonnier; Lai et al., doi:10.1109/CVPR.2017.618)."""
    if kind == "charbonnier":
        return ((sr - hr).square() + _EPSILON**2).sqrt().mean()
    return F.mse_loss(sr, hr) if kind == "l2" else F.l1_loss(sr, hr)


def halvings(done: int, every: int) -> float:
    """0.5 to the power of the number of completed periods of epochs or steps; 1 if there are no periods."""
    return 0.5 ** (done // every) if every else 1.0
