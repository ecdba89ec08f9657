"""What tests of whole runs share: comparing weights, reading logs, and leaving out the count of a step's memory."""

from __future__ import annotations

import csv

import pytest
import torch


def same(one, other):
    """Whether two models have the same weights, bit for bit."""
    a, b = (x.state_dict() for x in (one, other))
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def log_of(out):
    """The rows of a run's log."""
    with (out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def memory_is_not_counted():
    """Counting the memory of a step takes longer than the steps of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("d2c.training.train.check_step_fits", lambda *arguments: None)
        yield
