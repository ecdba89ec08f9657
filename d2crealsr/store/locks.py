"""One run at a time in a folder."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import TYPE_CHECKING

import filelock

from d2crealsr.errors import LockError, MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["lock_folder"]

_LOCK = ".lock"
_HOLDER = ".lock-holder"


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for this process; it is made if need be.

    The operating system gives the lock back when the process ends, however it ends.

    Raises
    ------
    LockError
        When another process holds it; the message says which.
    MachineError
        When the folder cannot be made or locked.
    """
    lock = filelock.FileLock(folder / _LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise LockError(f"{folder}: in use by {_holder(folder)}; wait until it ends, or stop it") from error
    except (OSError, NotImplementedError) as error:
        raise MachineError(f"{folder}: cannot be locked for writing ({error}); check permissions and disk") from error
    holder = folder / _HOLDER
    try:
        with contextlib.suppress(OSError):  # a full disk shows where it matters, with a better message
            holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}), encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        lock.release()


def _holder(folder: Path) -> str:
    try:
        known = json.loads((folder / _HOLDER).read_text(encoding="utf-8"))
        return f"process {known['pid']} on {known['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
