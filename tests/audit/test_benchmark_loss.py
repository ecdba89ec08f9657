"""What misalignment costs: the curves are those of the stored table, and what lies between and beyond them."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from d2crealsr.audit.benchmark_loss import MEASURED_SCALES, loss_db

RESULT = Path(__file__).parents[2] / "benchmarks" / "results" / "misalignment.csv"


def test_the_curves_are_those_of_the_stored_table() -> None:
    with RESULT.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["shifted"].startswith("test pairs")]
    assert {int(row["scale"]) for row in rows} == set(MEASURED_SCALES)
    for row in rows:
        found = loss_db(float(row["hr_px"]), int(row["scale"]))
        assert found == pytest.approx(float(row["loss_db"]), abs=6e-4), row


def test_small_losses_grow_with_the_square_and_stay_at_the_last_value_beyond_the_curve() -> None:
    assert loss_db(0.1, 8) == pytest.approx(4 * loss_db(0.05, 8))
    assert loss_db(0.0, 2) == 0.0
    assert loss_db(8.0, 8) == loss_db(math.inf, 8)


def test_between_the_measured_scales_the_loss_at_an_equal_displacement_in_lr_px_lies_between_theirs() -> None:
    at = [loss_db(0.25 * scale, scale) for scale in (2, 3, 4, 8)]
    assert at == sorted(at, reverse=True)
    assert at[2] == pytest.approx(at[0] + (at[3] - at[0]) / 2)


@pytest.mark.parametrize("scale", [1, 16])
def test_outside_of_the_measured_scales_nothing_is_known(scale: int) -> None:
    assert math.isnan(loss_db(0.5, scale))


def test_what_is_not_measured_costs_an_unknown_amount() -> None:
    assert math.isnan(loss_db(math.nan, 4))
