"""benchmarks/speed/memory_train.py: predicted against measured memory of a training step."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

import torch

from benchmarks.speed.memory_train import configurations
from d2c.d2csr.memory import step_memory

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_the_five_configurations_and_one_of_them_measured(tmp_path):
    """Run as a program, in a process whose own peak says nothing about the step's."""
    names = configurations()
    assert len(names) >= 5
    for model, settings, kind in names.values():
        assert dataclasses.is_dataclass(model)
        assert step_memory(model, settings, kind, torch.device("cpu")).total > 0
    command = [sys.executable, "-m", "benchmarks.speed.memory_train", "--small", "--out", str(tmp_path / "table")]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    row = (tmp_path / "table.csv").read_text().splitlines()[1].split(",")
    predicted, measured = float(row[-8]), float(row[-7])  # before the ratio and five parts
    assert 0.5 < predicted / measured < 2
