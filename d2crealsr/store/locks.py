"""Locks that allow one run at a time in a folder, and leases that tell a worker whether its run is over (ADR 9)."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import socket
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import filelock

from d2crealsr.errors import LockError, MachineError
from d2crealsr.store.files import read_json, write_text
from d2crealsr.store.outputs import check_folder
from d2crealsr.store.ownership import refuse_links

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["check_lease", "file_lock", "holds_lease", "lock_folder"]

_LOCK = ".lock"
_HOLDER = ".lock-holder"
_TAKEN = "-taken"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
"""What file systems without locks answer, such as some of SMB and NFS."""


@contextlib.contextmanager
def file_lock(path: Path, *, timeout: float = -1) -> Iterator[None]:
    """Hold the lock of a file, and wait for it at most ``timeout`` seconds (-1: as long as it takes).

    On a file system without locks, a second file beside it, ``NAME-taken``, stands for the lock: it exists as long as
    the lock is held. A killed process leaves it behind. The next one on the same machine sees that its process is gone.

    Raises
    ------
    filelock.Timeout
        When another process holds it. ``lock_file`` names the file.
    OSError
        When the file cannot be created.
    """
    lock: filelock.BaseFileLock = filelock.FileLock(path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="flock not supported", category=UserWarning)
        try:
            lock.acquire(timeout=timeout)
        except (OSError, NotImplementedError) as error:
            if isinstance(error, filelock.Timeout) or getattr(error, "errno", errno.ENOSYS) not in _NO_LOCKS:
                raise
            lock = filelock.SoftFileLock(path.with_name(path.name + _TAKEN))
            lock.acquire(timeout=timeout)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[str]:
    """Lock ``folder`` for this process, and create it if necessary. Yields the lease for :func:`check_lease`.

    The operating system releases the lock when the process ends, however it ends.

    Raises
    ------
    LockError
        When another process holds the lock; the message says which, and since when.
    UsageError
        When something other than a folder is in its place, or the folder may not be written to.
    MachineError
        When the folder cannot be created, locked or written.
    """
    check_folder(folder)
    refuse_links(folder, _LOCK, _LOCK + _TAKEN)
    with contextlib.ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(file_lock(folder / _LOCK, timeout=0))
        except filelock.Timeout as error:
            raise LockError(f"{folder}: in use by {_described(folder)}; {_remedy(error)}") from error
        except (OSError, NotImplementedError) as error:
            raise MachineError(
                f"{folder}: cannot be locked for writing ({error}); check permissions and disk"
            ) from error
        holder, lease = folder / _HOLDER, secrets.token_hex(8)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            known = {"pid": os.getpid(), "host": socket.gethostname(), "since": since, "lease": lease}
            write_text(holder, json.dumps(known))  # written beside and renamed, so a link is replaced
            yield lease
        finally:
            with contextlib.suppress(OSError):
                holder.unlink()


def _remedy(error: filelock.Timeout) -> str:
    remedy = "wait until it ends, or stop it"
    if error.lock_file.endswith(_TAKEN):  # it does not go with its process
        return f"{remedy}; if it is no longer running, remove {error.lock_file}"
    return remedy


def check_lease(folder: Path, lease: str) -> None:
    """Raise an error if the run with this lease no longer holds the folder.

    A worker may outlive its run, if only the parent was killed or if a cluster finishes tasks for which nobody waits.
    It must not publish into a folder in which another run may be working.

    The folder itself may have gone too: it was deleted, or its disk was unmounted. It must not be made anew then.

    Raises
    ------
    MachineError
        When the run is over, or the folder is not there any more.
    """
    if holds_lease(folder, lease):
        return
    over = "the run that this scene belongs to is over"
    if not folder.is_dir():
        raise MachineError(
            f"{folder}: is not there any more, and was when the run began; nothing more was written; put it back, or "
            "mount its disk, and run the same command again"
        )
    if not (folder / _HOLDER).exists():
        raise MachineError(
            f"{folder}: has no {_HOLDER} any more, so {over}, or the folder was emptied or its disk unmounted; nothing "
            "more was written; if no run is going on, restore the folder and run the same command again"
        )
    raise MachineError(f"{folder}: {over}, and {_described(folder)} holds the folder; nothing of it was written")


def holds_lease(folder: Path, lease: str) -> bool:
    """Whether the run with this lease holds the folder, as seen from this machine."""
    return _holder(folder).get("lease") == lease


def _holder(folder: Path) -> dict[str, Any]:
    """The recorded facts about the last holder of the folder; empty if they cannot be read."""
    return read_json(folder / _HOLDER, dict) or {}


def _described(folder: Path) -> str:
    known = _holder(folder)
    try:
        return f"process {known['pid']} on {known['host']} since {known['since']}"
    except KeyError:
        return "another process"
