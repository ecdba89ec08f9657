"""Training: what it writes, that it learns, that it resumes to the same bits, and what it refuses."""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
import subprocess
import sys
import time
import tomllib

import numpy as np
import pandas as pd
import pytest
import torch

import d2c
from d2c.checkpoints import native
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.entry import NETWORK
from d2c.errors import ConfigError, DataError, TrainingError
from d2c.evaluation.evaluate import methods
from d2c.settings import toml
from d2c.training.runfolder import RunFolder
from d2c.training.train import Request, train
from d2crealsr.errors import D2CRealSRError, LockError
from d2crealsr.ui.progress import Reporter
from tests.d2c.training.conftest import log_of, same

MODEL = D2CConfig(scale=2, features=6, groups=1, blocks=1, reduction=3, convergence_features=5)
TRAIN = TrainConfig(
    batch=2, patch=8, lr=1e-3, steps=6, steps_convergence=5, log_every=2, validate_every=4, save_every=3
)


def run(pairs, out, reporter=None, **changes):
    request = {f.name: changes.pop(f.name) for f in dataclasses.fields(Request) if f.name in changes}
    model = {f.name: changes.pop(f.name) for f in dataclasses.fields(MODEL) if f.name in changes}
    request = {"data": pairs, "out": out, "device": "cpu", "threads": 1, "cache": out.parent / "cache"} | request
    settings = {"model": dataclasses.replace(MODEL, **model), "train": dataclasses.replace(TRAIN, **changes)}
    return train(Request(**(settings | request)), reporter)


@pytest.fixture(scope="module")
def whole(pairs, tmp_path_factory):
    """An uninterrupted run: its folder and its model."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return out, run(pairs, out)


def test_a_run_leaves_what_is_documented(whole, pairs):
    out, model = whole
    assert {p.name for p in out.iterdir()} >= {
        "config.toml",
        "log.csv",
        "last.safetensors",
        "best.safetensors",
        "state",
    }
    assert same(d2c.load(out), model)
    assert all(p.grad is None for p in model.parameters())  # the memory of a stage is free in the next one
    assert native.provenance(out) == {"stage": 2, "step": 5}
    tables = tomllib.loads((out / "config.toml").read_text())
    assert tables["train"]["steps"] == 6
    assert tables["model"]["features"] == 6
    rows = log_of(out)
    assert [(r["stage"], r["step"]) for r in rows] == [("1", k) for k in "246"] + [("2", k) for k in "245"]
    assert [bool(r["val_psnr_db_fused"]) for r in rows] == [False, True, True, False, True, True]
    for method in methods(NETWORK, MODEL):
        assert float(rows[-1][f"val_psnr_db_{method}"]) > 0
        assert -1 <= float(rows[-1][f"val_ssim_{method}"]) <= 1
    assert all(float(r["spread"]) > 0 for r in rows)


def test_best_follows_the_fused_output_in_stage_2(whole):
    rows = [r for r in log_of(whole[0]) if r["stage"] == "2" and r["val_psnr_db_fused"]]
    best = max(rows, key=lambda r: float(r["val_psnr_db_fused"]))
    assert native.provenance(whole[0] / "best.safetensors") == {"stage": 2, "step": int(best["step"])}


def test_the_test_split_is_never_opened(pairs, tmp_path):
    import shutil

    copy = tmp_path / "pairs"
    shutil.copytree(pairs, copy)
    for kind in ("hr", "lr"):
        (copy / kind / "000.png").write_bytes((copy / kind / "000.png").read_bytes()[:200])  # header only
    assert run(copy, tmp_path / "run", steps=1, steps_convergence=1)


def test_stage_2_leaves_the_divergence_net_alone(whole, pairs, tmp_path):
    one = run(pairs, tmp_path / "run", stage="1")
    first = {k: v.clone() for k, v in one.state_dict().items()}
    both = run(pairs, tmp_path / "run", stage="2")
    assert same(both, whole[1])
    changed = {k for k, v in both.state_dict().items() if not torch.equal(v, first[k])}
    assert changed == {k for k in first if k.startswith("convergence.")}


@pytest.mark.slow
def test_training_lowers_the_loss_and_the_triplet_spreads_the_predictions(pairs, tmp_path):
    spreads = []
    for alpha in (0.0, 0.3):
        out = tmp_path / f"run{alpha}"
        run(pairs, out, alpha=alpha, steps=60, stage="1", log_every=10, validate_every=0)
        rows = log_of(out)
        assert float(rows[-1]["reconstruction"]) < 0.5 * float(rows[0]["reconstruction"])
        spreads.append(float(rows[-1]["spread"]))
    assert spreads[1] > 1.2 * spreads[0]


_SCHEDULED = {"schedule": "cosine", "warmup": 4, "clip_norm": 0.05}


@pytest.mark.parametrize(
    "changes",
    [
        {"joint": True, "steps_together": 4},
        {"ema": 0.9, "accumulate": 2, "steps_together": 4},
        {"precision": "bf16"},
        _SCHEDULED,
    ],
)
def test_resume_is_bit_for_bit(pairs, tmp_path, changes):
    """A run stopped after any saved state ends as an uninterrupted one; here by an error thrown in between."""
    expected = run(pairs, tmp_path / "whole", **changes)

    class Stop(Reporter):
        """Ends the process's part after four steps; the first pieces of work reported are ten decoded images."""

        def __init__(self):
            self.left = 10 + 4

        def step(self, done, info=""):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    stopped = 0
    for _ in range(3):
        try:
            run(pairs, tmp_path / "broken", Stop(), **changes)
        except KeyboardInterrupt:
            stopped += 1
    assert stopped >= 1
    assert same(run(pairs, tmp_path / "broken", **changes), expected)
    assert (tmp_path / "broken/log.csv").read_text() == (tmp_path / "whole/log.csv").read_text()


LONG = {"steps": 60, "steps_convergence": 60, "log_every": 3, "save_every": 7, "validate_every": 50}


def start(pairs, out, **changes):
    """The same run as a process of its own."""
    out.parent.mkdir(exist_ok=True)
    settings = dataclasses.replace(TRAIN, **LONG | changes)
    tables = {"model": dataclasses.asdict(MODEL), "train": dataclasses.asdict(settings)}
    (out.parent / "settings.toml").write_text(toml.to_text(tables))
    command = [sys.executable, "-W", "error", "-m", "d2c", "train", "--data", pairs, "--out", out, "--device", "cpu"]
    command += ["--threads", 1]
    return subprocess.Popen(
        [*map(str, command), "--config", str(out.parent / "settings.toml"), "--cache", str(out.parent / "cache")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        # A shell lets what it runs in the background ignore Ctrl-C.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def steps_logged(log, stage):
    """The last whole row's step, if it is of that stage."""
    rows = log.read_text().splitlines()[1:-1] if log.exists() else []
    return int(rows[-1].split(",")[1]) if rows and rows[-1].startswith(f"{stage},") else 0


@pytest.mark.slow
def test_kill_9_in_each_stage_ends_with_identical_weights(pairs, tmp_path):
    run(pairs, tmp_path / "whole", **LONG)
    out = tmp_path / "killed"
    killed = []
    for stage in ("1", "2"):
        with start(pairs, out) as process:
            while process.poll() is None:
                if steps_logged(out / "log.csv", stage) > 9:
                    process.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.002)
            killed.append(process.wait())
    assert killed == [-signal.SIGKILL] * 2
    with start(pairs, out) as process:
        said = process.stderr.read().decode()
    assert process.returncode == 0, said
    for name in ("last.safetensors", "best.safetensors", "log.csv"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.slow
def test_a_run_that_is_asked_to_end_saves_its_state(pairs, tmp_path):
    changes = {"steps": 40, "steps_convergence": 20, "save_every": 1000}
    run(pairs, tmp_path / "whole", **LONG | changes)
    out = tmp_path / "asked"
    for sent, stage in ((signal.SIGINT, "1"), (signal.SIGTERM, "2")):
        with start(pairs, out, **changes) as process:
            while process.poll() is None and steps_logged(out / "log.csv", stage) <= 6:
                time.sleep(0.002)
            process.send_signal(sent)
            said = process.stderr.read().decode()
        assert process.returncode == 128 + sent
        assert "Traceback" not in said
        assert f"stage {stage}, step {RunFolder(out).load_state()['step']}: saved" in said  # though it was not due
    run(pairs, out, **LONG | changes)
    for name in ("last.safetensors", "best.safetensors", "log.csv"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("at", [4, 6], ids=["midway", "last step"])
def test_a_validation_that_is_interrupted_comes_again(at, pairs, tmp_path, monkeypatch):
    changes = {"stage": "1", "validate_every": at, "ema": 0.9}
    run(pairs, tmp_path / "whole", **changes)

    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("d2c.training.loop.evaluate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(pairs, tmp_path / "broken", **changes)
    state = RunFolder(tmp_path / "broken").load_state()
    assert state["step"] == at
    assert state["unlogged"]["step"] == at
    run(pairs, tmp_path / "broken", **changes)
    for name in ("last.safetensors", "best.safetensors", "log.csv"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("kilobytes", [1, 150])
def test_a_full_disk_ends_the_run_cleanly(kilobytes, small_disk, pairs, tmp_path):
    folder, fill = small_disk
    make_room = fill(kilobytes)
    with pytest.raises(D2CRealSRError, match=r"cannot be written .*\(No space left on device\); make room"):
        run(pairs, folder / "run", cache=folder / "cache")
    assert not list(folder.rglob(".tmp-*"))
    make_room()
    run(pairs, folder / "run", cache=folder / "cache")
    run(pairs, tmp_path / "whole")
    for name in ("last.safetensors", "best.safetensors", "log.csv"):
        assert (folder / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_leftovers_of_a_killed_run_go(pairs, tmp_path):
    out = tmp_path / "run"
    for folder in (out, out / "state", tmp_path / "cache"):
        folder.mkdir(parents=True)
        (folder / ".tmp-half").touch()
    run(pairs, out, steps=1, steps_convergence=1)
    assert not list(tmp_path.rglob(".tmp-*"))


def test_a_finished_run_is_left_as_it_is(whole, pairs):
    out, model = whole
    before = (out / "last.safetensors").stat().st_mtime_ns
    assert same(run(pairs, out), model)
    assert (out / "last.safetensors").stat().st_mtime_ns == before


def test_other_settings_in_the_same_folder_name_the_difference(whole, pairs, make_pairs, tmp_path):
    with pytest.raises(ConfigError, match=r"its run has train\.alpha = 0\.01, now it is 0\.02"):
        run(pairs, whole[0], alpha=0.02)
    with pytest.raises(ConfigError, match=r"its run has model\.blocks = 1, now it is 2"):
        run(pairs, whole[0], blocks=2)
    with pytest.raises(ConfigError, match=r"its data changed since: 5 pairs changed \(001, 002, 004, …\)"):
        run(make_pairs(tmp_path / "other", seed=9), whole[0])


def test_two_runs_in_one_folder(whole, pairs):
    with RunFolder(whole[0]).lock(), pytest.raises(LockError, match=rf"in use by process {os.getpid()} on .* since "):
        run(pairs, whole[0])


def test_starting_from_weights(whole, pairs, tmp_path):
    tuned = run(pairs, tmp_path / "tuned", stage="2", weights=whole[0])
    first = d2c.load(whole[0])
    assert torch.equal(tuned.head.weight, first.head.weight)
    assert not torch.equal(tuned.convergence.conv1.weight, first.convergence.conv1.weight)
    other = run(pairs, tmp_path / "gain", stage="2", weights=whole[0], convergence_gain=20.0, steps_convergence=1)
    assert torch.equal(other.head.weight, first.head.weight)
    assert not torch.equal(other.convergence.conv1.weight, first.convergence.conv1.weight)
    with pytest.raises(ConfigError, match="has features = 6, expected 7; change --features"):
        run(pairs, tmp_path / "other", weights=whole[0], features=7)


def test_stage_2_needs_stage_1(pairs, tmp_path):
    with pytest.raises(ConfigError, match="holds no finished stage 1, which stage 2 needs"):
        run(pairs, tmp_path / "run", stage="2")
    with pytest.raises(ConfigError, match="a joint run has stage 1 only"):
        run(pairs, tmp_path / "joint", stage="2", joint=True)
    with pytest.raises(ConfigError, match="holds no finished stage 1, which stage 3 needs"):
        run(pairs, tmp_path / "together", stage="3", steps_together=1)


def test_data_that_cannot_be_trained_on(pairs, tmp_path):
    import shutil

    with pytest.raises(ConfigError, match="smaller than a patch of 24; use --patch 20 or less"):
        run(pairs, tmp_path / "run", patch=24)
    copy = tmp_path / "pairs"
    shutil.copytree(pairs, copy)
    table = pd.read_csv(copy / "manifest.csv", dtype=str)
    table.assign(split="").to_csv(copy / "manifest.csv", index=False)
    with pytest.raises(DataError, match="run: d2crealsr split"):
        run(copy, tmp_path / "run")


def test_a_loss_that_is_not_finite_ends_the_run(pairs, tmp_path):
    with pytest.raises(TrainingError, match=r"stage 1, step \d+: the loss is (nan|inf); lower --lr"):
        run(pairs, tmp_path / "run", lr=1e30)


def test_projection_is_said_once_a_process(pairs, tmp_path):
    notes = []

    class Listen(Reporter):
        def note(self, text):
            notes.append(text)

    run(pairs, tmp_path / "run", Listen(), steps=25, stage="1", validate_every=0)
    assert sum("steps at this pace" in note for note in notes) == 1


def test_runs_above_a_day_name_smaller_presets():
    from d2c.training.pace import duration, projection

    assert projection(12, 520_000, NETWORK, d2c.D2CConfig()).endswith(
        "about 72 days for all 520,000 steps at this pace; smaller presets: small, tiny"
    )
    assert "smaller" not in projection(0.1, 1000, NETWORK, d2c.D2CConfig())
    assert duration(3 * 3600 + 61) == "3 h 1 min"


def test_a_damaged_state_is_said(whole, tmp_path, pairs):
    import shutil

    from d2c.errors import CheckpointError

    shutil.copytree(whole[0], tmp_path / "run")
    state = tmp_path / "run/state/state.pt"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="is damaged; delete it to start over"):
        run(pairs, tmp_path / "run")


def test_16_bit_pairs_train(make_pairs, tmp_path):
    folder = make_pairs(tmp_path / "pairs", dtype=np.uint16)
    assert run(folder, tmp_path / "run", steps=1, steps_convergence=1)
