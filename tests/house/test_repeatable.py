"""`make test` gives the same result every time: what it runs, with which examples, and in which order."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]


def commands(target: str) -> str:
    """What make would run for a target in a fresh clone."""
    command = ["make", "--dry-run", "--no-print-directory", "--always-make", target, "VERSION=0", "JOBS=2"]
    # a make that runs this test hands its variables down, and these targets have their own
    given = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MAKEFLAGS", "MAKEOVERRIDES", "SELECT", "PYTEST")
    }
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=given).stdout


def test_make_test_needs_torch_and_make_test_base_does_not() -> None:
    assert "tools/environment.sh train" in commands("test")
    alone = commands("test-base")
    assert "tools/environment.sh train" not in alone
    assert "--ignore=d2c --ignore=tests/d2c" in alone


def test_only_make_check_runs_the_slow_tests() -> None:
    assert '-m "not slow and not browser"' in commands("test")
    assert '-m "not slow and not browser"' in commands("test-base")
    checked = commands("check")
    assert "--cov" in checked
    assert "not slow" not in checked
    assert "make check" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_examples_are_the_same_in_every_run(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--hypothesis-profile"):
        pytest.skip("another profile was asked for")

    def examples() -> list[int]:
        drawn = []

        @settings(max_examples=20)
        @given(st.integers())
        def keep(number: int) -> None:
            drawn.append(number)

        keep()
        return drawn

    assert examples() == examples()
