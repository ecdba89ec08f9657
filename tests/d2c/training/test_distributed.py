"""Several processes on the CPU (gloo): the same gradients, the same weights, one set of files."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys

import pytest
import torch

import d2c
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.stages import JointStage
from d2c.data.patches import Batch
from d2c.errors import ConfigError
from d2c.networks import find
from d2c.training.engine import Engine
from d2c.training.train import Request, train
from d2crealsr.ui.progress import Reporter

MODEL = D2CConfig(scale=2, features=6, groups=1, blocks=1, reduction=3, convergence_features=5)
TRAIN = TrainConfig(batch=4, patch=8, lr=1e-3, steps=3, joint=True, margin=0.5, validation=0.2, log_every=1)

CHILD = """
import dataclasses
import sys
from pathlib import Path
import torch
import torch.distributed as dist
torch.set_num_threads(1)
sys.path.insert(0, str(Path(sys.argv[1]).parent))
from test_distributed import MODEL, TRAIN, batch, model
from d2c.training.engine import Engine, world
from d2c.errors import D2CError, MemoryNeedError, TrainingError
from d2c.training import loop
from d2c.d2csr.stages import JointStage
from d2c.data.patches import Batch
from d2c.tails.siblings import run_siblings
from d2c.training.train import Request, train

with world("cpu") as here:
    engine = Engine(JointStage(model(), TRAIN), TRAIN, here.size)
    whole = batch()
    share = slice(2 * here.rank, 2 * here.rank + 2)
    engine.update(Batch(whole.lr[share], whole.hr[share]), 1e-3, {"alpha": 0.5})
    if here.leads:
        torch.save([p.grad for p in engine.parameters], sys.argv[3])

    parts = dataclasses.replace(TRAIN, accumulate=2, ema=0.9)
    with run_siblings(side_by_side=True):  # as on CUDA
        engine = Engine(JointStage(model(), parts), parts, here.size, graph=True)
        assert engine.graph is None
        for step in range(3):
            engine.update(Batch(whole.lr[share], whole.hr[share]), 1e-3 / (1 + step), {"alpha": 0.5})
    torch.save([p.detach() for p in engine.parameters], f"{sys.argv[3]}-{here.rank}")

    train(Request(data=Path(sys.argv[2]), out=Path(sys.argv[4]), model=MODEL, train=TRAIN, device="cpu"))

    update = Engine.update
    def spoiled(engine, *arguments):
        terms = update(engine, *arguments)
        if here.rank == 1:  # one process alone
            engine.parameters[0].data.fill_(torch.nan)
        return terms
    Engine.update = spoiled
    settings = dataclasses.replace(TRAIN, log_every=100, save_every=1)
    try:
        out = Path(sys.argv[4] + "-spoiled")
        train(Request(data=Path(sys.argv[2]), out=out, model=MODEL, train=settings, device="cpu"))
    except TrainingError as error:
        Path(sys.argv[4] + f"-said-{here.rank}").write_text(str(error))

    Engine.update = update
    for name, error in {"interrupted": KeyboardInterrupt(), "failed": MemoryNeedError("too large")}.items():
        def ending(*arguments):
            raise error
        loop.evaluate = ending  # only the first process validates
        try:
            out = Path(sys.argv[4] + "-" + name)
            train(Request(data=Path(sys.argv[2]), out=out, model=MODEL, train=TRAIN, device="cpu"))
        except (KeyboardInterrupt, D2CError) as found:
            Path(sys.argv[4] + f"-{name}-{here.rank}").write_text(f"{type(found).__name__}: {found}")
"""


def model():
    torch.manual_seed(0)
    return d2c.D2CSR(MODEL)


def batch():
    generator = torch.Generator().manual_seed(1)
    return Batch(torch.rand(4, 3, 8, 8, generator=generator), torch.rand(4, 3, 16, 16, generator=generator))


@pytest.fixture(scope="module")
def two(pairs, tmp_path_factory):
    """What two processes make of the batch and of a whole run: gradients' file, run folder."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [__file__, pairs, folder / "gradients.pt", folder / "run"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", CHILD, *map(str, arguments)],
            env={
                **os.environ,
                **{"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"},
                **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
            },
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=100)[1].decode() for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], said
    return folder


@pytest.mark.slow
def test_two_processes_give_the_gradients_of_one_with_the_doubled_batch(two):
    engine = Engine(JointStage(model(), TRAIN), TRAIN)
    engine.update(batch(), 1e-3, {"alpha": 0.5})
    found = torch.load(two / "gradients.pt", weights_only=True)
    assert len(found) == len(engine.parameters)
    for gradient, parameter in zip(found, engine.parameters, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_two_processes_that_accumulate_side_by_side_train_to_the_weights_of_one(two):
    config = dataclasses.replace(TRAIN, ema=0.9)
    engine = Engine(JointStage(model(), config), config)
    for step in range(3):
        engine.update(batch(), 1e-3 / (1 + step), {"alpha": 0.5})
    found = [torch.load(two / f"gradients.pt-{rank}", weights_only=True) for rank in (0, 1)]
    for first, second, parameter in zip(*found, engine.parameters, strict=True):
        assert torch.equal(first, second)
        torch.testing.assert_close(first, parameter.detach(), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_two_processes_train_to_the_weights_of_one(two, pairs, tmp_path):
    alone = train(Request(data=pairs, out=tmp_path / "run", model=MODEL, train=TRAIN, device="cpu"))
    for name, value in d2c.load(two / "run").state_dict().items():
        torch.testing.assert_close(value, alone.state_dict()[name], rtol=1e-3, atol=1e-5)
    ours, theirs = ((folder / "run/log.csv").read_text().splitlines() for folder in (tmp_path, two))
    assert len(ours) == len(theirs) == 4
    assert ours[0] == theirs[0]


@pytest.mark.slow
def test_processes_stop_together_where_one_of_them_is_not_finite(two):
    said = [(two / f"run-said-{rank}").read_text() for rank in (0, 1)]
    assert "step 1: what another process has is not finite; lower --lr" in said[0]
    assert "step 1: weights.head.weight is not finite; lower --lr" in said[1]
    assert not (two / "run-spoiled/last.safetensors").exists()


def test_accumulated_parts_give_the_gradients_of_the_whole_batch():
    gradients = []
    for parts in (1, 2, 4):
        engine = Engine(JointStage(model(), TRAIN), dataclasses.replace(TRAIN, accumulate=parts))
        terms = engine.update(batch(), 1e-3, {"alpha": 0.5})
        gradients.append(([p.grad for p in engine.parameters], terms["total"]))
    for found, total in gradients[1:]:
        torch.testing.assert_close(total, gradients[0][1])
        for a, b in zip(found, gradients[0][0], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_batch_that_cannot_be_shared_names_the_options():
    with pytest.raises(ConfigError, match=r"4 patches have no equal parts for 3 processes × 1; change --batch"):
        Engine(JointStage(model(), TRAIN), TRAIN, size=3)


@pytest.mark.slow
def test_processes_end_together_where_the_first_is_interrupted_in_a_validation_or_fails_there(two):
    said = [[(two / f"run-{name}-{rank}").read_text() for rank in (0, 1)] for name in ("interrupted", "failed")]
    assert said[0] == ["KeyboardInterrupt: ", "KeyboardInterrupt: "]
    assert said[1][0].startswith("MemoryNeedError: stage 1, step 3: too large; ")
    assert said[1][1] == "TrainingError: another process of this run ended, for the reason that it gives"


@pytest.mark.parametrize(("accumulate", "batch_norm", "said"), [(2, True, 1), (1, True, 0), (2, False, 0)])
def test_batch_normalisation_in_parts_is_said_to_change_the_results(accumulate, batch_norm, said, pairs, tmp_path):
    class Listen(Reporter):
        def note(self, text):
            heard.append(text)

    heard, preset = [], find("srresnet").preset("tiny")
    model = dataclasses.replace(preset.model, scale=2, batch_norm=batch_norm)
    settings = dataclasses.replace(preset.train, batch=2, patch=8, steps=1, accumulate=accumulate, validation=0.0)
    request = {"data": pairs, "out": tmp_path / "run", "device": "cpu", "network": "srresnet"}
    train(Request(**request, model=model, train=settings), Listen())
    assert sum("batch normalisation" in text and "--accumulate" in text for text in heard) == said
