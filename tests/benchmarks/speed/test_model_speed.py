"""benchmarks/speed/model_speed.py runs, and its table has every figure."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_it_runs_small(tmp_path):
    tasks = [argument for name in ("stage 1", "stage 2", "joint, two passes") for argument in ("--task", name)]
    command = [
        sys.executable,
        "-m",
        "benchmarks.speed.model_speed",
        "--small",
        "--no-memory",
        *tasks,
        "--out",
        str(tmp_path / "table"),
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["network"] for row in rows if row["task"] == "stage 1"] == ["d2c", "factored", "d2c, composed borders"]
    assert all(float(row["seconds"]) > 0 and float(row["gmacs"]) > 0 for row in rows)
    assert "versions:" in (tmp_path / "table.txt").read_text()
