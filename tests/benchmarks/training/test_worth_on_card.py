"""The stored tables of the tree against one path, at the small size."""

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


@pytest.fixture
def runs():
    """A row for each arm, seed and number of steps."""
    return pd.read_csv(RESULTS / "worth-small-runs.csv")


def test_every_arm_has_every_seed_its_best_rate_and_the_costs_of_today(runs):
    trials = pd.read_csv(RESULTS / "worth-small-trials.csv")
    arms = {arm.name: arm for arm in arms_of(SMALL, 8)}
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


def test_the_table_and_the_page_are_of_the_runs(runs):
    stored = pd.read_csv(RESULTS / "worth-small.csv")
    compared = ("path-depth", "path-body", "path-parameters", "mean", "published")
    made = pd.concat([differences(runs, name) for name in compared], ignore_index=True)
    pd.testing.assert_frame_equal(stored, made, rtol=1e-4, atol=1e-6)
    text = (RESULTS / "worth-small.txt").read_text()
    page = (Path(worth_on_card.__file__).parents[2] / "docs" / "training-evidence.md").read_text()
    last = runs[runs["steps"] == SMALL.milestones[-1]].groupby("arm")["result"].mean()
    for name, value in last.items():
        assert re.search(rf"^{name} .* {value:.3f} ", text, re.MULTILINE)
        assert f"| {value:.3f} |" in page
