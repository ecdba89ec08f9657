"""RCAN, RRDB and SwinIR beside spandrel: what is said without it, and what the stored result says."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.result_tables import read_csv

pytest.importorskip("torch")
from benchmarks.accuracy import network_outputs
from benchmarks.peers import beside_spandrel

RESULT = Path(network_outputs.__file__).parents[1] / "results" / "network-outputs.csv"


def test_without_spandrel_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(beside_spandrel, "ENVIRONMENT", "absent")
    done = CliRunner().invoke(network_outputs.main, [])
    assert done.exit_code == 0
    assert done.output == "spandrel: not installed: no .peers/absent; benchmarks/peers/make_peers.sh absent\n"


def test_a_different_image_is_told(monkeypatch):
    row = {"network": "RCAN", "scale": 2, "equal": "no"}
    monkeypatch.setattr(beside_spandrel, "lacks_environment", lambda name: lambda: "")
    monkeypatch.setattr(network_outputs, "compared", lambda *arguments: row)
    assert CliRunner().invoke(network_outputs.main, ["--small"]).exit_code == 1


def test_the_stored_images_are_equal():
    rows = read_csv(RESULT)
    assert [(row["network"], int(row["scale"])) for row in rows] == network_outputs.CASES
    assert {row["equal"] for row in rows} == {"yes"}
