"""benchmarks/accuracy/clicks.py: the errors of its clicks, its table, and a small run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.accuracy import clicks
from benchmarks.scenes import BenchScene

if TYPE_CHECKING:
    from pathlib import Path

SCENE = BenchScene(seed=3, size="mini", nuisance="repetition", scale=4)


def test_clicks_are_corresponding_points_with_errors_of_the_given_size() -> None:
    exact = clicks.clicked(SCENE, 8, 0)
    assert np.allclose(SCENE.true_mapping.hr_to_lr(exact[:, :2]), exact[:, 2:])
    errors = (clicks.clicked(SCENE, 8, 2.0) - exact) / [5, 5, 2, 2]
    assert 0.6 < errors.std() < 1.4


def test_the_table_counts_scenes_that_failed_without_points() -> None:
    trial = clicks.Trial(4, 1.0, right=True, accepted=True)
    rows = clicks.table([(SCENE, [trial]), (SCENE, [trial._replace(right=False)]), (SCENE, [])])
    assert (rows[0]["scenes"], rows[0]["σ 1"], rows[0]["σ 2"]) == (2, "1 (1)", "0 (0)")


@pytest.mark.slow
def test_a_small_run(tmp_path: Path) -> None:
    done = CliRunner().invoke(clicks.main, ["--small", "--out", str(tmp_path / "clicks.txt")])
    assert done.exit_code == 0, done.output
    assert "repetition" in (tmp_path / "clicks.txt").read_text()
