"""A program says whatever goes wrong in one line and leaves with an exit code, whichever of our two programs it is."""

from __future__ import annotations

import errno
import signal
from typing import TYPE_CHECKING

import click
import cv2
import pytest
from click.testing import CliRunner

from d2crealsr.errors import D2CRealSRError, MachineError, UsageError, is_out_of_memory
from d2crealsr.ui.program import Program

if TYPE_CHECKING:
    from pathlib import Path


def run(*args: str, error: BaseException | None = None, code: int | None = None) -> click.testing.Result:
    """What a program prints and returns whose only command raises that error or returns that code."""

    @click.group(cls=Program, error_prefix="prog", memory_advice="buy some")
    def program() -> None:
        """Do things."""

    @program.command()
    @click.option("--name", required=True)
    def work(name: str) -> int | None:
        if error is not None:
            raise error
        return code

    return CliRunner().invoke(program, args, prog_name="prog")


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (4, 4)])
def test_a_command_returns_its_exit_code(returned: int | None, code: int) -> None:
    assert run("work", "--name", "x", code=returned).exit_code == code


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UsageError("scale: got 17"), 2, "prog: scale: got 17"),
        (MachineError("the disk\nis full"), 1, "prog: the disk is full"),
        (D2CRealSRError("\x1b[2Jforged"), 1, "prog: ?[2Jforged"),
        (MemoryError(), 1, "prog: memory ran out; buy some"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 1, "prog: memory ran out; buy some"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 1, "prog: memory ran out; buy some"),
        (OSError(errno.ENOSPC, "No space left", "a.png"), 1, "prog: a.png: No space left; check the disk and its "),
        (ZeroDivisionError("one\ntwo\x9b"), 1, "prog: ZeroDivisionError: one two?; unexpected, please report it "),
        (KeyboardInterrupt(), 130, "Interrupted; nothing of it is kept. Run the same command again to start over."),
    ],
)
def test_every_error_is_one_line(error: BaseException, code: int, line: str) -> None:
    result = run("work", "--name", "x", error=error)
    assert result.exit_code == code
    assert result.stderr.strip().startswith(line)
    assert result.stderr.strip().count("\n") == 0
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--bogus"], "prog: No such option"),
        (["wrok"], "prog: No such command"),
        (["work"], "prog: Missing option '--name'. (see prog work --help)"),
        (["work", "--name", "x", "\x1b[2Jy"], "prog: Got unexpected extra argument (?[2Jy)"),
    ],
)
def test_wrong_use_is_one_line_that_names_the_help(args: list[str], message: str) -> None:
    result = run(*args)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith(message)


def test_a_traceback_is_shown_only_when_it_is_asked_for() -> None:
    error = ZeroDivisionError("by zero")
    assert "Traceback" not in run("work", "--name", "x", error=error).stderr
    assert "Traceback" in run("work", "--name", "x", "--debug", error=error).stderr
    assert "--debug" in run("work", "--help").stdout


def test_without_a_command_the_help_is_shown() -> None:
    assert run().exit_code == 0
    assert run().stdout == run("-h").stdout


@pytest.mark.parametrize(
    ("number", "name", "code"), [(signal.SIGINT, "Interrupted", 130), (signal.SIGTERM, "Terminated", 143)]
)
def test_a_signal_ends_a_command_with_its_exit_code(number: signal.Signals, name: str, code: int) -> None:
    @click.group(cls=Program)
    def program() -> None:
        pass

    @program.command()
    def work() -> None:
        signal.raise_signal(number)

    before = signal.getsignal(number)
    result = CliRunner().invoke(program, ["work"])
    assert result.exit_code == code
    assert result.stderr.strip().startswith(f"{name}; ")
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(("resumes", "told"), [(True, "what is done is saved"), (False, "nothing of it is kept")])
def test_only_a_command_that_resumes_promises_saved_work(resumes: bool, told: str) -> None:
    @click.group(cls=Program)
    def program() -> None:
        pass

    @program.command(resumes=resumes)
    def work() -> None:
        raise KeyboardInterrupt

    assert told in CliRunner().invoke(program, ["work"]).stderr


def test_a_deleted_working_folder_is_said_before_anything_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = run("work", "--name", "x", code=0)
    assert result.exit_code == 1
    assert result.stderr.startswith("prog: the working folder cannot be used (No such file or directory)")


def test_opencv_out_of_memory_is_known_and_its_other_errors_are_not() -> None:
    full = cv2.error("OpenCV(4.13) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes")
    assert is_out_of_memory(full)
    assert not is_out_of_memory(cv2.error("OpenCV(4.13) error: (-215:Assertion failed) !image.empty()"))
    assert not is_out_of_memory(FileNotFoundError(errno.ENOENT, "No such file", "out of memory.png"))
