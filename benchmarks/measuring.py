"""Time and memory: CPU time of a call, peak memory of a process, and processes that do nothing but one call.

The peak is from Linux's ``/proc/self/status``. ``ru_maxrss`` of ``getrusage`` begins with the memory that the parent
had when it made the process, so it does not show how much less a child uses. It is used only where ``/proc`` is
missing.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["alone", "begin_peak", "peak_bytes", "seconds_of"]

_PROC = Path("/proc/self")

_Result = TypeVar("_Result")


def seconds_of(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """What one call takes; CPU seconds of the process unless another clock is given."""
    start = clock()
    work()
    return clock() - start


def alone(function: Callable[..., _Result], *arguments: object) -> _Result:
    """The result of a function run in a new process, one that has done nothing before."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def begin_peak() -> int:
    """Let the peak start again from here, where the system can; what there is now, to subtract from the peak."""
    if not _PROC.exists():
        return peak_bytes()
    (_PROC / "clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS")


def peak_bytes() -> int:
    """The largest resident memory since the process, or `begin_peak`, began, in bytes."""
    if _PROC.exists():
        return _status("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _status(name: str) -> int:
    lines = (_PROC / "status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name + ":"))
