"""What tests of several folders share: a disk that is full after a while, and a browser."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    Fill = Callable[[int], Callable[[], None]]


@pytest.fixture(params=["injected", "file system"])
def small_disk(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, Fill]]:
    """A folder, and a function that leaves it that many kB of room and returns the one that makes room again.

    Either a small file system of its own, where the system lets us mount one, or the folder as it is, where files can
    no longer be brought to the disk once that much was (a kB for each).
    """
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "injected":

        def fill(kilobytes: int) -> Callable[[], None]:
            real, left = os.fsync, [kilobytes]

            def fsync(handle: int) -> None:
                left[0] -= 1 + os.fstat(handle).st_size // 1024
                if left[0] < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                real(handle)

            monkeypatch.setattr(os, "fsync", fsync)
            return lambda: monkeypatch.setattr(os, "fsync", real)

        yield folder, fill
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this system does not let us mount a small file system")
    try:

        def fill_up(kilobytes: int) -> Callable[[], None]:
            ballast = folder / "ballast"
            free = os.statvfs(folder)
            ballast.write_bytes(bytes(max(free.f_bavail * free.f_frsize - kilobytes * 1024, 0)))
            return ballast.unlink

        yield folder, fill_up
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def chromium() -> str | None:
    """Debian's Chromium, or another that is on the path."""
    return next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all tests of a worker: a second one cannot be started while it runs."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = chromium()
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as running:
        # Without its sandbox, because CI is root in a container; it opens nothing but our own files.
        found = running.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield found
        found.close()
