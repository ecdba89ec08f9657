"""The engine on a CUDA device: the CPU's results, graphs, autocast, memory. Run with ``pytest -m gpu``.

It needs nothing but pytest, PyTorch and NumPy, so that ``benchmarks.speed.on_cuda`` can run it on a bare machine.
"""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch

import d2c
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.entry import NETWORK
from d2c.d2csr.stages import ConvergenceStage, DivergenceStage, JointStage
from d2c.data.patches import Batch
from d2c.inference.plan import make_plan
from d2c.inference.run import upscale_strips
from d2c.training.engine import Engine, set_tf32

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

MODEL = D2CConfig(scale=4, features=16, groups=1, blocks=2, convergence_features=16)
TRAIN = TrainConfig(batch=4, patch=16, lr=1e-3, steps=8, steps_convergence=6, margin=0.5, validation=0.2)


@pytest.fixture(autouse=True)
def _ieee_arithmetic():
    set_tf32(False)


def batch(device, scale=4, patch=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sides = (patch, scale * patch)
    return Batch(*(torch.rand(4, 3, side, side, generator=generator).to(device) for side in sides))


def model(config=MODEL):
    torch.manual_seed(0)
    return d2c.D2CSR(config)


def step(device, config=TRAIN, dtype=torch.float32):
    engine = Engine(JointStage(model().to(device, dtype), config), config)
    terms = engine.update(Batch(*(part.to(dtype) for part in batch(device))), 1e-3, {"alpha": 0.5})
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
    """In float64, where rounding cannot be taken for a difference."""
    (terms, gradients), (expected_terms, expected) = (step(device, dtype=torch.float64) for device in ("cuda", "cpu"))
    for name, value in expected_terms.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-9, atol=1e-12)
    for found, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-9 * float(wanted.abs().max()) + 1e-14)


@pytest.mark.parametrize("kind", [DivergenceStage, ConvergenceStage, JointStage])
@pytest.mark.parametrize(("precision", "tf32"), [("fp32", False), ("fp32", True), ("bf16", False), ("fp16", False)])
def test_a_graph_trains_as_single_launches_do(precision, tf32, kind):
    """Over 20 steps with a rate that changes, an average, a limit of the gradient and a weight that is zero at times.

    Adam divides gradients by their size, so rounding of small ones moves single weights; the losses must agree closely.
    """
    set_tf32(tf32)
    config = dataclasses.replace(TRAIN, precision=precision, tf32=tf32, ema=0.9, clip_norm=1.0, accumulate=2)
    losses, said, ends = [], [], []
    for graph in (True, False):
        engine = Engine(kind(model().cuda(), config), config, graph=graph, note=said.append)
        for number in range(20):
            weights = {"alpha": 0.0 if number % 7 == 6 else 0.5 / (1 + number)}
            terms = engine.update(batch("cuda", seed=number), 1e-3 / (1 + number), weights)
            losses.append(float(terms["total"]))
        ends.append(torch.cat([p.detach().flatten() for p in [*engine.parameters, *engine.average]]))
        assert bool(engine.graph and engine.graph.captured) == graph
    rtol = 1e-3 if precision == "fp32" and not tf32 else 2e-2
    torch.testing.assert_close(torch.tensor(losses[:20]), torch.tensor(losses[20:]), rtol=rtol, atol=1e-5)
    assert float((ends[0] - ends[1]).norm() / ends[1].norm()) < rtol
    assert said == []


def test_a_graph_goes_on_from_a_state():
    states, ends = [], []
    for graph in (True, False):
        engine = Engine(JointStage(model().cuda(), TRAIN), TRAIN, graph=graph)
        for number in range(8):
            if number == 6:
                engine.restore(copy.deepcopy(engine.state()))
            engine.update(batch("cuda", seed=number), 1e-3, {"alpha": 0.5})
        states.append(engine.state()["optimiser"]["param_groups"])
        ends.append(torch.cat([p.detach().flatten() for p in engine.parameters]))
    assert states[0] == states[1]
    assert float((ends[0] - ends[1]).norm() / ends[1].norm()) < 1e-3


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
