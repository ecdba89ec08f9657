"""Handle a closed standard output: the reader of a pipe has ended, or the shell provided no output."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CLOSED", "tolerant_streams"]

CLOSED = 141
"""Exit code of a command whose output is no longer read: 128 plus the number of SIGPIPE, as for any filter."""


@contextlib.contextmanager
def tolerant_streams() -> Iterator[None]:
    """A ``with`` block in which a closed stream ignores output and a broken pipe ends the command without an error."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell; keep the next opened file from replacing it
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # discard buffered output at exit
        sys.exit(CLOSED)
