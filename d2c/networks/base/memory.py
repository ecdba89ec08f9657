"""Predict the memory of a training step from shapes, for networks without a memory model of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch

from d2c.networks.base.shapes import AliveBytes, shapes_only
from d2c.networks.base.trial import check_terms, trial
from d2c.realignment import MARGIN_LR_PX

if TYPE_CHECKING:
    from torch import Tensor

    from d2c.networks.base.entry import Network
    from d2c.networks.base.stage import Stage

__all__ = ["ALLOCATOR", "CountedMemory", "StepMemory", "counted_step", "patches_without_data"]

_FLOAT = 4
ALLOCATOR = 1.3
"""Growth of the process divided by the counted tensors: gaps between them, and copies within convolutions."""
_LIBRARY = 30e6


class StepMemory(Protocol):
    """Predicted peak memory of a step in bytes, as a named tuple: the total, then its parts."""

    @property
    def total(self) -> float: ...
    def _asdict(self) -> dict[str, float]: ...


class CountedMemory(NamedTuple):
    """Peak memory of a step without a memory model: ``weights`` including Adam's averages, and other tensors."""

    total: float
    weights: float
    tensors: float


def patches_without_data(samples: int, scale: int, train: Any) -> tuple[Tensor, Tensor]:
    """LR and HR patches of a step, whose numbers mean nothing; HR has a margin if it is to be realigned."""
    hr_side = scale * (train.patch + (2 * MARGIN_LR_PX if train.realign else 0))
    return torch.empty(samples, 3, train.patch, train.patch), torch.empty(samples, 3, hr_side, hr_side)


def counted_step(network: Network, config: Any, train: Any, stage: type[Stage], processes: int) -> CountedMemory:
    """The peak memory of a step of one process, forward and backward pass, in float32."""
    samples = max(1, train.batch // (processes * train.accumulate))
    with trial(network), shapes_only():
        made = stage(network.make(config), train)
        lr, hr = patches_without_data(samples, config.scale, train)
        trained = sum(parameter.numel() for parameter in made.trained())
    with trial(network), AliveBytes() as alive:
        terms = made(lr, hr, **made.term_weights(0))
        check_terms(network, made, terms)
        terms["total"].backward()
    weights = sum(tensor.numel() for tensor in made.model.state_dict().values())
    kept = _FLOAT * (weights + (2 + (train.ema > 0)) * trained)
    return CountedMemory(ALLOCATOR * (kept + alive.peak) + _LIBRARY, kept, alive.peak)
