"""A cell of the table, the machine that it is measured on, and how time and memory are measured there."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GRAPH", "Cell", "Machine", "free_memory", "milliseconds"]

Found: TypeAlias = "dict[str, Any]"

GRAPH = "graph"
"""The way of d2c train: the whole step is one CUDA graph."""

_SAMPLES, _SAMPLE_SECONDS = 3, 0.4


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where the cells are measured.

    Attributes
    ----------
    small : bool
        Whether everything is tiny. This tests the program itself; it measures nothing.
    """

    device: torch.device
    small: bool = False
    rates: dict[str, float] = field(default_factory=dict)
    """The measured rate of matrix products in each precision, in 10⁹ multiply-adds a second."""

    @property
    def is_card(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    @property
    def scale(self) -> int:
        """HR pixels per LR pixel."""
        return 2 if self.small else 8

    @property
    def patch(self) -> int:
        """Side of a patch in LR pixels."""
        return 6 if self.small else 96

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the LR image that is upscaled."""
        return (12, 8) if self.small else (432, 288)

    def wait(self) -> None:
        """Wait until everything launched is done."""
        if self.is_card:
            torch.cuda.synchronize(self.device)


@dataclass(kw_only=True)
class Cell:
    """One row of the table. Its figures are filled in when it is measured.

    Attributes
    ----------
    measure : callable
        Returns the figures for a machine, by the name of their column.
    seconds : float
        About how long that takes on a card. It is skipped if less time is left.
    """

    what: str
    network: str = ""
    patches: int | str = ""
    precision: str = ""
    way: str = ""
    measure: Callable[[Machine], Found]
    seconds: float = 4.0
    known: Found = field(default_factory=dict)
    """Figures that need no card, such as counts of operations."""
    found: Found = field(default_factory=dict)
    remark: str = ""

    @property
    def name(self) -> str:
        """The cell in words."""
        patches = f"{self.patches} patches" if self.patches else ""
        return ", ".join(str(part) for part in (self.what, self.network, patches, self.precision, self.way) if part)


def free_memory(machine: Machine) -> None:
    """Give back what earlier cells have left, and let the peak of the memory start again."""
    gc.collect()
    if machine.is_card:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(machine.device)


def milliseconds(machine: Machine, work: Callable[[], object], warm_up: int = 5) -> float:
    """Milliseconds of a call when many are launched one after the other: the median of a few samples."""
    for _ in range(1 if machine.small else warm_up):
        work()
    first = _seconds(machine, work, 1)
    calls = 1 if machine.small else max(1, min(50, round(_SAMPLE_SECONDS / first)))
    samples = 1 if machine.small else _SAMPLES
    return 1e3 * statistics.median(_seconds(machine, work, calls) for _ in range(samples))


def _seconds(machine: Machine, work: Callable[[], object], calls: int) -> float:
    machine.wait()
    begun = time.perf_counter()
    for _ in range(calls):
        work()
    machine.wait()
    return (time.perf_counter() - begun) / calls
