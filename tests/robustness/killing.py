"""A command in a process group of its own, which is killed after a time, or while it writes a file."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from d2crealsr import opencv
from d2crealsr.store.files import TEMPORARY_PREFIX


def launch(program: str, arguments: list[str], log: Path) -> int:
    """Fork the command off into a process group of its own; returns its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        with log.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        main: Any
        if program == "d2c":
            from d2c.cli import cli as main
        else:
            from d2crealsr.command.cli import main
        main(arguments)
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def finish(pid: int) -> int:
    """Wait for a command, and end what it may have left running; returns its exit code."""
    _, status = os.waitpid(pid, 0)
    end_group(pid)
    return os.waitstatus_to_exitcode(status)


def kill_after(pid: int, seconds: float) -> bool:
    """Kill a command's process group after that time; False where it had ended before."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            end_group(pid)
            return False
        time.sleep(max(0.0, min(0.002, until - time.monotonic())))
    end_group(pid)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def kill_in_write(pid: int, out: Path, number: int) -> bool:
    """Kill a command's process group when it begins to write its ``number``-th file; False where it ended before."""
    seen: set[str] = set()
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        seen |= {path.name for path in temporaries(out)}
        if len(seen) >= number:
            end_group(pid)
            _, status = os.waitpid(pid, 0)
            return os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    end_group(pid)
    return False


def temporaries(folder: Path) -> Iterator[Path]:
    """Files being written, anywhere in a folder that may change meanwhile."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(TEMPORARY_PREFIX):
            yield Path(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            yield from temporaries(Path(entry.path))


def end_group(pid: int) -> None:
    """Kill a process group, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def load_libraries() -> None:
    """All that the commands import, so that none of it is done after the fork."""
    import d2crealsr.command.console
    import d2crealsr.dataset.build
    import d2crealsr.dataset.split

    opencv.use_one_thread()
    if find_spec("d2crealsr.report") is not None:
        import d2crealsr.report  # noqa: F401
    if find_spec("torch") is not None:
        import torch

        import d2c.console
        import d2c.training.train  # noqa: F401

        torch.set_num_threads(1)
