"""The stored tables of the tree against one path, at the small size and two scales."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.training import worth_on_card
from d2c.comparison.worth.arms import SIZES, arms_of
from d2c.comparison.worth.measures import COLUMNS
from d2c.comparison.worth.summary import differences

RESULTS = Path(worth_on_card.__file__).parents[1] / "results"
SMALL = SIZES["small"]


TABLES = {"worth-small": 8, "worth-small-x2": 2}
"""Names of the tables, and their scales."""


@pytest.fixture(params=TABLES)
def table(request):
    return request.param


@pytest.fixture
def runs(table):
    """A row for each arm, seed and number of steps."""
    return pd.read_csv(RESULTS / f"{table}-runs.csv")


def test_every_arm_has_every_seed_its_best_rate_and_the_costs_of_today(table, runs):
    trials = pd.read_csv(RESULTS / f"{table}-trials.csv")
    arms = {arm.name: arm for arm in arms_of(SMALL, TABLES[table])}
    for name, own in runs.groupby("arm"):
        assert sorted(zip(own["seed"], own["steps"], strict=True)) == [
            (seed, steps) for seed in range(5) for steps in SMALL.milestones
        ]
        tried = trials[trials["arm"] == name].set_index("rate")["psnr_db"]
        assert tuple(sorted(tried.index)) == SMALL.rates
        assert set(own["rate"]) == {tried.idxmax()}
        for cost, value in arms[name].costs().items():
            assert set(own[cost]) == {value}
        assert own[list(COLUMNS)].notna().all(axis=1).eq(arms[name].method.model.predictions > 1).all()


def test_best_constants_are_near_the_plain_mean(runs):
    """On the weights of stage 1; a wrong solution once made them 7 dB."""
    trees = runs[runs["arm"].isin(["mean", "published"]) & (runs["steps"] == SMALL.milestones[-1])]
    assert (trees["constants"] - trees["mean"]).abs().max() < 0.05


def test_the_table_and_the_page_are_of_the_runs(table, runs):
    stored = pd.read_csv(RESULTS / f"{table}.csv")
    compared = [
        name for name in ("path-depth", "path-body", "path-parameters", "mean", "published") if name in set(runs["arm"])
    ]
    made = pd.concat([differences(runs, name) for name in compared], ignore_index=True)
    pd.testing.assert_frame_equal(stored, made, rtol=1e-4, atol=1e-6)
    text = (RESULTS / f"{table}.txt").read_text()
    page = (Path(worth_on_card.__file__).parents[2] / "docs" / "training-evidence.md").read_text()
    last = runs[runs["steps"] == SMALL.milestones[-1]].groupby("arm")["result"].mean()
    for name, value in last.items():
        assert re.search(rf"^{name} .* {value:.3f} ", text, re.MULTILINE)
        assert f"| {value:.3f} |" in page
