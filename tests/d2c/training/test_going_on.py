"""A run that goes on: what may change, that more steps end with the weights of a run that had them at once, and what
is said of what may not change.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil

import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import d2c
from d2c.checkpoints import native
from d2c.cli import cli
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.data.hold_out import hold_out
from d2c.data.layouts import find_pairs
from d2c.data.records import fingerprint, pair_records
from d2c.device import default_threads
from d2c.errors import ConfigError, DataError
from d2c.training.engine import World
from d2c.training.runfolder import RunFolder
from d2c.training.train import Request, train
from d2crealsr.store import read_image, sha256_of, write_image
from d2crealsr.ui.progress import Reporter
from tests.d2c.training.conftest import same

MODEL = D2CConfig(scale=2, features=3, groups=1, blocks=1, reduction=3, convergence_features=3)
TRAIN = TrainConfig(batch=2, patch=8, lr=1e-3, steps=4, steps_convergence=3, validation=0.2)


class Listen(Reporter):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def run(pairs, out, reporter=None, stage="both", weights=None, scale=2, **changes):
    settings = dataclasses.replace(TRAIN, **changes)
    model = dataclasses.replace(MODEL, scale=scale)
    places = {"data": pairs, "out": out, "weights": weights, "cache": out.parent / "cache"}
    return train(Request(**places, model=model, train=settings, stage=stage, device="cpu"), reporter)


@pytest.fixture(scope="module")
def finished(pairs, tmp_path_factory):
    """A run of both stages that is done; copied by who changes it."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    run(pairs, out)
    return out


@pytest.fixture
def copy(finished, tmp_path):
    shutil.copytree(finished.parent / "cache", tmp_path / "cache")
    return shutil.copytree(finished, tmp_path / "run")


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({}, {"steps_convergence": 7}),
        ({"stage": "1"}, {"steps": 7}),
        ({"stage": "1", "lr_halve_epochs": 1}, {"lr_halve_epochs": 1, "steps": 0, "epochs": 4}),
        ({"joint": True}, {"joint": True, "steps": 6}),
        ({"stage": "1", "ema": 0.9}, {"ema": 0.9, "steps_convergence": 5}),
        ({}, {"steps_together": 2}),
        ({"steps_together": 2}, {"steps_together": 4}),
    ],
    ids=["stage 2", "stage 1", "halving by epochs", "joint", "a stage to come", "one more stage", "stage 3"],
)
def test_more_steps_end_with_the_weights_of_a_run_that_had_them_at_once(first, then, pairs, tmp_path):
    run(pairs, tmp_path / "run", **first)
    assert same(run(pairs, tmp_path / "run", **then), run(pairs, tmp_path / "whole", **then))


def test_stage_3_may_follow_stage_1_and_then_begins_with_its_weights(pairs, tmp_path):
    run(pairs, tmp_path / "run", stage="1", steps_together=3, validate_every=1)
    straight = run(pairs, tmp_path / "run", stage="3", steps_together=3, validate_every=1)
    log = pd.read_csv(tmp_path / "run/log.csv")
    assert sorted(set(log.stage)) == [1, 3]
    assert native.provenance(tmp_path / "run/best.safetensors") == {
        "stage": 3,
        "step": log[log.stage == 3].set_index("step").val_psnr_db_fused.idxmax(),
    }
    staged = run(pairs, tmp_path / "staged", steps_together=3, validate_every=1)
    assert not same(straight, staged)
    with pytest.raises(ConfigError, match="stage 3 of its run has begun, now only 2 are asked for; keep its length"):
        run(pairs, tmp_path / "staged", validate_every=1)


def test_weights_that_are_kept_on_the_way_are_those_of_a_run_that_ends_there(pairs, tmp_path):
    settings = dataclasses.replace(TRAIN, ema=0.9, lr_halve_epochs=0)
    places = {"data": pairs, "cache": tmp_path / "cache", "device": "cpu", "stage": "1", "model": MODEL}
    train(Request(**places, out=tmp_path / "long", train=settings, keep_at=frozenset({2, 4})))
    train(Request(**places, out=tmp_path / "short", train=dataclasses.replace(settings, steps=2)))
    kept = RunFolder(tmp_path / "long")
    assert same(d2c.load(kept.kept(1, 2)), d2c.load(tmp_path / "short"))
    assert same(d2c.load(kept.kept(1, 4)), d2c.load(tmp_path / "long"))
    assert native.provenance(kept.kept(1, 2)) == {"stage": 1, "step": 2}


def test_stage_2_is_finished_before_stage_3_if_it_has_begun(pairs, tmp_path, monkeypatch):
    run(pairs, tmp_path / "run", stage="1", steps_together=1)
    monkeypatch.setattr("d2crealsr.ui.interrupts.Interrupts.asked", property(lambda self: True))
    with pytest.raises(KeyboardInterrupt):
        run(pairs, tmp_path / "run", stage="2", steps_together=1)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="holds no finished stage 2, which stage 3 needs; run it with --stage 2"):
        run(pairs, tmp_path / "run", stage="3", steps_together=1)


def test_weights_do_not_excuse_the_rest_of_a_stage_that_was_begun(finished, pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("d2crealsr.ui.interrupts.Interrupts.asked", property(lambda self: True))
    with pytest.raises(KeyboardInterrupt):
        run(pairs, tmp_path / "run", weights=finished)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match=r"no finished stage 1, .*--stage 1 first, or train stage 2 .*--out NEW"):
        run(pairs, tmp_path / "run", stage="2", weights=finished)
    run(pairs, tmp_path / "run", weights=finished)
    assert RunFolder(tmp_path / "run").last.exists()


def test_a_longer_cosine_is_said_to_follow_its_new_length(pairs, tmp_path):
    heard = Listen()
    run(pairs, tmp_path / "run", stage="1", schedule="cosine", steps=2)
    run(pairs, tmp_path / "run", heard, stage="1", schedule="cosine", steps=4)
    said = (
        "resumed with other settings: steps 2 → 4; the rate follows the cosine schedule of the new length from here on"
    )
    assert said in heard.notes
    run(pairs, tmp_path / "run", heard, stage="1", schedule="cosine", steps=4, steps_convergence=9)
    assert "resumed with other settings: steps-convergence 3 → 9" in heard.notes  # a stage that has not begun


def test_fewer_steps_than_planned_are_free_and_fewer_than_done_are_not(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("d2crealsr.ui.interrupts.Interrupts.asked", property(lambda self: True))
    with pytest.raises(KeyboardInterrupt):
        run(pairs, tmp_path / "run", stage="1", steps=50)
    with pytest.raises(KeyboardInterrupt):
        run(pairs, tmp_path / "run", stage="1", steps=50)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match=r"has 50 steps, now 2 are asked for, and 2 are done; ask for more than 2"):
        run(pairs, tmp_path / "run", stage="1", steps=2)
    assert same(run(pairs, tmp_path / "run", stage="1", steps=5), run(pairs, tmp_path / "five", stage="1", steps=5))


def test_threads_are_recorded_stay_on_resuming_and_may_change(pairs, tmp_path, monkeypatch):
    used = [1]  # more than one is slow on busy cores, so they are only counted here
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: used[-1])

    def with_threads(count, **changes):
        listener = Listen()
        settings = dataclasses.replace(TRAIN, **changes)
        request = Request(data=pairs, out=tmp_path / "run", model=MODEL, train=settings, device="cpu", threads=count)
        train(request, listener)
        assert used[-1] == 1
        return RunFolder(tmp_path / "run").threads(), listener.notes

    recorded, notes = with_threads(2, steps_convergence=1)
    assert recorded == 2
    assert any(note.endswith("; cpu, 2 threads") for note in notes)
    recorded, notes = with_threads(None, steps_convergence=2)
    assert recorded == 2
    assert not any("in place of" in note for note in notes)
    recorded, notes = with_threads(1, steps_convergence=3)
    assert recorded == 1
    assert "resumed with 1 thread in place of 2" in notes
    (tmp_path / "run/state/started.json").write_text('{"threads": "many"}')
    assert RunFolder(tmp_path / "run").threads() is None
    assert with_threads(None, steps_convergence=3)[0] == default_threads()


def test_settings_that_change_no_weights_are_free_and_said(copy, pairs):
    listen = Listen()
    run(pairs, copy, listen, log_every=1, save_every=2, validate_every=2, steps_convergence=6)
    assert "resumed with other settings: steps-convergence 3 → 6, validate-every 1000 → 2, log-every 50 → 1, " in (
        "\n".join(listen.notes)
    )
    log = pd.read_csv(copy / "log.csv")
    assert list(log[log.stage == 2].step) == [3, 4, 5, 6]
    listen = Listen()
    run(pairs, copy, listen, log_every=1, save_every=2, validate_every=2, steps_convergence=6)
    assert not any("other settings" in note for note in listen.notes)


@pytest.mark.parametrize(
    ("first", "then", "why"),
    [
        ({}, {"steps": "9"}, "stage 2 has begun on its weights"),
        ({"ema": 0.9}, {"steps-convergence": "9"}, "the moving average has replaced its weights"),
        ({"ema": 0.9, "stage": "1"}, {"steps": "9"}, "the moving average has replaced its weights"),
    ],
)
def test_a_stage_that_is_over_names_options_that_train_on(first, then, why, pairs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(pairs, tmp_path / "run", **first)
    files = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    command = ["train", "--data", str(pairs), "--device", "cpu"]
    changes = [part for name, value in then.items() for part in (f"--{name}", value)]
    refused = CliRunner().invoke(cli, [*command, "--out", "run", *changes])
    assert refused.exit_code == 2
    assert why in refused.stderr
    assert {path: path.read_bytes() for path in files} == files
    options = shlex.split(re.search(r"start a new run from it with (.* --out NEW.*)", refused.stderr)[1])
    done = CliRunner().invoke(cli, [*command, *options, *changes])
    assert done.exit_code == 0, done.output
    assert d2c.load(tmp_path / "NEW")


def test_changed_data_are_said_by_name(copy, pairs, make_pairs, tmp_path):
    data = shutil.copytree(pairs, tmp_path / "data")
    table = pd.read_csv(data / "manifest.csv", dtype=str)
    write_image(data / "lr/002.png", read_image(data / "lr/002.png") // 2)
    added = table[table.scene == "000"].assign(split="train")  # it was the test scene
    pd.concat([table[~table.scene.isin(["000", "004"])], added]).to_csv(data / "manifest.csv", index=False)
    with pytest.raises(ConfigError) as refused:
        run(data, copy)
    said = str(refused.value)
    assert "its data changed since: 1 pair added (000), 1 pair removed (004), 1 pair changed (002)" in said
    assert "restore them to go on, or start a new run from its weights with --config " in said
    (copy / "state/pairs.csv").unlink()  # as an earlier version left it
    with pytest.raises(
        ConfigError, match=r"which pairs is not known, as an earlier version .*\(now 4 to train on, 1 to"
    ):
        run(data, copy)


def test_a_run_of_an_earlier_version_gets_its_list_of_pairs(copy, pairs):
    expected = (copy / "state/pairs.csv").read_bytes()
    (copy / "state/pairs.csv").unlink()
    run(pairs, copy)
    assert (copy / "state/pairs.csv").read_bytes() == expected


def test_a_run_keeps_its_parts_though_the_rule_that_chose_them_changes(copy, pairs, monkeypatch):
    def another(*arguments):
        raise DataError("all of one group")

    monkeypatch.setattr("d2c.training.train.hold_out", another)
    assert run(pairs, copy, steps_convergence=4)
    (copy / "state/pairs.csv").unlink()  # an earlier version chose by the groups, or by the names where there are none
    assert run(pairs, copy, steps_convergence=5)
    monkeypatch.undo()
    config = RunFolder(copy).config
    by_group = config.read_text()
    named = [dataclasses.replace(pair, group=pair.name) for pair in find_pairs(pairs) if pair.split == "train"]
    digests = {path: sha256_of(path) for pair in named for path in (pair.lr, pair.hr)}
    other = fingerprint(pair_records(*hold_out(named, 0.2), digests))
    assert other not in by_group
    config.write_text(re.sub(r'(?m)^data = ".*"', f'data = "{other}"', by_group))
    (copy / "state/pairs.csv").unlink()
    assert run(pairs, copy, steps_convergence=6)


def test_an_added_image_smaller_than_a_patch_is_said_as_changed_data(copy, pairs, make_pairs, tmp_path):
    data = shutil.copytree(pairs, tmp_path / "data")
    small = make_pairs(tmp_path / "small", count=9, size=(6, 6))
    for kind in ("hr", "lr"):
        shutil.copy(small / kind / "008.png", data / kind)
    table = pd.read_csv(data / "manifest.csv", dtype=str)
    row = pd.read_csv(small / "manifest.csv", dtype=str).iloc[8:]
    pd.concat([table, row]).to_csv(data / "manifest.csv", index=False)
    with pytest.raises(ConfigError, match=r"its data changed since: 1 pair added \(008\)"):
        run(data, copy)


def test_the_same_pairs_in_another_folder_are_the_same(copy, pairs, tmp_path):
    moved = shutil.copytree(pairs, tmp_path / "elsewhere")
    assert run(moved, copy, steps_convergence=4)


def test_weights_that_a_run_started_from_need_not_be_given_again(finished, pairs, tmp_path):
    weights = shutil.copy(finished / "last.safetensors", tmp_path)
    out = tmp_path / "run"
    run(pairs, out, stage="2", weights=weights)
    longer = run(pairs, out, steps_convergence=5)
    assert same(longer, run(pairs, tmp_path / "whole", stage="2", weights=weights, steps_convergence=5))
    with pytest.raises(
        ConfigError, match=r"its run started from weights that --weights named, now it would from the wei"
    ):
        run(pairs, out, weights=out)
    (out / "state/state.pt").unlink()
    with pytest.raises(ConfigError, match=r"now it would from random ones; give the same --weights, or another --out"):
        run(pairs, out)


def test_weights_of_another_scale_start_all_but_the_tails(finished, make_pairs, tmp_path):
    pairs = make_pairs(tmp_path / "x4", scale=4)
    listen = Listen()
    started = run(pairs, tmp_path / "run", listen, weights=finished, scale=4, steps=1, steps_convergence=1, lr=0.0)
    first = d2c.load(finished).state_dict()
    assert "weights: scale is 2 in the checkpoint and 4 here, so the parameters tails.* start at random" in listen.notes
    for name, value in started.state_dict().items():
        assert name.startswith("tails.") or torch.equal(value, first[name])
    with pytest.raises(
        ConfigError, match=r"tails\.\* would have to be trained anew, which this stage does not do; leave --st"
    ):
        run(pairs, tmp_path / "two", weights=finished, scale=4, stage="2")


def test_processes_that_were_started_with_other_settings_are_told(copy, pairs, monkeypatch):
    def another(self):
        text = RunFolder(copy).config.read_text()
        RunFolder(copy).config.write_text(text.replace("log_every = 50", "log_every = 7"))

    monkeypatch.setattr(World, "barrier", another)
    with pytest.raises(
        ConfigError, match=r"another process of this run has other settings or data \(log-every 7 → 50\)"
    ):
        run(pairs, copy)
