"""Training on pairs weighed by their measured errors: what is drawn and said, resuming, and what is refused."""

from __future__ import annotations

import os
import shutil
from collections import Counter

import pandas as pd
import pytest
from click.testing import CliRunner

import d2c
from d2c.cli import cli
from d2c.data.patches import CropSource
from d2c.errors import ConfigError
from d2crealsr.ui.progress import Reporter
from tests.d2c.training.conftest import same

pytestmark = pytest.mark.usefixtures("memory_is_not_counted")

TINY = {"network": "edsr", "scale": 2, "features": 3, "blocks": 1, "batch": 2, "patch": 8, "lr": 1e-3}
RUN = {**TINY, "validation": 0.0, "validate_every": 0, "device": "cpu", "threads": 1, "weigh_pairs": True}
FAR, NEAR = "003", "002"


class Listen(Reporter):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def measured(folder, shifts, sigma=0.1):
    """Give a pairs folder of 24x20 LR px four blocks of these x shifts by scene."""
    blocks = [(scene, x, y, dx, 0, 1) for scene, dx in shifts.items() for x in (5.5, 17.5) for y in (4.5, 14.5)]
    columns = ["scene", "lr_x", "lr_y", "dx_hr_px", "dy_hr_px", "weight"]
    pd.DataFrame(blocks, columns=columns).to_csv(folder / "residuals.csv", index=False)
    table = pd.read_csv(folder / "manifest.csv", dtype={"scene": str})
    table.assign(lr_x=0, lr_y=0, sigma_hr_px=sigma).to_csv(folder / "manifest.csv", index=False)
    return folder


def run(data, out, reporter=None, **changes):
    return d2c.train(data, out, reporter=reporter, **{**RUN, "cache": out.parent / "cache", "steps": 4, **changes})


@pytest.fixture
def displaced(pairs, tmp_path):
    """Six pairs, five of them to train on, of which one lies far off."""
    shifts = {"001": 0.0, NEAR: 0.5, FAR: 5.0, "004": 0.1, "005": 0.0}
    return measured(shutil.copytree(pairs, tmp_path / "pairs"), shifts)


@pytest.fixture
def drawn(monkeypatch):
    """How often each pair has been drawn."""
    seen, draw = Counter(), CropSource.draw

    def counted(self, place, key):
        seen[self.pairs[place].name] += 1
        return draw(self, place, key)

    monkeypatch.setattr(CropSource, "draw", counted)
    return seen


def test_a_pair_that_lies_far_off_is_hardly_drawn(displaced, drawn, tmp_path):
    run(displaced, tmp_path / "run")
    assert drawn.total() == 8
    assert drawn[FAR] == 0
    drawn.clear()
    run(displaced, tmp_path / "plain", weigh_pairs=False)
    assert drawn[FAR] >= 1


def test_how_the_pairs_weigh_is_said(displaced, tmp_path):
    listen = Listen()
    run(displaced, tmp_path / "run", listen, steps=1)
    assert (
        "weights of the pairs by their measured errors (1: none): 0.01 to 0.96, mean 0.67; 003 is drawn least"
        in listen.notes
    )
    assert not any("without measured blocks" in note for note in listen.notes)
    measured(displaced, {FAR: 1.0})
    run(displaced, tmp_path / "half", listen, steps=1)
    assert (
        "4 pairs without measured blocks, which weigh by their predicted error alone: 001, 002, 004"
        in listen.notes[-3:]
    )
    silent = Listen()
    run(displaced, tmp_path / "plain", silent, steps=1, weigh_pairs=False)
    assert not any("weigh" in note for note in silent.notes)


def test_a_resumed_run_ends_with_the_same_weights_wherever_its_pairs_lie(displaced, tmp_path):
    whole = run(displaced, tmp_path / "whole")
    run(displaced, tmp_path / "run", steps=2)
    moved = displaced.rename(tmp_path / "moved")
    assert same(run(f"{moved}{os.sep}", tmp_path / "run"), whole)
    assert not same(run(moved, tmp_path / "plain", weigh_pairs=False), whole)


@pytest.mark.parametrize("changed", ["residuals.csv", "manifest.csv"])
def test_a_run_whose_errors_changed_is_not_resumed_until_they_are_restored(displaced, tmp_path, changed):
    out = tmp_path / "run"
    run(displaced, out, steps=2)
    before = {name: (displaced / name).read_bytes() for name in ("residuals.csv", "manifest.csv")}
    if changed == "residuals.csv":
        measured(displaced, {"001": 0.0, NEAR: 0.6, FAR: 5.0, "004": 0.1, "005": 0.0})
    else:
        measured(displaced, {"001": 0.0, NEAR: 0.5, FAR: 5.0, "004": 0.1, "005": 0.0}, sigma=0.2)
    assert [name for name, content in before.items() if (displaced / name).read_bytes() != content] == [changed]
    with pytest.raises(ConfigError) as refused:
        run(displaced, out)
    assert str(refused.value) == (
        f"{out}: its run weighs the pairs by errors that have changed since (residuals.csv or sigma_hr_px in "
        f"manifest.csv); restore them to go on, or start a new run from its weights with --config {out}/config.toml "
        f"--weights {out} --out NEW"
    )
    (displaced / changed).write_bytes(before[changed])
    assert run(displaced, out)


def test_errors_that_no_weights_follow_from_may_change(displaced, tmp_path):
    run(displaced, tmp_path / "run", steps=2, weigh_pairs=False)
    measured(displaced, {FAR: 1.0})
    assert run(displaced, tmp_path / "run", weigh_pairs=False)
    with pytest.raises(ConfigError, match=r"its run has train\.weigh_pairs = False, now it is True; use the same set"):
        run(displaced, tmp_path / "run")


def test_each_dataset_weighs_its_pairs_by_its_own_errors(displaced, pairs, drawn, tmp_path):
    other = measured(shutil.copytree(pairs, tmp_path / "other"), dict.fromkeys(["001", "002", "004", "005"], 5.0))
    run([displaced, other], tmp_path / "run", trust_pairs=True, data_weight=(1, 1), steps=10)
    assert sum(times for name, times in drawn.items() if name.startswith("pairs/")) == 10
    assert drawn[f"pairs/{FAR}"] == 0
    assert drawn[f"other/{FAR}"] >= 9


def test_pairs_to_validate_on_need_no_errors(displaced, pairs, tmp_path):
    listen = Listen()
    assert run(displaced, tmp_path / "run", listen, validate_on=pairs, validate_every=4)
    assert any(note.startswith("weights of the pairs") for note in listen.notes)


def test_pairs_that_were_never_measured_are_refused_in_one_line(pairs, tmp_path):
    words = ["train", "--data", pairs, "--out", tmp_path / "run", "--network", "edsr", "--preset", "tiny"]
    words += ["--patch", "8", "--scale", "2", "--batch", "2", "--device", "cpu", "--weigh-pairs"]
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 2
    assert f"weigh-pairs: {pairs} has no residuals.csv with measured errors; leave --weigh-pairs out" in done.stderr
    assert sum("weigh-pairs" in line for line in done.stderr.splitlines()) == 1
    assert "Traceback" not in done.output


def test_a_dataset_without_measured_errors_is_refused_before_its_images_are_read(displaced, tmp_path):
    (displaced / "residuals.csv").unlink()
    with pytest.raises(ConfigError, match=r"has no residuals\.csv with measured errors; leave --weigh-pairs out"):
        run(displaced, tmp_path / "run", Listen(), steps=1)
    assert not list((tmp_path / "run").rglob("*.npy"))


def test_pairs_that_were_removed_are_said_before_their_errors(displaced, tmp_path):
    run(displaced, tmp_path / "run", Listen(), steps=2)
    rows = (displaced / "manifest.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (displaced / "manifest.csv").write_text("".join(rows[:-1]), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"its data changed since: 1 pair removed"):
        run(displaced, tmp_path / "run", Listen(), steps=2)
