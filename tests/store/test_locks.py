"""One run at a time in a folder."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from d2crealsr.errors import LockError, UsageError
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
