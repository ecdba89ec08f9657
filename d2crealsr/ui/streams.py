"""Standard output that somebody closed: a reader that has seen enough, or a shell that gave none."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CLOSED", "tolerant_streams"]

CLOSED = 141
"""Exit code of a command whose output nobody reads any more: 128 plus the number of SIGPIPE, as of any filter."""


@contextlib.contextmanager
def tolerant_streams() -> Iterator[None]:
    """Within, output that nobody takes is no error: a closed stream swallows it, a broken pipe ends the command."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell; the next file opened must not take its place
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered goes nowhere at exit
        sys.exit(CLOSED)
