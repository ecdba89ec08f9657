"""benchmarks/accuracy/qa_injected.py: the errors it makes, and a small run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.accuracy import qa_injected

if TYPE_CHECKING:
    from pathlib import Path

HALF = np.array([100.0, 60.0])


def over_the_crop() -> np.ndarray:
    x, y = np.meshgrid(np.linspace(-100, 100, 201), np.linspace(-60, 60, 121))
    return np.stack([x.ravel(), y.ravel()], axis=1)


@pytest.mark.parametrize("kind", qa_injected.KINDS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_error_comes_to_its_size_over_the_crop(kind: str, seed: int) -> None:
    error = qa_injected.KINDS[kind](over_the_crop(), HALF, np.random.default_rng(seed))
    assert np.linalg.norm(error, axis=1).max() == pytest.approx(1, abs=0.01)


def test_a_bump_is_half_as_high_around_a_tenth_of_the_crop() -> None:
    """Its centre may lie so close to the side that a part of that tenth is outside."""
    length = np.linalg.norm(qa_injected.KINDS["bump"](over_the_crop(), HALF, np.random.default_rng(3)), axis=1)
    assert 0.04 < np.mean(length > 0.5) < 0.105


@pytest.mark.slow
def test_small_run(cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "injected.txt"
    done = CliRunner().invoke(qa_injected.main, ["--small", "--cache", str(cache), "--out", str(out)])
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in out.read_text(encoding="utf-8").splitlines() if line.startswith("shift ")]
    assert rows[0][-1] == rows[1][-1] == "100"
