"""What is saved, said and freed where a run ends early: signals, too little memory, several processes."""

from __future__ import annotations

import gc
import itertools
import signal
import weakref

import pytest
import torch

from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.errors import MemoryNeedError, MemoryRanOutError, TrainingError
from d2c.training import agreeing
from d2c.training.agreeing import Agreement
from d2c.training.engine import Engine, World
from d2c.training.runfolder import RunFolder
from d2c.training.train import Request, train
from d2crealsr.ui.interrupts import Interrupts

pytestmark = pytest.mark.usefixtures("memory_is_not_counted")

MODEL = D2CConfig(scale=2, features=3, groups=1, blocks=1, reduction=3, convergence_features=3)
TRAIN = TrainConfig(batch=2, patch=8, lr=1e-3, steps=6, validate_every=3, validation=0.2, log_every=1, ema=0.5)
WRITTEN = ("last.safetensors", "best.safetensors", "log.csv")


def run(pairs, out):
    """A run of stage 1 that signals interrupt."""
    places = {"data": pairs, "out": out, "cache": out.parent / "cache", "device": "cpu", "threads": 1}
    with Interrupts() as interrupts:
        return train(Request(**places, model=MODEL, train=TRAIN, stage="1"), interrupts=interrupts)


@pytest.fixture(scope="module")
def whole(pairs, tmp_path_factory, memory_is_not_counted):
    """What an uninterrupted run has written."""
    out = tmp_path_factory.mktemp("whole") / "run"
    run(pairs, out)
    return {name: (out / name).read_bytes() for name in WRITTEN}


def check_goes_on(whole, pairs, out):
    """Check that the run ends with what an uninterrupted one writes."""
    run(pairs, out)
    assert {name: (out / name).read_bytes() for name in WRITTEN} == whole


def test_best_weights_that_were_not_written_are_written_when_the_run_goes_on(whole, pairs, tmp_path, monkeypatch):
    from d2c.checkpoints import native

    save = native.save

    def interrupted(path, *arguments, **what):
        if path.name == "best.safetensors" and what["step"] == 6:
            raise KeyboardInterrupt  # as a second Ctrl-C does
        save(path, *arguments, **what)

    with monkeypatch.context() as patch:
        patch.setattr(native, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(pairs, tmp_path / "run")
    check_goes_on(whole, pairs, tmp_path / "run")


def test_a_signal_while_the_average_takes_the_place_of_the_weights_loses_none(whole, pairs, tmp_path, monkeypatch):
    put, times = Engine._put, itertools.count()

    def interrupted(engine, values):
        put(engine, values)
        if not next(times):
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(pairs, tmp_path / "run")
    check_goes_on(whole, pairs, tmp_path / "run")


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [
        (MemoryNeedError("lr/1.png: needs 9 GB, cpu has 1 GB"), MemoryNeedError, "lr/1.png: needs 9 GB"),
        (MemoryError(), MemoryRanOutError, "memory ran out on cpu in the validation"),
    ],
)
def test_a_validation_without_memory_saves_the_steps_before_it(
    error, raised, said, whole, pairs, tmp_path, monkeypatch
):
    def lacking(*arguments):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("d2c.training.loop.evaluate", lacking)
        with pytest.raises(
            raised, match=f"stage 1, step 3: {said}.* keeps this step: .* with --validate-on .*0: --conf"
        ):
            run(pairs, tmp_path / "run")
    state = RunFolder(tmp_path / "run").load_state()
    assert (state["step"], state["unlogged"]["step"]) == (3, 3)
    check_goes_on(whole, pairs, tmp_path / "run")


def test_a_validation_that_cannot_fit_is_refused_before_the_first_step(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("d2c.inference.plan.available_bytes", lambda device: 200_000)
    with pytest.raises(MemoryNeedError, match=r"beside the training: .*; use --validate-on .* or --validation 0$"):
        run(pairs, tmp_path / "run")
    assert not (tmp_path / "run/log.csv").exists()


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (None, TrainingError),
        (torch.OutOfMemoryError("CUDA out of memory"), MemoryRanOutError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["not finite", "memory", "Ctrl-C"],
)
def test_a_stage_that_ends_early_leaves_neither_graph_nor_gradients(error, raised, pairs, tmp_path, monkeypatch):
    begin, update, kept = Engine.__init__, Engine.update, []

    def with_graph(engine, *arguments, graph, **more):
        begin(engine, *arguments, graph=True, **more)  # as on CUDA
        kept.extend((weakref.ref(engine.graph), engine.parameters))

    def failing(engine, *arguments):
        terms = update(engine, *arguments)
        if error is not None:
            raise error
        return {name: value * torch.nan for name, value in terms.items()}

    monkeypatch.setattr(Engine, "__init__", with_graph)
    monkeypatch.setattr(Engine, "update", failing)
    gc.disable()  # Python looks for cycles at any time
    try:
        with pytest.raises(raised):
            run(pairs, tmp_path / "run")
        graph, parameters = kept
        assert all(parameter.grad is None for parameter in parameters)
        if error is not None:
            error.__traceback__ = None
        assert graph() is None
    finally:
        gc.enable()


class Two:
    """Two processes, of which the other one reports what it is told to."""

    size = 2

    def __init__(self, *theirs):
        self.theirs, self.times = theirs, 0

    def largest(self, *ours):
        self.times += 1
        return [max(pair) for pair in zip(ours, self.theirs, strict=True)]


@pytest.mark.parametrize(
    ("ours", "theirs", "agreed"),
    [
        (0.01, 0.01, [1, 11, 21, 31, 40]),
        (1.0, 1.0, [1, 6, 11, 16, 21, 26, 31, 36, 40]),
        (0.01, 2.5, [*range(1, 40, 2), 40]),
        (8.0, 0.01, [*range(1, 41)]),
    ],
    ids=["fast", "a second", "the other one is slow", "slow"],
)
def test_processes_agree_every_ten_steps_or_every_five_seconds(ours, theirs, agreed, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(agreeing.time, "monotonic", lambda: clock[0])
    here = Two(True, False, theirs)
    agreement, found = Agreement(here, 0), []
    for done in range(1, 41):
        clock[0] += ours
        flags = agreement.on((False, False), done, last=done == 40)
        assert flags in ((False, False), (True, False))
        if flags[0]:
            found.append(done)
    assert found == agreed
    assert here.times == len(agreed)


def test_one_process_decides_at_every_step():
    agreement = Agreement(World(rank=0, size=1, device=torch.device("cpu")), 0)
    assert [agreement.on((True, False), done, last=False) for done in (1, 2)] == [(True, False)] * 2
