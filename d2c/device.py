"""Devices: choose one and the threads of a CPU, find out how much memory it has, and keep calculations from half
precision where necessary."""

from __future__ import annotations

import contextlib
import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from d2c.errors import ConfigError, D2CError, MemoryRanOutError
from d2crealsr.store import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

__all__ = [
    "at_least_fp32",
    "autocast_type",
    "available_bytes",
    "default_threads",
    "naming_lack_of_memory",
    "no_autocast",
    "pick_device",
    "threads",
]


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """The device of that name: ``auto`` (CUDA if there is one, else the CPU), ``cpu``, ``cuda`` or ``cuda:N``.

    A device of PyTorch is returned as it is.

    Raises
    ------
    ConfigError
        When the name is none of these, or this machine has no such device.
    """
    if isinstance(device, torch.device):
        return device
    name = device if isinstance(device, str) else repr(device)
    found = re.fullmatch(r"auto|cpu|cuda(?::(\d{1,3}))?", name)
    if found is None:
        raise ConfigError(f"device: got {name!r}, expected auto, cpu, cuda or cuda:N (N from 0); change --device")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if count else "cpu")
    if name.startswith("cuda") and int(found[1] or 0) >= count:
        there = f"{count} CUDA devices, counted from 0" if count else "no CUDA device"
        raise ConfigError(f"device: got {name!r}, but PyTorch finds {there} on this machine; use --device cpu or auto")
    return torch.device(name)


def default_threads() -> int:
    """Threads for the operations on a CPU: one for each physical core that this process may use.

    PyTorch follows the affinity of the process and ``OMP_NUM_THREADS``. Limits of a control group are added here.
    """
    import joblib

    return max(1, min(torch.get_num_threads(), int(joblib.cpu_count())))


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """A ``with`` block in which PyTorch's operations on the CPU use that many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def available_bytes(device: torch.device) -> int | None:
    """Memory that a process could still use, in bytes: that of the GPU, or that of the machine or its control group."""
    if device.type == "cuda":
        return _free_on_card(device)
    candidates = [_meminfo("MemAvailable"), _control_group()]
    known = [value for value in candidates if value is not None]
    return min(known) if known else None


def _free_on_card(device: torch.device) -> int:
    """Memory of a card that this process may still use. What PyTorch holds back without use is given back first."""
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(device)
    fraction = getattr(torch.cuda, "get_per_process_memory_fraction", lambda device: 1.0)(device)  # PyTorch 2.7
    return int(min(free, fraction * total - torch.cuda.memory_reserved(device)))


def _meminfo(name: str) -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(name + ":")), None)


def _control_group() -> int | None:
    """The rest of a container's memory limit; None without a limit."""
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


@contextlib.contextmanager
def naming_lack_of_memory(what: Callable[[], str]) -> Iterator[None]:
    """A ``with`` block that turns every error about a lack of memory into MemoryRanOutError.

    ``what`` is called for its text. The memory that the failed work held is free afterwards.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, D2CError) or not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # which hold the tensors
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise MemoryRanOutError(what()) from error


def no_autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """A ``with`` block in which operations on this kind of device keep the types of their inputs."""
    if not torch.amp.is_autocast_available(device.type):  # as on meta
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)


def at_least_fp32(x: Tensor) -> Tensor:
    """The tensor in float32, or in float64 if it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def autocast_type(device: torch.device) -> torch.dtype | None:
    """The number format of autocast on this kind of device; None where it is off."""
    if not torch.amp.is_autocast_available(device.type) or not torch.is_autocast_enabled(device.type):
        return None
    return torch.get_autocast_dtype(device.type)
