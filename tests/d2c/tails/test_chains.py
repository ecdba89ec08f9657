"""Chains of operations run as they are written, or compiled, or as written where there is no compiler."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import d2c
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.stages import JointStage
from d2c.data.patches import Batch
from d2c.tails.chains import Compiler, chain
from d2c.tails.siblings import run_siblings
from d2c.training.engine import Engine

MODEL = D2CConfig(scale=2, features=4, groups=1, blocks=2, reduction=2, convergence_features=4)
TRAIN = TrainConfig(batch=2, patch=6, margin=0.5)


@chain
def doubled(x, *, times=2):
    return times * x


@pytest.fixture
def compiled(monkeypatch):
    """The functions that were compiled, by a compiler that changes nothing."""
    found = []

    def compile_(function, **options):
        assert options == {"dynamic": False, "backend": "inductor"}
        found.append(function.__name__)
        return function

    monkeypatch.setattr(torch, "compile", compile_)
    return found


def test_a_chain_is_compiled_once_and_only_where_a_compiler_is_used(compiled):
    compiler = Compiler(pytest.fail)
    assert doubled(1) == 2
    assert compiled == []
    with compiler.used():
        assert [doubled(1), doubled(2, times=3)] == [2, 6]
    assert doubled(3) == 6
    assert compiled == ["doubled"]


def test_without_a_compiler_chains_run_as_they_are_written_and_say_so_once(monkeypatch):
    def missing(function, **options):
        raise RuntimeError("Cannot find a working triton installation.\nmore")

    monkeypatch.setattr(torch, "compile", missing)
    said = []
    with Compiler(said.append).used():
        assert [doubled(1), doubled(2)] == [2, 4]
    assert said == ["chains of operations are not compiled (RuntimeError: Cannot find a working triton installation.)"]


def test_an_error_of_the_chain_itself_is_not_hidden(compiled):
    with Compiler().used(), pytest.raises(TypeError, match="unsupported operand"):
        doubled(None)


def losses(compiler, **changes):
    config = dataclasses.replace(TRAIN, **changes)
    torch.manual_seed(0)
    engine = Engine(JointStage(d2c.D2CSR(MODEL), config), config, graph=True, compiler=compiler)
    batch = Batch(torch.rand(2, 3, 6, 6), torch.rand(2, 3, 12, 12))
    with run_siblings(side_by_side=True):
        return [float(engine.update(batch, 1e-3, {"alpha": 0.5})["total"]) for _ in range(3)]


def test_a_step_compiles_its_blocks_and_losses_each_once(compiled):
    assert losses(Compiler(pytest.fail)) == losses(None)
    assert sorted(compiled) == ["_block", "_reconstruction", "spread", "triplet_loss"]


@pytest.mark.slow
def test_a_compiled_step_trains_as_the_one_that_is_written():
    found = losses(Compiler(pytest.fail, backend="aot_eager"), precision="bf16")
    assert found == pytest.approx(losses(None, precision="bf16"), rel=1e-3)
