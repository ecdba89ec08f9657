"""Budgets: what they say, and how stages share them."""

from __future__ import annotations

import pytest

from d2c.comparison.budget import Budget, with_lengths
from d2c.errors import ConfigError
from d2c.networks import find


def test_steps_crops_and_seconds_become_steps():
    assert Budget.parse("steps=500").steps(16, []) == 500
    assert Budget.parse("crops=8000").steps(16, []) == 500
    assert Budget.parse("seconds=22").steps(16, [0.05, 0.005]) == pytest.approx(22 / (0.05 * 10 + 0.005) * 11, abs=1)
    assert str(Budget.parse("crops=2_200_000")) == "crops=2200000"


@pytest.mark.parametrize("text", ["", "500", "steps=0", "steps=1.5", "hours=3", "crops=-1", "steps=nan", "steps=inf"])
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(ConfigError, match=r"budget: got .* expected steps=N, crops=N or seconds=N"):
        Budget.parse(text)


def test_two_stages_share_the_steps_as_in_the_paper_and_one_stage_has_all():
    network = find("d2csr")
    train = network.preset("tiny").train
    both = with_lengths(network, train, "all", 1100)
    assert (both.steps, both.steps_convergence) == (1000, 100)
    assert with_lengths(network, train, "1", 1100).steps == 1100
