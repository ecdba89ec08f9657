"""Plan how to upscale an image within a given memory (rows at a time, files or not), and predict the memory.

A network's upscaler counts the memory at its two peaks: before HR pixels are made, and in the strips. The image and the
result are added. Memory that the process had before (Python, PyTorch, the weights) is not counted.
``benchmarks.speed.memory_model`` compares predictions with measured peaks.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
from typing import TYPE_CHECKING, Any

from d2c.device import available_bytes
from d2c.errors import ConfigError, MemoryNeedError
from d2c.networks.base.upscaler import Plan

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from d2c.networks.base.upscaler import Upscaler, Way
    from d2c.settings.config import Precision

__all__ = ["PNG_PIXELS", "check_disk", "make_plan", "parse_size", "spelled"]

PNG_PIXELS = 2**30
"""Largest result in pixels for PNG, whose encoder needs the whole image. Larger results are BigTIFFs made in strips."""

_FLOAT = 4
_ALLOCATOR_BYTES = 20_000_000
"""Memory that the allocator holds back and that convolutions use internally."""

_SHARE = 0.9
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def make_plan(
    upscaler: Upscaler,
    size: tuple[int, int],
    device: torch.device,
    what: str = "image",
    *,
    sample_bytes: int = 1,
    keep_all: bool = False,
    max_memory: int | None = None,
    self_ensemble: bool = False,
    precision: Precision | None = None,
    taken: int = 0,
    remedy: str = "",
) -> Plan:
    """The fastest way that fits into memory to upscale an LR image of ``size`` (width, height).

    Parameters
    ----------
    upscaler : Upscaler
        The upscaler of the network.
    sample_bytes : int
        1 for 8-bit images, 2 for 16-bit ones.
    keep_all : bool
        Whether to keep all outputs of the network for the whole image.
    max_memory : int, optional
        Bytes that may be used in addition to those of the process; by default nine tenths of the free memory.
    self_ensemble : bool
        Whether the mean over the flips and transposes of the image is taken, for which its outputs are kept in memory.
    precision : str, optional
        Arithmetic of the network; by default fp32.
    taken : int
        Bytes of the free memory that other work of the process will take before.
    remedy : str
        What an error says to do; by default what can be done about an image that is to be upscaled.

    Raises
    ------
    MemoryNeedError
        When even the way with the least memory would not fit.
    """
    upscaler.precision = precision or "fp32"
    needs: dict[str, Any] = {"sample_bytes": sample_bytes, "keep_all": keep_all, "means": self_ensemble}
    free = available_bytes(device)
    free = None if free is None else max(0, free - taken)
    if not remedy:
        remedy = (
            "crop the image, " + "leave --self-ensemble out, " * self_ensemble + "or use a machine with more memory"
        )
    plan = _fitting(upscaler, size, device, what, free, max_memory, remedy, needs)
    if not self_ensemble:
        return plan
    turned = _fitting(upscaler, size[::-1], device, what, free, max_memory, remedy, needs)
    memory, spilled = (max(getattr(one, name) for one in (plan, turned)) for name in ("memory", "spilled"))
    return dataclasses.replace(plan, turned=turned, memory=memory, spilled=spilled)


def _fitting(
    upscaler: Upscaler,
    size: tuple[int, int],
    device: torch.device,
    what: str,
    free: int | None,
    max_memory: int | None,
    remedy: str,
    needs: dict[str, Any],
) -> Plan:
    """The first way of the upscaler that fits into memory."""
    allowed = [value for value in (max_memory, None if free is None else int(_SHARE * free)) if value is not None]
    budget = min(allowed) if allowed else None
    plan = None
    for way in upscaler.ways(size, device):
        plan = _plan(upscaler, size, way, on_card=device.type == "cuda", **needs)
        if budget is None or plan.memory <= budget:
            return plan
    assert plan is not None
    limit = "--max-memory gives" if max_memory is not None and budget == max_memory else f"{device} has"
    why = f" ({upscaler.refusal})" if upscaler.refusal else ""
    raise MemoryNeedError(
        f"{what}: upscaling {size[0]}x{size[1]} pixels by {upscaler.config.scale} needs about "
        f"{spelled(plan.memory)}, {limit} {spelled(budget or 0)}{why}; {remedy}"
    )


def _plan(
    upscaler: Upscaler,
    size: tuple[int, int],
    way: Way,
    *,
    sample_bytes: int,
    keep_all: bool,
    means: bool,
    on_card: bool,
) -> Plan:
    """The plan for a way. On a card, the memory is that of the card, where files are not encoded."""
    width, height = size
    hr_pixels = width * height * upscaler.config.scale**2
    result = 3 * sample_bytes * hr_pixels
    kept = 0 if hr_pixels > PNG_PIXELS else result
    if keep_all:
        kept += _FLOAT * hr_pixels * upscaler.channels
    if means:
        kept += _FLOAT * hr_pixels * (upscaler.channels if keep_all else 3)
    encoding = 0 if hr_pixels > PNG_PIXELS else 3 * result  # a copy in BGR, and the bytes of the file twice
    peak = max(way.body, way.strips + kept, kept + (0 if on_card else encoding))
    alive = (3 * _FLOAT + 3 * sample_bytes) * width * height + peak
    return Plan(
        width=width,
        height=height,
        strip=way.strip,
        band=way.band,
        spill=bool(way.spilled),
        keep_all=keep_all,
        memory=alive + min(_ALLOCATOR_BYTES, alive // 2),
        spilled=way.spilled,
        result=result,
    )


def check_disk(plan: Plan, target: Path, spill: Path) -> None:
    """Raise :class:`MemoryNeedError` if the result and the temporary files will not fit on their disks."""
    needs: dict[int, tuple[Path, int]] = {}
    for folder, size in ((target.parent, plan.result), (spill, plan.spilled)):
        existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        disk = existing.stat().st_dev
        needs[disk] = (existing, needs.get(disk, (existing, 0))[1] + size)
    for folder, size in needs.values():
        try:
            free = shutil.disk_usage(folder).free
        except OSError:  # the file system does not say
            continue
        if size > free:
            raise MemoryNeedError(
                f"{target}: needs up to {spelled(size)} on the disk of {folder}, {spelled(free)} are free; "
                "make room, or choose other folders with --out and --spill"
            )


def parse_size(text: str) -> int:
    """The number of bytes that a text such as ``2GB``, ``512MB`` or ``1.5 GiB`` states.

    Raises
    ------
    ConfigError
        When the text is not a size.

    Examples
    --------
    >>> parse_size("512MB"), parse_size("1.5 GiB")
    (512000000, 1610612736)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = None if match is None else _UNITS.get(match[2].upper())
    if match is None or unit is None or not 0 < float(match[1]) < 1e18:
        raise ConfigError(f"max-memory: got {text!r}, expected a size such as 2GB or 512MB; change --max-memory")
    return int(float(match[1]) * unit)


def spelled(size: int) -> str:
    """A number of bytes in a suitable unit."""
    unit, name = (1e9, "GB") if size >= 1e9 else (1e6, "MB") if size >= 1e5 else (1e3, "kB")
    return f"{size / unit:.1f} {name}"
