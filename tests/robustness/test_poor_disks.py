"""File systems that lack what a Linux disk has (FAT, SMB, some NFS): every command works there, or names what it lacks.

Such file systems can seldom be mounted where tests run, so their answers are faked: the system calls fail with the
errors that Linux gives there. Names that ignore case are tested with the commands that compare names.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from d2crealsr.command.cli import main
from d2crealsr.errors import MachineError
from d2crealsr.store import files
from d2crealsr.store.images import write_image

if TYPE_CHECKING:
    from collections.abc import Callable

    import click

V0_1_0 = Path(__file__).parents[1] / "earlier/v0.1.0"

LACKING = {
    "os.chmod": errno.EPERM,
    "os.fchmod": errno.EPERM,
    "os.link": errno.EPERM,
    "os.symlink": errno.EPERM,
    "os.utime": errno.EPERM,
    "os.fsync": errno.EINVAL,
    "os.statvfs": errno.ENOSYS,
    "os.posix_fallocate": errno.EOPNOTSUPP,
    "fcntl.flock": errno.EOPNOTSUPP,
}
"""What fails on a poor file system, and with which error."""


def failing(number: int) -> Callable[..., None]:
    def call(*args: Any, **kwargs: Any) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.fixture
def poor_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for one on such a file system."""
    shutil.copytree(V0_1_0 / "raw", tmp_path / "raw")
    shutil.copytree(V0_1_0 / "pairs", tmp_path / "pairs")
    for name, number in LACKING.items():
        monkeypatch.setattr(name, failing(number))
    return tmp_path


def succeeds(program: click.Command, *arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(program, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done.output


@pytest.mark.slow
def test_the_commands_of_the_dataset_side_work_on_a_poor_file_system(poor_disk: Path) -> None:
    raw, pairs, out = poor_disk / "raw", poor_disk / "new", poor_disk / "out"
    succeeds(main, "align", raw, "--out", pairs, "--scale", "2")
    assert sorted(path.name for path in pairs.glob(".*")) in ([], [".lock"])
    succeeds(main, "split", pairs, "--test", "1")
    succeeds(main, "summary", pairs, "--parquet", out / "tables")
    succeeds(main, "report", pairs)
    succeeds(main, "audit", pairs, "--out", out / "audit.csv")
    succeeds(main, "verify", pairs)
    succeeds(main, "simulate", "--out", out / "simulated", "--size", "mini", "--scenes", "1")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="d2c needs torch")
def test_the_commands_of_the_training_side_work_on_a_poor_file_system(poor_disk: Path) -> None:
    from d2c.cli import cli

    pairs, run, out = poor_disk / "pairs", poor_disk / "run", poor_disk / "out"
    small = ["--patch", "8", "--batch", "1", "--features", "6", "--steps", "2", "--steps-convergence", "1"]
    train = ["train", "--data", pairs, "--out", run, "--preset", "tiny", "--device", "cpu", *small]
    succeeds(cli, *train)
    succeeds(cli, *train)
    succeeds(cli, "eval", run, "--data", pairs, "--csv", out / "table.csv", "--device", "cpu")
    succeeds(cli, "report", run, "--device", "cpu")
    image = poor_disk / "small.png"
    write_image(image, np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8))
    upscale = ["upscale", image, "--checkpoint", run, "--device", "cpu"]
    succeeds(cli, *upscale, "--out", out / "whole")
    succeeds(cli, *upscale, "--out", out / "spilled", "--max-memory", "2MB")


@pytest.mark.parametrize("number", [errno.EPERM, errno.EXDEV, errno.EEXIST, errno.EBUSY])
def test_a_file_system_that_cannot_replace_files_is_named_and_the_former_file_stays(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("before")
    monkeypatch.setattr("os.replace", failing(number))
    told = (
        rf"a\.txt: cannot be replaced by a finished file \({os.strerror(number)}\); .*choose a folder on another disk$"
    )
    with pytest.raises(MachineError, match=told):
        files.write_text(tmp_path / "a.txt", "after")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_a_disk_that_fails_is_no_poor_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", failing(errno.EIO))
    with pytest.raises(MachineError, match="Input/output error"):
        files.write_text(tmp_path / "a.txt", "after")
    assert not list(tmp_path.iterdir())


def test_room_is_made_also_where_the_file_system_cannot_reserve_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.posix_fallocate", failing(errno.EOPNOTSUPP))
    with (tmp_path / "map").open("wb+") as file:
        files.reserve(file.fileno(), (1 << 20) + 17)
    assert (tmp_path / "map").stat().st_size == (1 << 20) + 17
    monkeypatch.setattr("os.posix_fallocate", failing(errno.ENOSPC))
    with (tmp_path / "map").open("wb+") as file, pytest.raises(OSError, match="No space left"):
        files.reserve(file.fileno(), 17)


def test_what_killed_processes_left_is_removed_and_what_others_write_stays(tmp_path: Path) -> None:
    process = os.fork()
    if process == 0:
        with files.atomic_path(tmp_path / "a.png"):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)
    (left,) = tmp_path.iterdir()
    others = [".tmp-mine.png", left.name.replace(f"-{process}-", "-1-"), ".tmp-000000-1-abcdefgh.png", "tmp.png"]
    for name in others:
        (tmp_path / name).touch()
    with files.atomic_path(tmp_path / "b.png"):
        files.remove_abandoned(tmp_path)
        assert not left.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "b.png"])
