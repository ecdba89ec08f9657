"""Peak resident memory of this process, in bytes.

From Linux's ``/proc/self/status``. ``getrusage``'s ``ru_maxrss`` begins with what the parent had when it made the
process, so what a child takes below that size does not show in it; it stands in where there is no ``/proc``.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

__all__ = ["begin_peak", "peak_bytes"]

_PROC = Path("/proc/self")


def begin_peak() -> int:
    """Let the peak start again from here, where the system can; what there is now, to subtract from the peak."""
    if not _PROC.exists():
        return peak_bytes()
    (_PROC / "clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS")


def peak_bytes() -> int:
    """The largest since the process, or `begin_peak`, began."""
    if _PROC.exists():
        return _status("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _status(name: str) -> int:
    lines = (_PROC / "status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name + ":"))
