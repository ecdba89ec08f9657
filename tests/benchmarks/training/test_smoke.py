"""The smoke test of the networks: its bars, and that what is done is not done again."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.result_tables import read_csv

pytest.importorskip("torch")
from benchmarks.training import smoke
from d2c.networks import NETWORKS

RESULT = Path(smoke.__file__).parents[1] / "results" / "smoke.csv"


@pytest.mark.parametrize(
    ("name", "untrained", "trained", "learns"),
    [
        ("edsr", 10.0, 19.5, True),
        ("edsr", 10.0, 19.4, False),
        ("edsr", 19.0, 19.9, False),
        ("srflow", 10.0, 19.0, True),
        ("srflow", 10.0, 18.9, False),
        ("srresnet", 20.0, 20.15, True),
        ("srresnet", 20.0, 20.05, False),
    ],
)
def test_a_network_passes_near_bicubic_and_above_its_own_start(name, untrained, trained, learns):
    assert smoke.passes(name, untrained, trained, 20.0) is learns


def test_a_network_that_is_done_is_not_trained_again(tmp_path, monkeypatch):
    row = {"network": "edsr", "steps": 2, "cpu_s": 1, "trained_db": 20.25, "learns": "yes"}
    calls = []
    monkeypatch.setattr(smoke, "measured", lambda *arguments: calls.append(arguments) or row)
    assert [smoke.stored("edsr", tmp_path, tmp_path / "runs", 2) for _ in range(2)] == [row, row]
    assert len(calls) == 1


def test_the_stored_result_has_every_network_and_says_what_passed():
    rows = read_csv(RESULT)
    assert [row["network"] for row in rows] == list(NETWORKS)
    for row in rows:
        values = (float(row[name]) for name in ("untrained_db", "trained_db", "bicubic_db"))
        assert smoke.passes(row["network"], *values) == (row["learns"] == "yes")
