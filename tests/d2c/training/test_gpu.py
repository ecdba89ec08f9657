"""On a CUDA device: the CPU's results, autocast, resume, memory, two GPUs. Run with ``pytest -m gpu``."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import d2c
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.entry import NETWORK
from d2c.d2csr.stages import JointStage
from d2c.data.patches import Batch
from d2c.inference.plan import make_plan
from d2c.inference.run import upscale_strips
from d2c.training.engine import Engine, set_tf32
from d2c.training.train import Request, train
from d2crealsr.ui.progress import Reporter

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

MODEL = D2CConfig(scale=4, features=16, groups=1, blocks=2, convergence_features=16)
TRAIN = TrainConfig(batch=4, patch=16, lr=1e-3, steps=8, steps_convergence=6, margin=0.5, validation=0.2)


@pytest.fixture(autouse=True)
def _ieee_arithmetic():
    set_tf32(False)


def batch(device, scale=4, patch=16):
    generator = torch.Generator().manual_seed(0)
    sides = (patch, scale * patch)
    return Batch(*(torch.rand(4, 3, side, side, generator=generator).to(device) for side in sides))


def model(config=MODEL):
    torch.manual_seed(0)
    return d2c.D2CSR(config)


def step(device, config=TRAIN):
    engine = Engine(JointStage(model().to(device), config), config)
    terms = engine.update(batch(device), 1e-3, {"alpha": 0.5})
    return {k: v.cpu() for k, v in terms.items()}, [p.grad.cpu() for p in engine.parameters]


@pytest.mark.parametrize("scale", [1, 2, 3, 8])
def test_forward_as_on_the_cpu(scale):
    config = dataclasses.replace(MODEL, scale=scale, convergence_gain=20.0)
    lr = batch("cpu").lr
    with torch.no_grad():
        expected = model(config)(lr)
        found = model(config).cuda()(lr.cuda()).cpu()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_gradients_as_on_the_cpu():
    (terms, gradients), (expected_terms, expected) = step("cuda"), step("cpu")
    for name, value in expected_terms.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-4, atol=1e-6)
    for found, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5 * float(wanted.abs().max()) + 1e-7)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_is_near_and_trains(precision):
    config = dataclasses.replace(TRAIN, precision=precision)
    terms, _ = step("cuda", config)
    expected, _ = step("cpu")
    assert terms["total"].dtype == torch.float32
    assert float(terms["total"]) == pytest.approx(float(expected["total"]), rel=0.05)
    engine = Engine(JointStage(model().cuda(), config), config)
    losses = [float(engine.update(batch("cuda"), 1e-3, {"alpha": 0.01})["total"]) for _ in range(20)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("stage", [1, 2])
def test_resume_goes_on_where_it_was(pairs, tmp_path, stage):
    class Stop(Reporter):
        def step(self, done, info=""):
            if self.what == f"stage {stage}" and done == 4:
                raise KeyboardInterrupt

        def start(self, what, total, done=0):
            self.what = what

    settings = dataclasses.replace(TRAIN, save_every=2, patch=8)
    request = {"data": pairs, "model": dataclasses.replace(MODEL, scale=2), "train": settings, "device": "cuda"}
    whole = train(Request(out=tmp_path / "whole", **request))
    with pytest.raises(KeyboardInterrupt):
        train(Request(out=tmp_path / "broken", **request), Stop())
    resumed = train(Request(out=tmp_path / "broken", **request))
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_peak_memory_is_under_the_prediction():
    net = model(dataclasses.replace(MODEL, scale=8, features=32, convergence_features=32)).cuda().eval()
    pixels = np.zeros((96, 144, 3), np.uint8)
    plan = make_plan(NETWORK.upscaler(net.config), (144, 96), torch.device("cuda"))
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    for _strip in upscale_strips(net, pixels, plan):
        pass
    peak = torch.cuda.max_memory_allocated() - before
    assert 0.2 * plan.memory < peak < 1.5 * plan.memory


@pytest.mark.parametrize("stage", [1, 2])
def test_a_step_of_the_paper_preset_fits(stage):
    config = TrainConfig()
    engine = Engine(NETWORK.stages(config)[stage - 1](d2c.D2CSR().cuda(), config), config)
    terms = engine.update(batch("cuda", scale=8, patch=96), 1e-4, {"alpha": 0.01})
    assert torch.isfinite(terms["total"])


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two GPUs")
def test_two_gpus_train_to_the_weights_of_one(pairs, tmp_path):
    steps = {"steps": 3, "steps-convergence": 2, "patch": 8, "validation": 0.2}
    options = ["--device", "cuda", "--preset", "tiny", *(f"--{name}={value}" for name, value in steps.items())]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for count, name in ((1, "one"), (2, "two")):
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m", "d2c", "train"]
        where = ["--data", str(pairs), "--out", str(tmp_path / name)]
        subprocess.run([sys.executable, *command, *where, *options], env=environment, check=True)
    one, two = (d2c.load(tmp_path / name).state_dict() for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-2, atol=1e-3)
