"""Weights that are not finite: nothing is saved any more, the last good state stays, and what is said helps."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from d2c.cli import cli
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.data.patches import Batch
from d2c.errors import CheckpointError, TrainingError
from d2c.networks import find
from d2c.networks.base.skips import Skips
from d2c.networks.base.stage import PixelStage
from d2c.training.engine import Engine
from d2c.training.finite import not_finite
from d2c.training.runfolder import RunFolder
from d2c.training.train import Request, train
from d2crealsr.ui.interrupts import Interrupts

MODEL = D2CConfig(scale=2, features=3, groups=1, blocks=1, reduction=3, convergence_features=3)
TRAIN = TrainConfig(batch=2, patch=8, lr=1e-3, steps=6, steps_convergence=3, log_every=100, save_every=2, ema=0.9)


class Asked(Interrupts):
    """A signal that came between two steps."""

    asked = True


def run(pairs, out, interrupts=None, stage="1", **changes):
    settings = dataclasses.replace(TRAIN, **{"validation": 0.0} | changes)
    request = Request(
        data=pairs, out=out, model=MODEL, train=settings, device="cpu", stage=stage, cache=out.parent / "cache"
    )
    return train(request, interrupts=interrupts)


def spoil(monkeypatch, what, at):
    """Make something infinite with the step of that number, counted over the whole run."""
    update, done = Engine.update, []

    def spoiling(engine, *arguments):
        terms = update(engine, *arguments)
        done.append(1)
        if len(done) >= at:
            state = engine.optimiser.state[engine.parameters[0]]
            with torch.no_grad():
                {"weights": engine.parameters, "average": engine.average}.get(what, [state.get(what)])[0].fill_(
                    torch.inf
                )
        return terms

    monkeypatch.setattr(Engine, "update", spoiling)


@pytest.mark.parametrize("what", ["weights", "average", "exp_avg", "exp_avg_sq"])
def test_nothing_is_saved_over_the_last_good_state(what, pairs, tmp_path, monkeypatch):
    run(pairs, tmp_path / "good", steps=2)
    spoil(monkeypatch, what, at=3)
    with pytest.raises(
        TrainingError, match=r"stage 1, step 4: \S+ is not finite; .* keeps stage 1, step 2: resume from"
    ):
        run(pairs, tmp_path / "run")
    assert RunFolder(tmp_path / "run").load_state()["step"] == 2
    assert not not_finite(load_file(tmp_path / "run/last.safetensors"))


@pytest.mark.parametrize("trigger", ["signal", "ten minutes", "end of the stage", "validation"])
def test_whatever_asks_for_the_state_gets_none_that_is_not_finite(trigger, pairs, tmp_path, monkeypatch):
    changes = {"save_every": 1000, "steps": 3 if trigger == "end of the stage" else 6}
    if trigger == "ten minutes":
        monkeypatch.setattr("d2c.training.loop._SAVE_SECONDS", -1)
    if trigger == "validation":
        changes |= {"validation": 0.2, "validate_every": 1}
    spoil(monkeypatch, "weights", at=3 if trigger == "end of the stage" else 1)
    changes |= {"ema": 0.0}
    with pytest.raises(
        TrainingError, match=r"is not finite; lower --lr and run it again; nothing had been saved before"
    ):
        run(pairs, tmp_path / "run", Asked() if trigger == "signal" else None, **changes)
    assert {path.name for path in (tmp_path / "run").rglob("*.*")} <= {
        "config.toml",
        "log.csv",
        "started.json",
        "pairs.csv",
        ".lock",
    }
    monkeypatch.undo()
    assert run(pairs, tmp_path / "run", lr=1e-4, steps=1, ema=0.5)  # nothing was saved, so nothing is in the way


def test_a_stage_that_begins_with_good_weights_keeps_them(pairs, tmp_path, monkeypatch):
    spoil(monkeypatch, "exp_avg", at=7)
    with pytest.raises(TrainingError, match=r"stage 2, step 2: .* keeps stage 1, step 6: .* --stage 2 --lr"):
        run(pairs, tmp_path / "run", stage="both")


def test_weights_that_are_finite_but_lead_to_no_finite_loss_are_not_saved(pairs, tmp_path, monkeypatch):
    update = Engine.update

    def explode(engine, *arguments):
        terms = update(engine, *arguments)
        with torch.no_grad():
            for parameter in engine.parameters:
                parameter.fill_(1e30)
        return terms

    monkeypatch.setattr(Engine, "update", explode)
    with pytest.raises(TrainingError, match="the loss with the weights after it is not finite"):
        run(pairs, tmp_path / "run", save_every=1)
    assert not (tmp_path / "run/last.safetensors").exists()


def test_only_the_best_weights_are_left(pairs, tmp_path, monkeypatch):
    spoil(monkeypatch, "weights", at=2)
    with pytest.raises(
        TrainingError, match=r"run/best\.safetensors keeps the best weights: resume .* --weights \S+best"
    ):
        run(pairs, tmp_path / "run", validation=0.2, validate_every=1, save_every=1000)


def test_a_state_that_an_earlier_version_saved_is_not_gone_on_with(pairs, tmp_path):
    run(pairs, tmp_path / "run", validation=0.2)
    folder = RunFolder(tmp_path / "run")
    state = folder.load_state()
    next(iter(state["engine"]["optimiser"]["state"].values()))["exp_avg"].fill_(torch.nan)
    folder.save_state({name: value for name, value in state.items() if name != "format"})
    with pytest.raises(
        CheckpointError, match=r"exp_avg is not finite, so the run cannot go on; .* best weights with --con"
    ):
        run(pairs, tmp_path / "run", validation=0.2)


def test_what_the_command_says_gets_one_on(pairs, tmp_path, monkeypatch):
    """A rate far too high stops the run; the options that the message names train on from what it kept."""
    monkeypatch.chdir(tmp_path)
    small = ["--features", "3", "--groups", "1", "--blocks", "1", "--reduction", "3", "--convergence-features", "3"]
    small += ["--batch", "2", "--patch", "8", "--steps", "3", "--steps-convergence", "1", "--validation", "0"]
    command = ["train", "--data", str(pairs), "--device", "cpu"]
    assert CliRunner().invoke(cli, [*command, *small, "--out", "run"]).exit_code == 0
    shutil.rmtree("run/state")
    high = [*command, *small, "--weights", "run", "--out", "high", "--save-every", "1", "--lr"]
    stopped = CliRunner().invoke(cli, [*high, "1e10"])
    assert stopped.exit_code == 1
    assert "nothing had been saved before" in stopped.stderr
    assert CliRunner().invoke(cli, [*high, "1e-3"]).exit_code == 0
    spoil(monkeypatch, "weights", at=2)
    stopped = CliRunner().invoke(cli, [*command, *small, "--out", "third", "--save-every", "1"])
    assert stopped.exit_code == 1
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    options = re.search(r"resume from it with (.*) LOWER", stopped.stderr)[1]
    done = CliRunner().invoke(cli, [*command, *shlex.split(options), "1e-4"])
    assert done.exit_code == 0, done.output
    assert not not_finite(load_file("NEW/last.safetensors"))


class Bearing(PixelStage):
    """A stage that leaves out steps whose gradient is not finite."""

    def __init__(self, model, config):
        super().__init__(model, config)
        self.skips, self.factor = Skips(), 1.0

    def forward(self, lr, hr, **weights):
        terms = super().forward(lr, hr, **weights)
        return {**terms, "total": terms["total"] * self.factor}


@pytest.mark.parametrize(("precision", "clip_norm"), [("fp32", 1.0), ("fp16", 1.0), ("fp32", 0.0), ("fp16", 0.0)])
def test_a_stage_leaves_a_step_out_in_every_precision_and_without_a_limit(precision, clip_norm):
    preset = find("srresnet").preset("tiny")
    settings = dataclasses.replace(preset.train, batch=2, patch=8, precision=precision, clip_norm=clip_norm)
    engine = Engine(Bearing(find("srresnet").make(preset.model), settings), settings)
    batch = Batch(torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8 * preset.model.scale, 8 * preset.model.scale))
    for engine.stage.factor in (1.0, torch.inf, 1.0, 1.0):
        engine.update(batch, 1e-3, {})
    assert engine.stage.skips.state() == {"total": 1, "in_a_row": 0}
    assert not not_finite(engine.stage.model.state_dict())
