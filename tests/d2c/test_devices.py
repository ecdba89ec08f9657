"""A training step on device ``meta``: a tensor made on the wrong device would fail, without any GPU."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from d2c import D2CSR, D2CConfig
from d2c.cli import cli
from d2c.d2csr.config import TrainConfig
from d2c.d2csr.entry import NETWORK
from d2c.data.patches import Batch
from d2c.device import pick_device
from d2c.errors import ConfigError
from d2c.inference.plan import make_plan
from d2c.inference.run import upscale_strips
from d2c.losses import triplet_loss
from d2c.training.engine import Engine, set_tf32, world

MODEL = D2CConfig(scale=8, features=6, groups=1, blocks=1, reduction=3, convergence_features=5, convergence_gain=20.0)
TRAIN = TrainConfig(batch=2, patch=8, ema=0.9, margin_siblings=0.2, accumulate=2)


@pytest.mark.parametrize("borders", ["exact", "composed"])
@pytest.mark.parametrize("scale", [1, 3, 8])
@pytest.mark.parametrize(("stage", "joint"), [(1, False), (2, False), (3, False), (1, True)])
def test_a_whole_training_step_stays_on_its_device(stage, joint, scale, borders):
    config = dataclasses.replace(TRAIN, joint=joint, steps_together=1)
    model = D2CSR(dataclasses.replace(MODEL, scale=scale, borders=borders)).to("meta")
    engine = Engine(NETWORK.stages(config)[stage - 1](model, config), config)
    batch = Batch(*(torch.rand(2, 3, 8 * s, 8 * s, device="meta") for s in (1, scale)))
    terms = engine.update(batch, 1e-3, {"alpha": 0.01})
    assert {term.device.type for term in terms.values()} == {"meta"}
    assert {p.grad.device.type for p in engine.parameters} == {"meta"}
    with engine.averaged_weights():
        assert next(model.parameters()).device.type == "meta"


@pytest.mark.parametrize("borders", ["exact", "composed"])
def test_a_whole_image_in_bands_and_strips_stays_on_its_device(borders):
    model = D2CSR(dataclasses.replace(MODEL, borders=borders)).to("meta").eval()
    pixels = np.zeros((40, 30, 3), np.uint8)
    plan = make_plan(NETWORK.upscaler(model.config), (30, 40), torch.device("meta"), "image", keep_all=False)
    plan = dataclasses.replace(plan, band=16, strip=12)
    found = list(upscale_strips(model, pixels, plan))
    assert [strip.first for strip in found] == [0, 96, 192, 288]
    tensors = [t for strip in found for t in (strip.sr, *strip.more.values())]
    assert {t.device.type for t in tensors} == {"meta"}


def test_the_step_would_notice_a_tensor_of_another_device(monkeypatch):
    import d2c.losses

    wrong = d2c.losses.attenuation
    monkeypatch.setattr(
        d2c.losses, "attenuation", lambda *tree_and_theta_and_device: wrong(*tree_and_theta_and_device[:3])
    )
    with pytest.raises(RuntimeError, match="meta"):
        triplet_loss(
            torch.rand(1, 4, 3, 8, 8, device="meta"),
            torch.rand(1, 3, 8, 8, device="meta"),
            tree=(2, 2),
            theta=0.8,
            margin=0.1,
        )


def test_devices_by_name():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with world("cpu") as here:
        assert (here.rank, here.size, here.leads) == (0, 1, True)


@pytest.mark.parametrize("name", ["gpu", "0", "mps", "meta", "", "cpu:1", "cuda:", "cuda:-1", "CUDA"])
def test_names_of_no_device_we_know_are_one_line(name):
    with pytest.raises(ConfigError, match=r"^device: got .* expected auto, cpu, cuda or cuda:N .* change --device$"):
        pick_device(name)


def test_cuda_devices_that_are_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"device: got 'cuda:0', but PyTorch finds no CUDA device on this machine"):
        pick_device("cuda:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cuda:1") == torch.device("cuda:1")
    assert pick_device("auto") == torch.device("cuda")
    with pytest.raises(ConfigError, match=r"'cuda:2', but PyTorch finds 2 CUDA devices, counted from 0"):
        pick_device("cuda:2")


def test_every_command_says_it_in_one_line_before_it_reads_anything(tmp_path):
    nowhere = str(tmp_path / "nowhere")
    for command in (
        ["train", "--data", nowhere, "--out", nowhere, "--preset", "tiny", "--scale", "2"],
        ["train", "--data", nowhere, "--preset", "tiny", "--scale", "2", "--plan"],
        ["eval", nowhere, "--data", nowhere],
        ["upscale", nowhere, "--checkpoint", nowhere, "--out", nowhere],
        ["report", nowhere],
    ):
        done = CliRunner().invoke(cli, [*command, "--device", "gpu"])
        assert (done.exit_code, len(done.output.splitlines())) == (2, 1), done.output
        assert done.output.startswith("d2c: device: got 'gpu'")


def test_tf32_can_be_set_without_a_warning():
    for allowed in (True, False):
        set_tf32(allowed)
