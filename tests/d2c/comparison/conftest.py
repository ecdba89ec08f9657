"""One tiny comparison, trained once for all tests of its tables."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def larger_pairs(make_pairs, tmp_path_factory):
    """Seven ×2 pairs of 24×20 LR px, of which the first two are the test split."""
    return make_pairs(tmp_path_factory.mktemp("compared") / "cards", count=7, test=2)


@pytest.fixture
def begun(larger_pairs, tmp_path):
    """Where cells are trained, and what they are measured on."""
    from d2c.comparison.budget import Budget
    from d2c.comparison.cells import Work
    from d2c.comparison.test_sets import open_test_set
    from d2crealsr.ui.progress import Reporter

    budget = Budget("steps", 3)
    work = Work(data=larger_pairs, out=tmp_path / "out", scale=2, budget=budget, device="cpu")
    return work, [open_test_set(larger_pairs, 2, larger_pairs, Reporter())]
