"""How much memory work will take, and how much there is: to refuse what would not fit before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from d2c.errors import MemoryNeedError

if TYPE_CHECKING:
    from d2c.config import D2CConfig

__all__ = ["available_bytes", "check_fits", "upscale_bytes"]

_FLOAT = 4


def upscale_bytes(config: D2CConfig, width: int, height: int) -> int:
    """Predicted peak memory, in bytes, of upscaling one LR image of that size whole, in float32.

    The two candidates for the peak stand at HR size: a tail's last upscaling step (its convolution's output, the
    shuffled copy and the copy that the next convolution makes), and the convergence net's hidden layers beside all
    predictions. On a CPU, small structures at ×2 to ×8 measured 5 to 20 % less than this says.
    """
    lr, hr = width * height, width * height * config.scale * config.scale
    branches = sum(config.width**layer for layer in range(config.depth + 1)) + 4
    features = branches * config.features * lr
    predictions = 3 * config.predictions * hr
    tail = (3 * config.features if config.scale > 1 else config.features) * hr + predictions
    hidden = 3 * config.convergence_features * hr + 3 * predictions
    return int(_FLOAT * (features + max(tail, hidden)))


def available_bytes(device: torch.device) -> int | None:
    """Memory that a process could still take, in bytes: the GPU's, or the machine's within its control group."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    candidates = [_meminfo("MemAvailable"), _control_group()]
    known = [value for value in candidates if value is not None]
    return min(known) if known else None


def check_fits(config: D2CConfig, width: int, height: int, device: torch.device, what: str) -> None:
    """Raise :class:`MemoryNeedError` when upscaling an LR image of that size whole would not fit."""
    need, have = upscale_bytes(config, width, height), available_bytes(device)
    if have is not None and need > have:
        raise MemoryNeedError(
            f"{what}: upscaling {width}x{height} pixels by {config.scale} needs about {need / 1e9:.1f} GB, "
            f"{have / 1e9:.1f} GB are free on {device}; crop the image, or use a machine with more memory"
        )


def _meminfo(name: str) -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(name + ":")), None)


def _control_group() -> int | None:
    """What is left of a container's limit, None without one."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        cached = sum(
            int(line.split()[1])
            for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines()
            if line.startswith(("inactive_file ", "active_file "))
        )
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - used + cached)
