"""Rows whose numbers come late, as from a GPU, are the same rows; nothing is saved before they are there."""

from __future__ import annotations

import pytest
import torch

from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.errors import TrainingError
from d2c.training import loop
from d2c.training.engine import Engine
from d2c.training.readings import Readings
from d2c.training.train import Request, train

MODEL = D2CConfig(scale=2, features=3, groups=1, blocks=1, reduction=3, convergence_features=3)
SETTINGS = {"batch": 2, "patch": 8, "steps": 7, "steps_convergence": 1, "log_every": 1, "validate_every": 4}


class Late:
    """A number that comes after it was asked for ``asked`` times, or waited for."""

    def __init__(self, asked):
        self.left, self.waited = asked, False

    def query(self):
        self.left -= 1
        return self.left < 0

    def synchronize(self):
        self.waited, self.left = True, 0


class LateReadings(Readings):
    def _now(self):
        return Late(2)


def run(pairs, out, **changes):
    settings = TrainConfig(**(SETTINGS | {"save_every": 3, "validation": 0.2} | changes))
    request = {"model": MODEL, "train": settings, "device": "cpu", "stage": "1", "cache": out.parent / "cache"}
    return train(Request(data=pairs, out=out, **request))


def added(readings, *steps):
    for step in steps:
        readings.add({"step": step}, ("total", "spread"), torch.tensor([step / 2, 1.0]))


def test_rows_come_in_their_order_once_their_numbers_are_there():
    readings = LateReadings(torch.device("cpu"))
    added(readings, 1, 2)
    assert [list(readings.arrived()) for _ in range(2)] == [[], []]
    assert list(readings.arrived()) == [{"step": 1, "total": 0.5, "spread": 1.0}]
    added(readings, 3)
    assert [row["step"] for row in readings.arrived(wait=True)] == [2, 3]
    assert list(readings.arrived(wait=True)) == []


def test_on_a_cpu_they_are_there_at_once():
    readings = Readings(torch.device("cpu"))
    added(readings, 1)
    assert [row["step"] for row in readings.arrived()] == [1]


def test_the_host_is_at_most_three_steps_ahead(monkeypatch):
    made = []
    monkeypatch.setattr(Readings, "_now", lambda _: made.append(Late(9)) or made[-1])
    readings = Readings(torch.device("cpu"))
    for _ in range(5):
        readings.launched()
    assert [event.waited for event in made] == [True, True, False, False, False]


def test_a_run_whose_numbers_come_late_has_the_same_log(pairs, tmp_path, monkeypatch):
    run(pairs, tmp_path / "plain")
    monkeypatch.setattr(loop, "Readings", LateReadings)
    run(pairs, tmp_path / "late")
    logs = [(tmp_path / name / "log.csv").read_bytes() for name in ("plain", "late")]
    assert logs[0] == logs[1]
    assert logs[0].count(b"\n") == 1 + 7


def test_a_loss_that_is_not_finite_ends_the_run_before_anything_is_saved(pairs, tmp_path, monkeypatch):
    update, done = Engine.update, []

    def spoiling(engine, *arguments):
        done.append(1)
        terms = update(engine, *arguments)
        return {name: value + (torch.inf if len(done) == 5 else 0) for name, value in terms.items()}

    monkeypatch.setattr(Engine, "update", spoiling)
    monkeypatch.setattr(loop, "Readings", LateReadings)
    with pytest.raises(
        TrainingError, match=r"^stage 1, step 5: the loss is inf;.*last.safetensors keeps stage 1, step 3"
    ):
        run(pairs, tmp_path / "run", validate_every=0)
    assert len(done) == 6
    steps = [line.split(",")[1] for line in (tmp_path / "run" / "log.csv").read_text().splitlines()[1:]]
    assert steps == ["1", "2", "3", "4"]
