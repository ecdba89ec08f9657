"""How to upscale an image within a given memory: rows at a time, files or not; and what it takes, before it starts.

The predictions of memory count what is alive at the two peaks, in the body and in the strips, on top of what the
process had when it began (Python, PyTorch, the weights). ``benchmarks.speed.memory_model`` compares them with measured
peaks.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d2c.device import available_bytes
from d2c.errors import ConfigError, MemoryNeedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import torch

    from d2c.settings.config import D2CConfig

__all__ = ["PNG_PIXELS", "Plan", "check_disk", "make_plan", "parse_size"]

PNG_PIXELS = 2**30
"""Larger results are BigTIFF files, written strip by strip: the PNG encoder takes no more pixels, and all at once."""

_FLOAT = 4
_LAYER_BYTES = {"cpu": 24 << 20, "cuda": 1 << 29}
"""Size that a hidden layer of the convergence net is given in a strip: little on a CPU, for the sake of its caches."""
_BAND_BYTES = {"cpu": 8 << 20, "cuda": 1 << 29}
_ALLOCATOR_BYTES = 20_000_000
"""What the allocator holds back and convolutions take for themselves."""

_SHARE = 0.9
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How one LR image is upscaled, and what that takes at most, in bytes."""

    width: int
    height: int
    """Size of the LR image."""
    strip: int
    """LR rows whose HR pixels are made at once."""
    band: int
    """LR rows of a feature map that are worked on at once."""
    spill: bool
    """Whether feature maps are kept in files."""
    keep_all: bool
    """Whether all predictions and weight maps are kept, for figures and evaluation."""
    memory: int
    """Predicted peak, over what the process takes before."""
    spilled: int
    """Size of the temporary files, 0 without."""
    result: int
    """Size of the resulting file, without compression."""


def make_plan(
    config: D2CConfig,
    size: tuple[int, int],
    device: torch.device,
    what: str = "image",
    *,
    sample_bytes: int = 1,
    keep_all: bool = False,
    max_memory: int | None = None,
) -> Plan:
    """The fastest way to upscale an LR image of that ``size`` (width, height) that fits into memory.

    Parameters
    ----------
    sample_bytes : int
        1 for 8-bit images, 2 for 16-bit ones.
    keep_all : bool
        Keep predictions and weight maps of the whole image.
    max_memory : int, optional
        Bytes that may be taken, over what the process takes already; by default nine tenths of what is free.

    Raises
    ------
    MemoryNeedError
        When even the most frugal way would not fit.
    """
    free = available_bytes(device)
    allowed = [value for value in (max_memory, None if free is None else int(_SHARE * free)) if value is not None]
    budget = min(allowed) if allowed else None
    plan = None
    for plan in _candidates(config, size, device, sample_bytes, keep_all):
        if budget is None or plan.memory <= budget:
            return plan
    assert plan is not None
    limit = "--max-memory gives" if max_memory is not None and budget == max_memory else f"{device} has"
    raise MemoryNeedError(
        f"{what}: upscaling {size[0]}x{size[1]} pixels by {config.scale} needs about {_spelled(plan.memory)}, "
        f"{limit} {_spelled(budget or 0)}; crop the image, or use a machine with more memory"
    )


def _candidates(
    config: D2CConfig, size: tuple[int, int], device: torch.device, sample_bytes: int, keep_all: bool
) -> Iterator[Plan]:
    """Ways to do it, from the fastest to the most frugal."""
    width, height = size
    layer = _FLOAT * config.convergence_features * width * config.scale**2
    strip = min(height, max(1, _LAYER_BYTES.get(device.type, 1 << 29) // layer))
    band = min(height, max(8, _BAND_BYTES.get(device.type, 1 << 29) // (_FLOAT * config.features * width)))
    for spill in (False, True):
        rows = (strip, band)
        while True:
            yield _plan(config, size, rows, spill, sample_bytes, keep_all)
            if rows == (1, min(height, 8)):
                break
            rows = (max(1, rows[0] // 2), max(min(height, 8), rows[1] // 2))


def _plan(
    config: D2CConfig, size: tuple[int, int], rows: tuple[int, int], spill: bool, sample_bytes: int, keep_all: bool
) -> Plan:
    width, height = size
    strip, band = rows
    hr_pixels = width * height * config.scale**2
    one_map = _FLOAT * config.features * width * height
    maps = maps_alive(config)
    body, strips = body_bytes(config, width, band), strip_bytes(config, width, min(height, strip))
    if not spill:
        body, strips = body + maps * one_map, strips + config.predictions * one_map
    result = 3 * sample_bytes * hr_pixels
    kept = 0 if hr_pixels > PNG_PIXELS else result
    if keep_all:
        kept += _FLOAT * hr_pixels * (3 + 4 * config.predictions)
    encoding = 0 if hr_pixels > PNG_PIXELS else 3 * result  # a copy in BGR, the file's bytes, and those again
    alive = (3 * _FLOAT + 3 * sample_bytes) * width * height + max(body, strips + kept, kept + encoding)
    memory = alive + min(_ALLOCATOR_BYTES, alive // 2)
    return Plan(
        width=width,
        height=height,
        strip=strip,
        band=band,
        spill=spill,
        keep_all=keep_all,
        memory=memory,
        spilled=maps * one_map if spill else 0,
        result=result,
    )


def maps_alive(config: D2CConfig) -> int:
    """Feature maps alive at the body's peak, in the last leaf: other leaves, all ancestors, what it works on."""
    return config.predictions - 1 + config.depth + (3 if config.groups > 1 else 2)


def body_bytes(config: D2CConfig, width: int, band: int) -> int:
    """Bytes of a band in an attention block: its input, hidden and residual layers, and a copy of one."""
    return _FLOAT * config.features * width * 4 * (band + 4)


def strip_bytes(config: D2CConfig, width: int, strip: int) -> int:
    """Bytes of a strip: predictions (new, kept, scaled), two hidden layers, logits, weights; or a tail's pieces."""
    scale, leaves = config.scale, config.predictions
    hr = width * scale * (strip * scale + 6)
    convergence = hr * (3 * 3 * leaves + 2 * config.convergence_features + 3 * leaves)
    made = width * scale**2 * (strip + 4)
    tail = 2 * config.features * width * (strip + 8) + 3 * made * (3 + 2 * leaves)
    return _FLOAT * max(convergence, tail)


def check_disk(plan: Plan, target: Path, spill: Path) -> None:
    """Raise :class:`MemoryNeedError` when result and temporary files will not fit on their disks."""
    needs: dict[int, tuple[Path, int]] = {}
    for folder, size in ((target.parent, plan.result), (spill, plan.spilled)):
        existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        disk = existing.stat().st_dev
        needs[disk] = (existing, needs.get(disk, (existing, 0))[1] + size)
    for folder, size in needs.values():
        free = shutil.disk_usage(folder).free
        if size > free:
            raise MemoryNeedError(
                f"{target}: needs up to {_spelled(size)} on the disk of {folder}, {_spelled(free)} are free; "
                "make room, or choose other folders with --out and --spill"
            )


def parse_size(text: str) -> int:
    """Bytes in a text such as ``2GB``, ``512MB``, ``1.5 GiB``.

    Raises
    ------
    ConfigError
        When it is none.

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


def _spelled(size: int) -> str:
    """A number of bytes, in the unit it is read best in."""
    unit, name = (1e9, "GB") if size >= 1e9 else (1e6, "MB") if size >= 1e5 else (1e3, "kB")
    return f"{size / unit:.1f} {name}"
