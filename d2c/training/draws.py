"""Random numbers that a network draws in a training step, such as which residuals it leaves out.

PyTorch's generator is seeded before every step from the seed of the run, the stage, the step and the process. A run
that is resumed therefore draws what it would have drawn without the interruption. No state of a generator is saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["own_draws", "seed_draws"]


def own_draws(device: torch.device) -> AbstractContextManager[None]:
    """A ``with`` block after which the generators of the CPU and of the device are in their former state."""
    kept: AbstractContextManager[None] = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    return kept


def seed_draws(device: torch.device, key: tuple[int, ...]) -> None:
    """Seed the generators of the CPU and of the device. CUDA graphs that are replayed draw by this seed as well."""
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)
