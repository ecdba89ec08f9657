"""What misalignment costs a trained network: paired differences over seeds, and the stored table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.result_tables import read_csv

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

from benchmarks.training import misaligned_network
from benchmarks.training.misaligned_network import ARMS, POINTS, Point, point_row

RESULTS = Path(misaligned_network.__file__).parents[1] / "results"


def test_losses_are_taken_within_a_seed():
    level = np.array([25.0, 25.4, 24.8])
    runs = {("still", seed): {"test_db": psnr, "moved_test_db": psnr - 0.3} for seed, psnr in enumerate(level)}
    runs |= {("random-8", seed): {"test_db": level[seed] - lost} for seed, lost in enumerate((0.5, 0.6, 0.7))}
    row = point_row(Point("random", 8.0, "random-8", "test_db"), runs, range(3))
    assert row["loss_db"] == pytest.approx(0.6)
    assert row["half_width_db"] == pytest.approx(4.303 * 0.1 / np.sqrt(3), rel=1e-3)
    assert row["resolved"] == "yes"
    moved = point_row(Point("test", 2.0, "still", "moved_test_db"), runs, range(3))
    assert (moved["loss_db"], moved["half_width_db"]) == pytest.approx((0.3, 0.0), abs=1e-9)


def test_every_point_of_the_stored_table_follows_from_its_runs():
    rows = read_csv(RESULTS / "misaligned-network-runs.csv")
    runs = {
        (row["trained_on"], int(row["seed"])): {name: float(row[name]) for name in ("test_db", "moved_test_db")}
        for row in rows
    }
    seeds = sorted({seed for _, seed in runs})
    assert set(runs) == {(arm, seed) for arm in ARMS for seed in seeds}
    stored = read_csv(RESULTS / "misaligned-network.csv")
    for row, point in zip(stored, POINTS, strict=True):
        again = point_row(point, runs, seeds)
        assert float(row["loss_db"]) == pytest.approx(again["loss_db"])
        assert float(row["half_width_db"]) == pytest.approx(again["half_width_db"])
        assert row["resolved"] == again["resolved"]


def test_a_small_run_does_not_spoil_the_full_one_in_the_same_folder(tmp_path, monkeypatch):
    places = []

    def row(arm, seed, steps, place, *_):
        places.append(place)
        return {"test_db": 25.0, "moved_test_db": 24.0}

    monkeypatch.setattr(misaligned_network, "scenes_at", lambda *_: ([], []))
    monkeypatch.setattr(misaligned_network.Tested, "of", lambda _: None)
    monkeypatch.setattr(misaligned_network, "run_row", row)
    for more in (["--small"], ["--seeds", "1"]):
        done = CliRunner().invoke(misaligned_network.main, ["--work", str(tmp_path), *more], catch_exceptions=False)
        assert done.exit_code == 0
        assert " yes " not in done.stdout
        assert " no " not in done.stdout, "one seed has no interval"
    assert len(set(places)) == 2
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").touch()
    others = ["--work", str(tmp_path), "--small", "--photos", str(tmp_path / "photos")]
    done = CliRunner().invoke(misaligned_network.main, others)
    assert (done.exit_code, "was made with photographs" in done.stderr) == (2, True)
