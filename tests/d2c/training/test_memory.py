"""The memory of a training step: measured against predicted, refused before it starts, printed by --plan."""

from __future__ import annotations

import re

import pytest
import torch
from click.testing import CliRunner

from d2c import D2CConfig
from d2c.cli import cli
from d2c.d2csr.config import TrainConfig
from d2c.d2csr.entry import NETWORK
from d2c.d2csr.memory import step_memory
from d2c.errors import MemoryNeedError
from d2c.training import memory as memory_train
from d2c.training.memory import check_step_fits, step_memories
from d2c.training.train import Request, train

CPU = torch.device("cpu")


def total(kind="stage 1", model=None, **changes):
    return step_memory(model or D2CConfig(), TrainConfig(**changes), kind, CPU).total


def test_what_costs_memory_costs_it():
    assert 1.6 * total(batch=2) < total(batch=4) < 2 * total(batch=2)
    assert total(batch=4, accumulate=4) == total(batch=1)
    assert total(patch=48) < 0.5 * total(patch=96)
    assert total("stage 2") < 0.5 * total("stage 1")
    assert total("joint") >= total("stage 1")
    assert total(precision="bf16") < 0.8 * total()
    assert total(ema=0.9) > total()
    assert total(model=D2CConfig(borders="composed")) < total()
    assert total(model=D2CConfig(blocks=8)) > 1.4 * total()
    shared = step_memory(D2CConfig(), TrainConfig(), "stage 1", CPU, processes=4)
    assert shared.total == total(batch=1)


def test_kinds_of_a_run():
    def kinds(train, stage):
        return list(step_memories(NETWORK, D2CConfig(), train, stage, CPU))

    assert kinds(TrainConfig(), "both") == ["stage 1", "stage 2"]
    assert kinds(TrainConfig(), "2") == ["stage 2"]
    assert kinds(TrainConfig(joint=True), "1") == ["joint"]


def test_a_step_that_does_not_fit_is_refused_before_anything_is_written(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(memory_train, "available_bytes", lambda device: 10**9)
    out = tmp_path / "run"
    request = Request(data=pairs, out=out, model=D2CConfig(scale=2), train=TrainConfig(batch=4), device="cpu")
    with pytest.raises(
        MemoryNeedError, match=r"4 patches of 96x96 LR px at x2 needs about \d\.\d GB, 1\.0 GB are free"
    ):
        train(request)
    assert not out.exists()
    tiny = NETWORK.preset("tiny")
    check_step_fits(NETWORK, tiny.model, tiny.train, "both", CPU)
    with pytest.raises(MemoryNeedError):
        check_step_fits(NETWORK, tiny.model, tiny.train, "both", CPU, processes=1, neighbours=100)


def test_plan_prints_and_trains_nothing(pairs, tmp_path):
    command = ["train", "--data", str(pairs), "--out", str(tmp_path / "run"), "--device", "cpu", "--plan"]
    said = CliRunner().invoke(cli, command)
    assert said.exit_code == 0, said.output
    assert re.search(r"^stage 1 +\d+\.\d{3} ", said.output, re.MULTILINE)
    assert re.search(r"^stage 2 +\d+\.\d{3} ", said.output, re.MULTILINE)
    assert re.search(r"^free on cpu: .*fits?", said.output, re.MULTILINE)
    assert not (tmp_path / "run").exists()
