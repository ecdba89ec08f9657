"""Check that a training step will fit into memory, from the prediction of its network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from d2c.device import available_bytes
from d2c.errors import MemoryNeedError
from d2c.training.stages import asked_stages, label

if TYPE_CHECKING:
    import torch

    from d2c.networks import Network
    from d2c.networks.base.memory import StepMemory

__all__ = ["check_step_fits", "step_memories"]


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
