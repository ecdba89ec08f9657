"""faults.py kills commands and compares; in its small form, that is eight kills of the real commands."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.robustness import faults

ROOT = Path(__file__).parents[2]

PROGRAMS = ["align", "split", "report", *(["train"] if importlib.util.find_spec("torch") else [])]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jinja2") is None, reason="the report needs jinja2")
def test_eight_kills(tmp_path: Path) -> None:
    """In a process of its own, since it forks: what a killed run left is gone, what it lacks is made."""
    command = [sys.executable, "-m", "tests.robustness.faults", "--small", "--out", str(tmp_path / "faults")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = (tmp_path / "faults.csv").read_text().splitlines()[1:]
    assert len(rows) == 8
    assert all(any(row.startswith(name) for row in rows) for name in PROGRAMS)


def test_what_is_not_the_same_is_named() -> None:
    assert faults.differing({"a": b"1", "b": b"2", "c": b""}, {"a": b"1", "b": b"3", "d": b""}) == ["b", "c", "d"]


def test_only_temporary_files_are_leftovers(tmp_path: Path) -> None:
    for name in ("hr/.tmp-1.png", "hr/1.png", ".lock", ".tmp-2.csv", "report/files/x/.tmp-3.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert faults.leftovers(tmp_path) == ["*.csv", "hr/", "report/"]


def test_every_kill_has_its_command() -> None:
    cases = [
        faults.Case(name=name, program="", arguments=list, start=None, content=dict, check=print)
        for name in ("align", "align, 2 jobs", "split", "report")
    ]
    assert faults.shared(100, cases) == [30, 10, 30, 30]
    assert sum(faults.shared(7, cases)) == 7
