"""The step that CUDA runs as one graph: here without the capture, against the step of a CPU; and what it refuses."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import sys
import weakref

import pytest
import torch

import d2c
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.stages import ConvergenceStage, DivergenceStage, JointStage
from d2c.data.patches import Batch
from d2c.tails.siblings import run_siblings
from d2c.training.engine import Engine
from d2c.training.graph import CaptureGuard, CaptureRefusedError, StepGraph

MODEL = D2CConfig(scale=2, features=4, groups=1, blocks=1, reduction=2, convergence_features=4)
TRAIN = TrainConfig(batch=2, patch=6, accumulate=2, clip_norm=1.0, ema=0.9, margin=0.5)


def batch(seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return Batch(*(torch.rand(2, 3, side, side, generator=generator).to(dtype) for side in (6, 12)))


def engine(kind=JointStage, config=TRAIN, *, graph, said=None):
    torch.manual_seed(0)
    model = d2c.D2CSR(MODEL)
    return Engine(kind(model, config), config, graph=graph, note=[].append if said is None else said.append)


def trained(made, steps, first=0):
    """Terms of the steps, with a rate and a weight that change and a weight that is zero in between."""
    totals = []
    for step in range(first, first + steps):
        alpha = 0.0 if step % 4 == 2 else 0.5 / (1 + step)
        terms = made.update(batch(step), 1e-3 / (1 + step), {"alpha": alpha})
        totals.append([float(value) for value in terms.values()])
    return torch.tensor(totals)


def weights(made):
    return torch.cat([p.detach().flatten() for p in [*made.parameters, *made.average]])


@pytest.mark.parametrize(
    ("kind", "precision"), [(DivergenceStage, "fp32"), (ConvergenceStage, "bf16"), (JointStage, "fp16")]
)
def test_inputs_in_their_places_train_to_the_same_weights(kind, precision):
    config = dataclasses.replace(TRAIN, precision=precision)
    said = []
    with run_siblings(side_by_side=True):
        placed, plain = engine(kind, config, graph=True, said=said), engine(kind, config, graph=False)
        torch.testing.assert_close(trained(placed, 4), trained(plain, 4), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(weights(placed), weights(plain), rtol=1e-4, atol=1e-6)
    assert said == []


def test_a_state_is_the_same_with_and_without_a_graph():
    with run_siblings(side_by_side=True):
        placed, plain = engine(graph=True), engine(graph=False)
        trained(placed, 2), trained(plain, 2)
        states = copy.deepcopy((placed.state(), plain.state()))
        assert states[0]["optimiser"]["param_groups"] == states[1]["optimiser"]["param_groups"]
        assert states[0]["optimiser"]["param_groups"][0]["lr"] == 1e-3 / 2
        for start, state in ((placed, states[1]), (plain, states[0])):  # each goes on from the other's
            start.restore(state)
            trained(start, 2, first=2)
    torch.testing.assert_close(weights(placed), weights(plain), rtol=1e-4, atol=1e-6)


class ReadingStage(DivergenceStage):
    """A stage that waits for a number on the device."""

    def forward(self, lr, hr, **weights):
        terms = super().forward(lr, hr, **weights)
        return {**terms, "total": terms["total"] * (1.0 if float(terms["total"]) > 0 else 2.0)}


def test_a_step_that_waits_for_the_device_is_launched_one_by_one_and_says_so_once():
    said = []
    with run_siblings(side_by_side=True):
        refused, plain = engine(ReadingStage, graph=True, said=said), engine(graph=False, kind=DivergenceStage)
        torch.testing.assert_close(trained(refused, 3), trained(plain, 3), rtol=1e-5, atol=1e-6)
    assert len(said) == 1
    assert "_local_scalar_dense needs the values of a tensor" in said[0]
    assert "as with --no-cuda-graph" in said[0]


def test_a_step_in_fp16_is_repeated_whole_if_it_is_refused_after_its_gradients_were_divided(monkeypatch):
    clip, said = torch.nn.utils.clip_grad_norm_, []

    def reading(*arguments):
        assert float(clip(*arguments)) >= 0

    config = dataclasses.replace(TRAIN, precision="fp16")
    refused, plain = engine(config=config, graph=True, said=said), engine(config=config, graph=False)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", reading)
    with run_siblings(side_by_side=True):
        torch.testing.assert_close(trained(refused, 3), trained(plain, 3), rtol=1e-5, atol=1e-6)
    assert refused.scaler.state_dict() == plain.scaler.state_dict()
    assert len(said) == 1


def test_a_step_whose_capture_fails_is_launched_one_by_one_and_says_so_once(monkeypatch):
    said, seen = [], []

    def step(batch, weights):
        assert sys.exc_info()[1] is None, "its traceback would keep the tensors of the failed capture"
        seen.append((batch.lr.clone(), dict(weights)))
        return {}

    def fail(*_):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")

    graph = StepGraph(step, torch.device("cpu"), said.append)
    monkeypatch.setattr(graph, "_aside", lambda run: run())
    monkeypatch.setattr(graph, "_capture", fail)
    for number in range(6):
        # As on a card: the first steps warm up, the fourth is to be captured.
        graph.device = torch.device("cpu") if graph.refused or not number else _Card()
        graph.run(Batch(torch.full((1,), float(number)), torch.zeros(1)), {"l1": 0.5})
    assert [float(lr) for lr, _ in seen] == [0, 1, 2, 3, 4, 5]
    assert seen[3][1] == seen[5][1] == {"l1": 0.5}
    assert len(said) == 1
    assert "stream is capturing)" in said[0]


def test_a_capture_lets_other_threads_allocate_and_leaves_the_stream_as_it_was(monkeypatch):
    streams = ["current"]

    @contextlib.contextmanager
    def on(stream):
        before = streams[0]
        streams[0] = stream
        try:
            yield
        finally:
            streams[0] = before

    @contextlib.contextmanager
    def captured(_graph, *, pool, capture_error_mode):
        assert (pool, capture_error_mode) == (None, "thread_local")
        streams[0] = "the capture's"  # where PyTorch remains if the capture cannot be ended
        yield

    fakes = {"CUDAGraph": object, "current_stream": lambda _: streams[0], "stream": on, "graph": captured}
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    graph = StepGraph(lambda batch, weights: {"total": streams[0]}, torch.device("cpu"), [].append)
    assert graph._capture({})[1] == {"total": "the capture's"}
    assert streams == ["current"]


def test_a_closed_engine_leaves_neither_a_graph_nor_gradients():
    made = engine(graph=True)
    trained(made, 1)
    graph = weakref.ref(made.graph)
    assert any(p.grad is not None for p in made.parameters)
    made.close()
    assert graph() is None
    assert all(p.grad is None for p in made.parameters)


def test_a_state_from_a_device_with_another_memory_order_goes_on_as_it_was():
    kept, other = engine(graph=False), engine(graph=False)
    trained(kept, 2), trained(other, 2)
    state = copy.deepcopy(kept.state())
    for moments in state["optimiser"]["state"].values():
        for name, value in moments.items():
            if value.ndim == 4:
                order = torch.contiguous_format if _is_channels_last(value) else torch.channels_last
                moments[name] = value.contiguous(memory_format=order)
    other.restore(state)
    trained(kept, 1, first=2), trained(other, 1, first=2)
    assert torch.equal(weights(kept), weights(other))


def _is_channels_last(value):
    return value.is_contiguous(memory_format=torch.channels_last) and not value.is_contiguous()


class _Card:
    """A device that calls itself CUDA."""

    type = "cuda"


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda x: x.sum().item(), "needs the values"),
        (lambda x: 1 if x.sum() > 0 else 2, "needs the values"),
        (torch.nonzero, "needs the values"),
        (lambda x: x[x > 0], "needs the values"),
        (lambda x: x + torch.tensor([1.0]), "made of numbers of the host"),
    ],
)
def test_what_a_graph_cannot_hold_is_refused(action, message):
    x = torch.ones(3)
    with CaptureGuard(), pytest.raises(CaptureRefusedError, match=message):
        action(x)


def test_a_copy_between_host_and_device_is_refused():
    on_device = torch.ones(3, device="meta")
    with CaptureGuard(), pytest.raises(CaptureRefusedError, match="copy_ copies between the host and the device"):
        on_device.copy_(torch.ones(3))


@pytest.mark.parametrize(("precision", "permitted"), [("bf16", [True, True]), ("fp16", []), ("fp32", [])])
def test_a_step_in_bf16_permits_tf32_in_what_remains_in_fp32(precision, permitted, monkeypatch):
    asked = []

    def permitting(allowed, device):
        asked.append(allowed)
        return contextlib.nullcontext()

    monkeypatch.setattr("d2c.training.engine.permitting_tf32", permitting)
    made = engine(config=dataclasses.replace(TRAIN, precision=precision), graph=False)
    trained(made, 2)
    assert asked == permitted


def test_other_terms_warm_up_without_the_graph_of_the_first_ones(monkeypatch):
    beside, launched = [], []

    class Captured:
        def replay(self):
            launched.append("graph")

        def pool(self):
            return None

    graph = StepGraph(lambda batch, weights: {}, torch.device("cpu"), [].append)
    monkeypatch.setattr(graph, "device", _Card())
    monkeypatch.setattr(graph, "_take", lambda batch, weights: graph.weights.update(weights))
    monkeypatch.setattr(graph, "_aside", lambda step: beside.append(len(graph.captured)) or step())
    monkeypatch.setattr(graph, "_capture", lambda inputs: (Captured(), {}))
    for alpha in (0.0,) * 5 + (0.1,) * 5 + (0.0,) * 2:
        graph.run((), {"l1": 1.0, "alpha": alpha})
    assert beside == [0] * 6
    assert (len(launched), len(graph.captured)) == (6, 2)


def test_beside_a_graph_the_loss_is_computed_for_one_patch_at_a_time():
    placed, plain = engine(graph=True), engine(graph=False)
    seen = []
    placed.stage.register_forward_pre_hook(lambda stage, patches: seen.append(len(patches[0])))
    plain.stage.register_forward_pre_hook(lambda stage, patches: seen.append(len(patches[0])))
    four = Batch(*(torch.cat([batch(seed)[part] for seed in (0, 1)]) for part in (0, 1)))
    assert placed.loss(four, {"alpha": 0.5}) == pytest.approx(plain.loss(four, {"alpha": 0.5}), rel=1e-5)
    assert seen == [1] * 4 + [2] * 2
