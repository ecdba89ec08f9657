"""The page of the matrix, from a table made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from d2c.comparison.intervals import paired
from d2c.comparison.worth.matrix import KEY
from d2c.comparison.worth.measures import COLUMNS
from d2c.comparison.worth.summary import differences, page

GAINS = {"tree": [0.10, 0.12, 0.08, 0.11, 0.09], "other": [0.05, -0.05, 0.04, -0.03, 0.0], "alone": [0.3]}


def rows():
    """Five seeds of a path, two arms beside it whose differences are GAINS, and one with a single seed."""
    path = [25.0, 25.3, 24.8, 25.1, 25.2]
    found = []
    for arm, gains in {"path": [0.0] * 5, **GAINS}.items():
        for seed, gain in enumerate(gains):
            first = {"arm": arm, "seed": seed, "test": "new", "steps": 7000, "rate": 2e-4, "crops": 112_000}
            costs = {"blocks": 12, "parameters": 1234, "multiply_adds": 5678, "multiply_adds_layer_by_layer": 9999}
            measured = dict.fromkeys(COLUMNS, np.nan) | {
                "result": path[seed] + gain,
                "result_pooled": path[seed] - 1 - gain,
            }
            if arm == "tree":
                measured |= {"mean": 25.0, "constants": 25.1, "oracle": 26.0, "oracle_flat": 25.7}
                measured |= {"oracle_gradient": 26.25, "weight_departure": 0.0125, "spread": 1.5}
            found.append(first | costs | measured)
    return pd.DataFrame(found)


def test_intervals_are_those_of_the_paired_differences_of_seeds():
    table = differences(rows(), "path").set_index(["arm", "measure"])
    tree = table.loc["tree", "result"]
    expected = stats.ttest_1samp(GAINS["tree"], 0.0).confidence_interval(0.95)
    assert tree["difference"] == pytest.approx(0.10)
    assert tree["half_width"] == pytest.approx((expected.high - expected.low) / 2)
    assert (tree["seeds"], tree["resolved"]) == (5, True)
    assert table.loc["tree", "result_pooled"]["difference"] == pytest.approx(-0.10)
    assert not table.loc["other", "result"]["resolved"]
    assert (table.loc["alone", "result"]["seeds"], table.loc["alone", "result"]["resolved"]) == (1, False)
    assert "path" not in table.index.get_level_values("arm")


def test_seeds_that_one_arm_lacks_are_left_out():
    table = rows()
    table = table[~((table["arm"] == "path") & (table["seed"] == 0))]
    found = differences(table, "path").set_index(["arm", "measure"])
    assert found.loc["tree", "result"]["seeds"] == 4
    assert found.loc["tree", "result"]["difference"] == pytest.approx(0.10)
    assert "alone" not in found.index.get_level_values("arm")
    assert differences(table, "nobody").empty


def test_the_page_says_what_is_not_resolved_and_what_is_a_lead():
    table = rows()
    labels = {"tree": "a tree", "path": "a path", "other": "another", "alone": "one seed", "absent": "not yet trained"}
    text = page(table, differences(table, "path"), labels, ["five seeds"], "path")
    lines = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if line.startswith("| ")}
    assert "+0.100 ± 0.020; pooled -0.100 ± 0.020" in text
    assert ", not resolved; pooled " in lines["other"]
    assert "+0.300 (one seed: a lead)" in lines["alone"]
    assert lines["path"].endswith("| 25.080 | reference |")
    assert "absent" not in lines
    assert lines["tree"] == "| tree | 25.180 | 25.000 | 25.100 | 26.000 | 25.700 | 26.250 | 0.0125 | 1.50 |"
    assert "smoke test" not in text
    assert "There are no rows yet." in page(table[:0], differences(table[:0], "path"), labels, [], "path")
    assert set(KEY) <= set(table.columns)


def test_one_seed_has_no_half_width_and_unpaired_seeds_are_refused():
    assert str(paired(np.array([1.0]), np.array([0.5]))) == "+0.500 (one seed: a lead)"
    with pytest.raises(ValueError, match=r"got shape \(1,\), expected that of a, \(2,\)"):
        paired(np.zeros(2), np.zeros(1))
