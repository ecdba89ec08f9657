"""TensorBoard's files hold what log.csv holds; without the package the option says so in a line."""

from __future__ import annotations

import csv
import sys

import pytest

from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.errors import ConfigError
from d2c.training.train import Request, train


def request(pairs, out):
    model = D2CConfig(scale=2, features=4, groups=1, blocks=1, reduction=2, convergence_features=4)
    settings = TrainConfig(batch=2, patch=8, steps=4, steps_convergence=2, log_every=2, validation=0.2)
    return Request(data=pairs, out=out, model=model, train=settings, device="cpu", tensorboard=True)


def test_scalars_are_those_of_the_log(pairs, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (extra 'tensorboard')")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(request(pairs, tmp_path / "run"))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["stage"], row["step"]) for row in rows] == [("1", "2"), ("1", "4"), ("2", "2")]
    for stage, name in (("1", "total"), ("1", "triplet"), ("2", "convergence"), ("2", "val_psnr_db_fused")):
        expected = [(int(r["step"]), float(r[name])) for r in rows if r["stage"] == stage and r[name]]
        found = [(event.step, event.value) for event in events.Scalars(f"stage {stage}/{name}")]
        assert [step for step, _ in found] == [step for step, _ in expected]
        assert [value for _, value in found] == pytest.approx([value for _, value in expected], rel=1e-6)


def test_without_the_package_one_line_names_the_extra(pairs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"--tensorboard: not installed; run: pip install '\.\[tensorboard\]'"):
        train(request(pairs, tmp_path / "run"))
