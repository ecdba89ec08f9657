"""Check that a training step and a validation will fit into memory, from the predictions of their network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from d2c.device import available_bytes
from d2c.errors import MemoryNeedError
from d2c.inference.plan import make_plan
from d2c.training.stages import asked_stages, label

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import nn

    from d2c.data.layouts import Pair
    from d2c.networks import Network
    from d2c.networks.base.memory import StepMemory

__all__ = ["check_step_fits", "check_validation_fits", "smaller_validation", "step_memories"]

_KEPT = 4
"""Numbers of every weight that remain between steps beside it: its gradient, Adam's two averages, and its own."""


def step_memories(
    network: Network, config: Any, train: Any, stage: str, device: torch.device, processes: int = 1
) -> dict[str, StepMemory]:
    """Peak memory of a step of one process in each requested stage, by the label of the stage."""
    return {
        label(number, kind): network.step_memory(config, train, kind, device, processes)
        for number, kind in asked_stages(network, train, stage).items()
    }


def check_step_fits(
    network: Network,
    config: Any,
    train: Any,
    stage: str,
    device: torch.device,
    processes: int = 1,
    neighbours: int = 1,
) -> None:
    """Raise :class:`MemoryNeedError` if the largest step of a run would not fit into the free memory.

    ``neighbours`` of the ``processes`` run on this machine. On a CPU they share its memory.
    """
    steps = step_memories(network, config, train, stage, device, processes)
    need = max(step.total for step in steps.values()) * (neighbours if device.type == "cpu" else 1)
    have = available_bytes(device)
    if have is not None and need > have:
        raise MemoryNeedError(
            f"training: a step of {train.batch} patches of {train.patch}x{train.patch} LR px at x{config.scale} needs "
            f"about {need / 1e9:.1f} GB, {have / 1e9:.1f} GB are free on {device}; "
            "lower --patch or --batch, or raise --accumulate"
        )


def check_validation_fits(
    model: nn.Module,
    network: Network,
    config: Any,
    train: Any,
    stage: str,
    pairs: Sequence[Pair],
    *,
    graph: bool,
    outside: bool,
) -> None:
    """Raise :class:`MemoryNeedError` if the largest LR image would not fit beside what steps keep in memory.

    A ``graph`` keeps the memory of a whole step. ``outside`` says whether the pairs are not held out of the data.
    """
    if not pairs:
        return
    device, weights = next(model.parameters()).device, sum(weight.nbytes for weight in model.parameters())
    taken = _KEPT * weights
    if graph:
        taken = max(int(step.total) for step in step_memories(network, config, train, stage, device).values())
    largest = max(pairs, key=lambda pair: math.prod(pair.lr_size))
    make_plan(
        network.upscaler(config),
        largest.lr_size,
        device,
        f"validation on {largest.lr}, beside the training",
        keep_all=True,
        taken=taken,
        remedy=f"use {smaller_validation(outside=outside)}" + (", or a lower --batch" if graph else ""),
    )


def smaller_validation(*, outside: bool) -> str:
    """The options by which a validation needs less memory, according to whether --validate-on is used already."""
    return "--validate-on with smaller images" + ("" if outside else " or --validation 0")
