"""benchmarks/training/bad_quarter_network.py: the order of the runs, losses within seeds, and the stored table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.result_tables import read_csv

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

from benchmarks.training import bad_quarter_network
from benchmarks.training.bad_quarter_network import CAUSES, EXACT, REMEDIES, SHIFTS, arms, summary, tasks
from benchmarks.training.kept_rows import numbers

RESULTS = Path(bad_quarter_network.__file__).parents[1] / "results"

LOST = dict(zip((EXACT, *REMEDIES), (0.0, 0.4, 0.1, 0.5, 0.3, 0.2), strict=True))


def rows(seeds: int) -> list[dict[str, object]]:
    """A row for each run; the seeds differ much in PSNR and little in what is lost."""
    level = 25 + np.random.default_rng(3).normal(0, 1, seeds)
    return [
        {"shifted": CAUSES[arm.cause], "hr_px": arm.hr_px, "remedy": arm.remedy, "seed": seed}
        | {"test_db": level[seed] - LOST[arm.remedy] * (1 + seed / 10), "drift_hr_px": 0.0, "left_hr_px": 0.0}
        for arm, seed in tasks(seeds)
    ]


def test_all_arms_of_a_seed_are_run_before_the_next_seed_and_none_twice():
    order = list(tasks(3))
    assert len(order) == len(set(order))
    first = {(arm.run, 0) for arm in arms(SHIFTS[0])}
    assert set(order[: len(first)]) == first
    assert {arm.run for hr_px in SHIFTS for arm in arms(hr_px)} == {arm for arm, seed in order if seed == 2}


def test_losses_are_taken_within_seeds_that_have_all_arms():
    made = rows(3)
    lines = summary(made)
    assert len(lines) == len(SHIFTS) * len(CAUSES) * len(REMEDIES)
    none, left_out = lines[:2]
    assert (none["loss_db"], left_out["loss_db"]) == (pytest.approx(0.44), pytest.approx(0.11))
    assert left_out["returned_db"] == pytest.approx(0.33)
    assert left_out["returned_half_width_db"] == pytest.approx(4.303 * 0.03 / np.sqrt(3), rel=1e-3)
    assert (left_out["resolved"], left_out["seeds"]) == ("yes", 3)
    cut = summary(made[:-1])
    assert {(line["hr_px"], line["seeds"]) for line in cut} == {(SHIFTS[0], 3), (SHIFTS[1], 2)}


def test_the_stored_table_follows_from_its_runs():
    stored = read_csv(RESULTS / "bad-quarter-network.csv")
    found = summary([numbers(row) for row in read_csv(RESULTS / "bad-quarter-network-runs.csv")])
    for row, again in zip(stored, found, strict=True):
        assert set(row) == set(again)
        for name, value in row.items():
            assert value == again[name] if isinstance(again[name], str) else float(value) == pytest.approx(again[name])
