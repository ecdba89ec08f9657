"""Output that nobody takes, and a checkout that is not installed."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from d2crealsr.ui import versions

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


def test_the_version_of_a_checkout_is_that_of_its_project(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    installed = versions.version()
    monkeypatch.setattr(metadata, "version", missing)
    assert versions.version() == installed
    assert versions.version("torch") == "unknown"
