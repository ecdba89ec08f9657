"""One run at a time in a folder."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from d2crealsr.errors import LockError, MachineError, UsageError
from d2crealsr.store.locks import lock_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    with lock_folder(tmp_path / "new"):
        expected = rf"in use by process {os.getpid()} on {socket.gethostname()}"
        with pytest.raises(LockError, match=expected), lock_folder(tmp_path / "new"):
            pass
        with pytest.raises(LockError, match=expected), lock_folder(tmp_path / "new"):  # the first try broke nothing
            pass
    with lock_folder(tmp_path / "new"):
        pass


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    code = "import sys,os,pathlib\nfrom d2crealsr.store.locks import lock_folder\n"
    code += "with lock_folder(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -9
    with lock_folder(tmp_path):
        pass


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    for place in ("file", "file/x", "loop"):
        with pytest.raises(UsageError, match="is no folder, so nothing can be written"), lock_folder(tmp_path / place):
            pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_without_locks_a_file_that_exists_while_it_is_held_takes_their_place(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(handle: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    for _ in range(2):
        with lock_folder(tmp_path):
            held = rf"in use by process {os.getpid()} on .*; wait until it ends, or stop it"
            with pytest.raises(LockError, match=held), lock_folder(tmp_path):
                pass


def test_a_killed_holder_lets_go_also_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", flock)
    process = os.fork()
    if process == 0:
        with lock_folder(tmp_path):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)
    assert (tmp_path / ".lock-taken").exists()
    with lock_folder(tmp_path):
        pass


def test_a_denied_lock_is_no_missing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(handle: int, operation: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(MachineError, match="cannot be locked for writing"), lock_folder(tmp_path):
        pass
