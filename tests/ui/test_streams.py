"""Output that nobody takes, streams that lack room or characters, and a checkout that is not installed."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click
import pytest

from d2crealsr.ui import versions
from d2crealsr.ui.program import Program
from d2crealsr.ui.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
RUN = [sys.executable, "-m", "d2crealsr"]


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    command = f"{sys.executable} -m d2crealsr align --help | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] in ("0", "141")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_error(closed: str) -> None:
    command = f"{sys.executable} -m d2crealsr summary nowhere {closed}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr + done.stdout


@click.group(cls=Program)
def program() -> None:
    """Show 3 → 4 × 5 …"""


@program.command()
@click.argument("text")
def tell(text: str) -> None:
    """Tell it to both streams."""
    echo(text, err=True)
    echo(text)


@pytest.fixture
def full() -> Iterator[TextIO]:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with contextlib.suppress(OSError), Path("/dev/full").open("w", encoding="utf-8") as stream:
        yield stream


def leave(*args: str) -> int:
    with pytest.raises(SystemExit) as left:
        program(args)
    return int(left.value.code or 0)


def test_a_full_standard_output_is_said_on_standard_error_and_fails(
    full: TextIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", full)
    assert leave("tell", "x") == 1
    assert capsys.readouterr().err.splitlines() == [
        "x",
        "Error: standard output: cannot be written (No space left on device); send it to another place, and run the "
        "same command again",
    ]
    assert sys.stdout is full


def test_a_full_standard_error_loses_messages_and_nothing_else(
    full: TextIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", full)
    assert leave("tell", "x") == 0
    assert capsys.readouterr().out == "x\n"


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", "käse: 3 → 4 × 5 … ☃"),
        ("latin-1", "käse: 3 -> 4 × 5 ... \\u2603"),
        ("ascii", "k\\xe4se: 3 -> 4 x 5 ... \\u2603"),
    ],
)
def test_characters_that_a_terminal_lacks_are_spelled(
    encoding: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert leave("tell", "käse: 3 → 4 × 5 … ☃") == 0
    for stream in (out, err):
        assert stream.buffer.getvalue().decode(encoding) == told + "\n"  # type: ignore[attr-defined]
    assert leave("--help") == 0
    assert ("3 →" if encoding == "utf-8" else "3 ->") in out.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


def test_the_version_of_a_checkout_is_that_of_its_project(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    installed = versions.version()
    monkeypatch.setattr(metadata, "version", missing)
    assert versions.version() == installed
    assert versions.version("torch") == "unknown"


def test_an_extra_is_installed_from_the_checkout_or_by_what_it_stands_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert versions.how_to_install("report") == "pip install '.[report]' in the checkout"
    needs = [
        "numpy>=2",
        "jinja2>=3.1; extra == 'report'",
        "torch>=2.5; extra == 'train'",
        'safetensors; extra == "train"',
        "d2crealsr[train]; extra == 'tensorboard'",
        "tensorboard>=2.18 ; extra == 'tensorboard'",
    ]
    monkeypatch.setattr(versions, "_PROJECT", tmp_path / "pyproject.toml")
    monkeypatch.setattr(metadata, "requires", lambda name: needs)
    assert versions.how_to_install("report") == "pip install 'jinja2>=3.1'"
    assert versions.how_to_install("tensorboard") == "pip install 'torch>=2.5' 'safetensors' 'tensorboard>=2.18'"
    assert versions.how_to_install("toy") == "pip install 'd2crealsr[toy]'"
