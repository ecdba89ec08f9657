"""benchmarks/speed/on_cuda.py works from end to end before a card sees it, and needs nothing but the engine."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

import torch

from benchmarks.speed import on_cuda
from benchmarks.speed.card.budgets import budget_rows, hour_rows
from benchmarks.speed.card.cell import GRAPH, Cell, Machine
from benchmarks.speed.card.schedule import hours
from benchmarks.speed.card.steps import COMPILED, EAGER, TUNED, step_cell

ROOT = Path(__file__).parents[3]

BARE = """
import runpy, sys
ABSENT = {"cv2", "pandas", "pandera", "joblib", "PIL", "scipy", "skimage", "click", "rich", "threadpoolctl"}
class Bare:
    def __init__(self, finders):
        self.finders = finders
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            return None
        return next((found for finder in self.finders if (found := finder.find_spec(name, path, target))), None)
sys.meta_path[:] = [Bare(sys.meta_path[:])]
runpy.run_module("benchmarks.speed.on_cuda", run_name="__main__", alter_sys=True)
assert not ABSENT & {name.partition(".")[0] for name in sys.modules}
"""


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_it_measures_every_cell_where_only_torch_and_numpy_are_installed(tmp_path):
    options = ["--dry-run", "--seconds", "500", "--out", str(tmp_path / "table")]
    subprocess.run([sys.executable, "-c", BARE, *options], check=True, capture_output=True, cwd=ROOT)
    rows = read(tmp_path / "table.csv")
    assert len(rows) == len({tuple(list(row.values())[:5]) for row in rows}) > 60
    assert [row["remark"] for row in rows if "failed" in row["remark"] or "no time" in row["remark"]] == []
    assert [row["remark"] for row in rows if "compiled" in row["remark"]] == []
    unmeasured = {row["what"] for row in rows if row["ms"] in ("", "not run")}
    assert unmeasured == {"CUDA tests of the engine", "launches, stage 1", "d2c train"}
    remarks = {row["remark"] for row in rows if row["what"] == "d2c train"}
    assert all(remark.startswith("not run: not installed: cv2, pandas, pandera") for remark in remarks)
    text = (tmp_path / "table.txt").read_text()
    assert text.startswith("Dry run on a CPU")
    assert "command:  python -m benchmarks.speed.on_cuda --dry-run --seconds 500\n" in text


@pytest.mark.slow
def test_without_a_card_the_table_says_not_run_and_counts_operations(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    on_cuda.main(["--out", str(tmp_path / "table")])
    rows = read(tmp_path / "table.csv")
    assert {row["ms"] for row in rows} == {"not run"}
    assert capsys.readouterr().out.startswith("There is no CUDA device on this machine: nothing was run")
    ours, factored = (
        next(float(r["gmacs"]) for r in rows if (r["what"], r["network"], r["patches"]) == ("stage 1", network, "4"))
        for network in ("d2c", "factored")
    )
    assert 600 < ours < 900
    assert 1900 < factored < 1930  # benchmarks/results/model_speed.txt
    assert {line["found"] for line in budget_rows(on_cuda.all_cells())} == {"not run"}


def cell(what="stage 1", network="d2c", precision="bf16", patches=4, way=GRAPH, **found):
    made = Cell(what=what, network=network, precision=precision, patches=patches, way=way, measure=lambda _: found)
    made.known = {"gmacs": 100.0}
    return made


def measured(*cells, seconds=1000.0):
    machine = Machine(device=torch.device("cpu"), rates={"bf16": 1000.0})
    on_cuda.measure(list(cells), machine, until=time.monotonic() + seconds)
    return list(cells)


def test_the_best_way_of_the_factored_network_counts():
    cells = measured(
        cell(ms=10.0), cell(network="factored", way=EAGER, ms=50.0), cell(network="factored", way=COMPILED, ms=30.0)
    )
    assert [row["factored_over_this"] for row in on_cuda.rows_of(cells)] == [3.0, "", ""]
    found = {row["what"]: row["found"] for row in budget_rows(cells)}
    assert found["stage 1, 4, bf16, times as fast"] == "3.00"
    assert found["stage 1, 4, tf32, times as fast"] == "not run"


def test_the_share_is_of_the_rate_of_products_in_that_precision():
    cells = measured(cell(ms=1000.0), cell(precision="tf32", ms=1000.0))
    assert [row["share"] for row in on_cuda.rows_of(cells)] == [0.1, ""]


def test_a_cell_that_fails_or_has_no_time_is_named_and_the_others_go_on():
    def fail(_):
        raise RuntimeError("CUDA error: out of patience\nmore")

    def cut(_):
        raise on_cuda.OutOfTimeError

    cells = [cell(), cell(ms=2.0), cell(what="joint"), cell(what="stage 2")]
    cells[0].measure, cells[2].measure, cells[3].seconds = fail, cut, 2000.0
    text = on_cuda.as_text(measured(*cells), "a card")
    assert [c.remark for c in cells] == [
        "failed: RuntimeError: CUDA error: out of patience", "", "cut: no time left", "skipped: no time left",
    ]  # fmt: skip
    skipped = ", d2c, 4 patches, bf16, graph"
    assert f"Skipped, no time left: joint{skipped}; stage 2{skipped}\n" in text


def test_hours_are_of_both_stages():
    assert hours(0.1, 0.1) == (
        "10.0 and 10.0 steps a second; 132,000 steps (27 pairs) 3.7 h, 500,000 steps (100 pairs) 13.9 h"
    )
    assert "(27 pairs) 3.4 h" in hours(0.1, 0.01)
    train = cell(what="d2c train", precision="tf32", ms=110.0, remark=hours(0.11, 0.05))
    cells = measured(cell(precision="tf32", ms=100.0), cell(what="stage 2", precision="tf32", ms=50.0), train)
    rows = [row["steps a second; whole schedule"] for row in hour_rows(cells)]
    assert rows == [hours(0.11, 0.05), hours(0.1, 0.05)]
    assert {row["what"]: row["found"] for row in budget_rows(cells)}["d2c train over the engine alone, tf32"] == "1.10"


@pytest.mark.parametrize("network", ["d2c", "factored"])
@pytest.mark.parametrize("way", [GRAPH, EAGER, TUNED])
def test_a_step_of_either_network_trains_in_every_way(network, way):
    machine = Machine(device=torch.device("cpu"), small=True)
    found = step_cell("joint", network, 4, "fp32", way, counted=False).measure(machine)
    assert found["ms"] > 0
    assert found["remark"] == ""
    assert not torch.backends.cudnn.benchmark
