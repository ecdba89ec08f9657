"""What a grey value of the map stands for: the constant is found again, and the stored one is the one in use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")
from benchmarks.result_tables import read_csv
from benchmarks.training import confidence_levels
from benchmarks.training.confidence_levels import PARTS, Seen, fitted_half, parts, said, summary_row
from d2c.inference.confidence import HALF

RESULT = Path(confidence_levels.__file__).parents[1] / "results" / "confidence_levels.csv"


def test_the_gradient_at_which_a_grey_value_is_half_is_found_again():
    rng = np.random.default_rng(0)
    gradient = rng.exponential(20, (3, 60, 80))
    images = [Seen(one, said(one, 9.0)) for one in gradient]
    limits = np.quantile(gradient, np.linspace(0, 1, PARTS + 1))
    means, error = parts(images, limits)
    assert len(means) == len(error) == PARTS
    assert fitted_half(means, error) == pytest.approx(9, abs=0.5)
    row = summary_row("some", images)
    assert (row["images"], row["rank"]) == (3, pytest.approx(1))
    assert row["ause"] == pytest.approx(0, abs=1e-9)


def test_the_stored_table_is_of_the_constant_in_use():
    rows = read_csv(RESULT)
    limits = [float(row["gradient_from"]) for row in rows]
    for row, below, above in zip(rows[:-1], limits[:-1], limits[1:], strict=True):
        assert said(below, HALF) < float(row["test_said"]) < said(above, HALF)
