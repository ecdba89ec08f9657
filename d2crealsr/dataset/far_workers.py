"""What a worker on another machine must have before it does scenes of a run: the same version, and the same folders.

Without this check, a worker that does not see the captures would report that every one of them cannot be read.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from d2crealsr.store.locks import holds_lease
from d2crealsr.ui.versions import version

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["what_is_lacking"]


def what_is_lacking(out: Path, lease: str, capture: Path | None, tool_version: str) -> str:
    """What this machine lacks for the scenes of a run, as the rest of a sentence; empty if it lacks nothing.

    Parameters
    ----------
    out : Path
        The pairs folder. A folder of the same name on another disk does not have the run's lease.
    lease : str
        Lease of the run.
    capture : Path or None
        One of the captures.
    tool_version : str
        Version of d2crealsr that the run records.
    """
    if (own := version("d2crealsr")) != tool_version:
        return f"has d2crealsr {own}, expected {tool_version}"
    if not holds_lease(out, lease):
        with contextlib.suppress(OSError):  # NFS looks again after a folder was listed
            list(out.iterdir())
        if not holds_lease(out, lease):
            return f"does not see {out} as the machine that gives out the work does"
    if capture is not None and not os.path.lexists(capture):
        return f"does not see the captures, such as {capture}"
    return ""
