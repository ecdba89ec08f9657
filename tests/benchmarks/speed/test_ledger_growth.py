"""benchmarks/speed/ledger_growth.py: the exponent of a cost, and scenes that cost nothing but their tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.made_scenes import instant, many_captures
from benchmarks.speed.ledger_growth import growth
from d2crealsr.dataset.build import build
from d2crealsr.dataset.split import split
from d2crealsr.store.pairs import read_residuals

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("exponent", [1, 2])
def test_the_exponent_of_a_cost(exponent: int) -> None:
    rows = [
        {"captures": "made", "scenes": n, "command": "split", "CPU s": 0.001 * n**exponent} for n in (100, 1000, 10000)
    ]
    (found,) = growth(rows)
    assert found["exponent"] == pytest.approx(exponent)
    assert found["ms a scene, 100 to 1000"] == pytest.approx(1 if exponent == 1 else 1100)
    assert found["last to first step"] == pytest.approx(1 if exponent == 1 else 10)


def test_made_scenes_are_accepted_and_no_two_of_them_are_one_group(tmp_path: Path) -> None:
    many_captures(tmp_path / "raw", 3)
    assert build(tmp_path / "raw", tmp_path / "pairs", align=instant).accepted == 3
    assert len(read_residuals(tmp_path / "pairs")) == 3 * 196
    assert len(split(tmp_path / "pairs", test=1).test) == 1
