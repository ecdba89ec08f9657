"""The commands of d2c with SRFlow: trained, resumed, measured, and several images drawn of one."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from d2c.checkpoints import native
from d2c.cli import cli
from d2c.errors import ConfigError, TrainingError
from d2c.networks import find
from d2c.srflow.config import SRFlowConfig
from d2c.training.engine import Engine
from d2c.training.train import Request, train
from d2crealsr.store import read_image

CONFIG = SRFlowConfig(scale=4, features=2, growth=1, blocks=1, transitions=0, flow_steps=1, flow_features=2)
SIZE = ["--features", 2, "--growth", 1, "--blocks", 1, "--transitions", 0, "--flow-steps", 1, "--flow-features", 2]


def called(*words):
    return CliRunner().invoke(cli, [*map(str, words)])


def good(*words):
    done = called(*words)
    assert done.exit_code == 0, done.output
    return done.output


def refused(*words):
    done = called(*words)
    assert done.exit_code == 2
    return done.output


@pytest.fixture(scope="module")
def pairs_x4(make_pairs, tmp_path_factory):
    return make_pairs(tmp_path_factory.mktemp("pairs"), scale=4, count=4)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A model that was not trained; its flow is random."""
    network = find("srflow")
    torch.manual_seed(0)
    model = network.make(CONFIG)
    for parameter in model.parameters():
        parameter.data += 0.03 * torch.randn_like(parameter)
    model.started.fill_(True)
    path = tmp_path_factory.mktemp("model") / "flow.safetensors"
    native.save(path, model, stage=2)
    return path


def settings(**changes):
    preset = find("srflow").preset("tiny").train
    return preset.__class__(**{
        "batch": 2, "patch": 4, "steps": 2, "steps_flow": 6, "lr": 1e-3, "ema": 0.9, "validation": 0.0,
        "validate_every": 0, "log_every": 1, "save_every": 1, **changes,
    })  # fmt: skip


def run(pairs, out, stage="all", **changes):
    request = Request(
        data=pairs, out=out, model=CONFIG, train=settings(**changes), network="srflow", device="cpu", stage=stage,
        cache=out.parent / "cache",
    )  # fmt: skip
    return train(request)


@pytest.mark.slow
def test_a_run_that_is_resumed_has_the_weights_of_one_that_was_not(pairs_x4, tmp_path):
    run(pairs_x4, tmp_path / "whole")
    run(pairs_x4, tmp_path / "parts", stage="1")
    run(pairs_x4, tmp_path / "parts", steps_flow=1)
    run(pairs_x4, tmp_path / "other", steps_flow=1)
    files = [tmp_path / name / "last.safetensors" for name in ("parts", "other")]
    assert files[0].read_bytes() == files[1].read_bytes()
    rows = list(csv.DictReader((tmp_path / "whole/log.csv").read_text().splitlines()))
    assert [(row["stage"], row["step"]) for row in rows] == [("1", "1"), ("1", "2")] + [
        ("2", str(k)) for k in range(1, 7)
    ]
    flow = [row for row in rows if row["stage"] == "2"]
    assert all(float(row["total"]) == pytest.approx(3 * float(row["per_dimension"])) for row in flow)
    assert {row["skipped"] for row in flow} == {"0.0"}
    assert [float(row["lr"]) for row in flow] == [5e-4] * 3 + [2.5e-4, 1.25e-4, 3.125e-5]


@pytest.mark.slow
def test_a_run_goes_on_after_it_was_interrupted_in_the_flows_stage(pairs_x4, tmp_path, monkeypatch):
    run(pairs_x4, tmp_path / "whole")
    update, done = Engine.update, []

    def interrupted(engine, *arguments):
        done.append(1)
        if len(done) == 6:
            raise KeyboardInterrupt
        return update(engine, *arguments)

    monkeypatch.setattr(Engine, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(pairs_x4, tmp_path / "run")
    run(pairs_x4, tmp_path / "run")
    weights = [(tmp_path / name / "last.safetensors").read_bytes() for name in ("whole", "run")]
    assert weights[0] == weights[1]
    assert (tmp_path / "whole/log.csv").read_bytes() == (tmp_path / "run/log.csv").read_bytes()


@pytest.mark.slow
def test_a_run_ends_with_one_line_when_too_many_steps_are_left_out(pairs_x4, tmp_path, monkeypatch):
    update = Engine.update

    def spoiled(engine, batch, *arguments):
        lost = getattr(engine.stage.model, "has_started", False)  # from the second step of stage 2 on
        return update(engine, batch._replace(hr=batch.hr * torch.nan) if lost else batch, *arguments)

    monkeypatch.setattr(Engine, "update", spoiled)
    said = r"stage 2, step 12: the gradient was not finite in 11 steps in a row, at most 10 are left out; lower --lr"
    with pytest.raises(TrainingError, match=said):
        run(pairs_x4, tmp_path / "run", steps_flow=30)


CHILD = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, str(Path(sys.argv[1]).parent))
from test_commands import run
model = run(Path(sys.argv[2]), Path(sys.argv[3]), batch=2)
torch.save(model.state_dict(), f"{sys.argv[3]}-{sys.argv[4]}")
"""


@pytest.mark.slow
def test_two_processes_start_the_flow_alike_and_freeze_the_encoder_at_once(pairs_x4, tmp_path):
    run(pairs_x4, tmp_path / "one", batch=2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", CHILD, __file__, str(pairs_x4), str(tmp_path / "two")]
    children = [
        subprocess.Popen([*words, str(rank)], env=os.environ | where | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]
    assert [child.wait(timeout=300) for child in children] == [0, 0]
    both = [torch.load(tmp_path / f"two-{rank}") for rank in range(2)]
    assert all(torch.equal(value, both[1][name]) for name, value in both[0].items())
    one = native.load(tmp_path / "one").state_dict()
    assert both[0]["started"]
    # Adam makes whole steps where a gradient is nothing but rounding, so two numbers may differ by one on any machine.
    pairs = [(value.double(), one[name].double()) for name, value in both[0].items()]
    near = torch.cat([torch.isclose(a, b, atol=2e-4, rtol=1e-3).flatten() for a, b in pairs])
    assert (~near).sum() <= 2
    for a, b in pairs:
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)  # one step


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--temperature", "0.5"], "temperature: edsr makes one image and draws no samples; leave out --temperature"),
        (["--samples", "2"], "samples: edsr makes one image and draws no samples; leave out --samples"),
    ],
)
def test_a_network_that_draws_nothing_refuses_the_options_by_name(words, said, pairs_x4, tmp_path):
    network = find("edsr")
    native.save(tmp_path / "m.safetensors", network.make(network.config(scale=4, features=2, blocks=1)))
    image = pairs_x4 / "lr/000.png"
    assert said in refused(
        "upscale", image, "--checkpoint", tmp_path / "m.safetensors", "--out", tmp_path / "o", *words
    )
    assert said in refused("eval", tmp_path / "m.safetensors", "--data", pairs_x4, *words)


def test_other_options_that_do_not_go_together_are_refused(checkpoint, pairs_x4, tmp_path):
    where = ["upscale", pairs_x4 / "lr/000.png", "--checkpoint", checkpoint, "--out", tmp_path]
    assert "leave one of them out" in refused(*where, "--samples", 2, "--self-ensemble")
    assert "srflow is computed in fp32 only" in refused(*where, "--precision", "bf16")
    assert "srflow is computed in fp32 only" in refused("eval", checkpoint, "--data", pairs_x4, "--precision", "bf16")
    assert "expected fp32" in refused(
        "train", "--data", pairs_x4, "--network", "srflow", "--precision", "fp16", "--out", tmp_path / "r"
    )


@pytest.mark.parametrize("value", ["nan", "-0.1", "inf", "2.1"])
def test_a_temperature_that_is_out_of_range_or_no_number_is_refused(value, checkpoint, pairs_x4, tmp_path):
    words = [checkpoint, "--data", pairs_x4, "--temperature", value]
    assert f"{value} is not in the range 0<=x<=2" in refused("eval", *words)
    words = [pairs_x4 / "lr/000.png", "--checkpoint", checkpoint, "--out", tmp_path / "o", "--temperature", value]
    assert f"{value} is not in the range 0<=x<=2" in refused("upscale", *words)
    assert not (tmp_path / "o").exists()


def test_upscaling_draws_what_is_asked_for(checkpoint, pairs_x4, tmp_path):
    where = ["upscale", pairs_x4 / "lr/000.png", "--checkpoint", checkpoint, "--device", "cpu", "--out"]

    def made(out, *words):
        good(*where, tmp_path / out, *words)
        return {path.name: read_image(path) for path in sorted((tmp_path / out).iterdir())}

    plain, drawn = made("plain"), made("drawn", "--temperature", 0.8)
    assert list(plain) == list(drawn) == ["000_x4.png"]
    assert not np.array_equal(plain["000_x4.png"], drawn["000_x4.png"])
    several = made("several", "--samples", 2, "--temperature", 0.8)
    assert list(several) == ["000_x4.png", "000_x4_sample_1.png", "000_x4_sample_2.png", "000_x4_samples.png"]
    assert np.array_equal(several["000_x4.png"], plain["000_x4.png"])
    assert np.array_equal(several["000_x4_sample_1.png"], drawn["000_x4.png"])
    assert not np.array_equal(several["000_x4_sample_2.png"], several["000_x4_sample_1.png"])
    assert several["000_x4_samples.png"].shape[1] > 4 * plain["000_x4.png"].shape[1]
    assert "results are there already" in good(*where, tmp_path / "several", "--samples", 2, "--temperature", 0.8)
    said = good(*where, tmp_path / "cold", "--samples", 2, "--temperature", 0, "--confidence")
    assert "temperature: at 0 all 2 samples equal the result; give --temperature above 0 for different images" in said
    assert (tmp_path / "cold" / "000_x4_confidence.png").exists()
    one = made("plain", "--samples", 1)  # beside what is there
    assert list(one) == ["000_x4.png", "000_x4_sample_1.png"]
    assert "with these settings" in refused(*where, tmp_path / "drawn", "--temperature", 0.7)


def test_measuring_has_the_image_that_is_not_drawn_and_samples(checkpoint, pairs_x4, tmp_path):
    where = ["eval", checkpoint, "--data", pairs_x4, "--device", "cpu"]
    text = good(*where)
    assert "      sr  sample_0.9" in text
    assert "samples are drawn at temperature 0.9 with fixed seeds; sr is at 0" in text

    def rows(*words):
        table = json.loads(CliRunner().invoke(cli, [*map(str, where), "--json", *map(str, words)]).stdout)
        return {row["method"]: row["psnr_db"] for row in table if row["image"] == "mean"}

    usual, cold = rows(), rows("--temperature", 0, "--samples", 2)
    assert list(usual) == ["bicubic", "sr", "sample_0.9"]
    assert usual["sr"] != usual["sample_0.9"]
    assert usual == rows("--samples", 1)
    assert cold["sample_0_1"] == cold["sample_0_2"] == cold["sr"] == usual["sr"]
    assert list(rows("--self-ensemble")) == ["bicubic", "sr+"]


@pytest.mark.slow
def test_a_report_shows_samples_side_by_side_and_their_spread(pairs_x4, tmp_path):
    run(pairs_x4, tmp_path / "run", steps_flow=2, validation=0.3, validate_every=2)
    page = tmp_path / "page"
    good("report", tmp_path / "run", "--out", page, "--scenes", 1, "--device", "cpu")
    shown = {path.name for path in page.rglob("*.png")}
    assert {f"scene-1-sample-0.9-{k}.png" for k in (1, 2, 3)} | {"scene-1-sr.png", "scene-1-spread.png"} <= shown
    assert "Spread of the samples" in (page / "index.html").read_text()
    good("report", tmp_path / "run", "--out", page, "--scenes", 1, "--device", "cpu")  # again, over the first


def test_the_help_names_the_scales_that_exist():
    assert "HR pixels per LR pixel: 4 or 8." in good("train", "--network", "srflow", "--help")


def test_pairs_of_another_scale_are_refused_by_name(pairs, tmp_path):
    said = refused("train", "--data", pairs, "--network", "srflow", "--out", tmp_path / "r")
    assert "scale: got 2, expected 4 or 8: srflow has no published form at other scales" in said


def test_the_class_says_what_a_network_that_draws_nothing_cannot_do():
    with pytest.raises(ConfigError, match="edsr: draws no samples"):
        find("edsr").sampled(find("srflow").sampling)
