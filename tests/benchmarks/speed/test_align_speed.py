"""benchmarks/speed/align_speed.py measures whole pairs, each part in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from benchmarks.speed import align_speed

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.scenes import BenchScene


@pytest.mark.slow
def test_one_mini_pair(mini: BenchScene, cache: Path) -> None:
    row, where, several = align_speed.measure([mini], cache, [1])
    assert row["pairs"] == 1
    assert row["CPU, times the floor"] > 1
    assert row["peak RSS MB"] > row["of which imports"] > 10
    assert [line["pairs"] for line in several] == [1]
    assert all(part["CPU s"] > 0 for part in where.parts)
    assert sum(part["share"] for part in where.parts[:-1]) < 1.2
    assert any(line["function"] == "align:align_pair" for line in where.with_callees)
    assert where.own[0]["CPU s of its own"] >= where.own[-1]["CPU s of its own"] > 0


@pytest.mark.parametrize("given", ["1,x", "0,2", "1.5"])
def test_numbers_at_a_time_that_are_none_are_refused_before_the_work(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(align_speed, "measure", lambda *_: pytest.fail("worked"))
    done = CliRunner().invoke(align_speed.main, ["--small", "--at-a-time", given], catch_exceptions=False)
    assert (done.exit_code, "expected numbers from 1 on" in done.stderr) == (2, True)
