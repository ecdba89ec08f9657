"""How much memory a training step takes where a network has no model of its own: counted from shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch

from d2c.networks.base.shapes import AliveBytes, shapes_only

if TYPE_CHECKING:
    from d2c.networks.base.entry import Network
    from d2c.networks.base.stage import Stage

__all__ = ["ALLOCATOR", "CountedMemory", "StepMemory", "counted_step"]

_FLOAT = 4
ALLOCATOR = 1.3
"""What a process grows by over the tensors that are counted: gaps between them, and copies within convolutions."""
_LIBRARY = 30e6


class StepMemory(Protocol):
    """Predicted peak of a step in bytes, as a named tuple: the whole, and then what it is for."""

    @property
    def total(self) -> float: ...
    def _asdict(self) -> dict[str, float]: ...


class CountedMemory(NamedTuple):
    """A step's peak where a network has no model of its own: ``weights`` with Adam's averages, and other tensors."""

    total: float
    weights: float
    tensors: float


def counted_step(network: Network, config: Any, train: Any, stage: type[Stage], processes: int) -> CountedMemory:
    """The peak of one process's step, forward and backward, in float32."""
    samples = max(1, train.batch // (processes * train.accumulate))
    with shapes_only():
        made = stage(network.make(config), train)
        lr, hr = (torch.empty(samples, 3, side, side) for side in (train.patch, config.scale * train.patch))
    trained = sum(parameter.numel() for parameter in made.trained())
    with AliveBytes() as alive:
        made(lr, hr, **made.term_weights(0))["total"].backward()
    weights = sum(tensor.numel() for tensor in made.model.state_dict().values())
    kept = _FLOAT * (weights + (2 + (train.ema > 0)) * trained)
    return CountedMemory(ALLOCATOR * (kept + alive.peak) + _LIBRARY, kept, alive.peak)
