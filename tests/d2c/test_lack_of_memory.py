"""Memory that runs out during the work is one line that says what to change, and what was made before stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from d2c import D2CSR, D2CConfig
from d2c.checkpoints import native
from d2c.cli import cli
from d2c.d2csr.upscaler import BandUpscaler
from d2c.device import naming_lack_of_memory
from d2c.errors import MemoryRanOutError
from d2c.training.engine import Engine
from d2crealsr.store.images import write_image

TINY = D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=4, reduction=2, convergence_features=4)
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def command(*words):
    return CliRunner().invoke(cli, [*map(str, words), "--device", "cpu"])


def failing_at(monkeypatch, owner, name, number):
    """The method raises the error of a full card when it is called for the so-many-th time."""
    whole, calls = getattr(owner, name), []

    def method(*args, **kwargs):
        calls.append(1)
        if len(calls) == number:
            raise FULL
        return whole(*args, **kwargs)

    monkeypatch.setattr(owner, name, method)


@pytest.fixture
def checkpoint(tmp_path):
    native.save(tmp_path / "m.safetensors", D2CSR(TINY).eval())
    return tmp_path / "m.safetensors"


def test_training_keeps_its_checkpoint_and_goes_on(pairs, tmp_path, monkeypatch):
    quick = [
        "--preset",
        "tiny",
        "--patch",
        8,
        "--batch",
        2,
        "--features",
        4,
        "--steps",
        6,
        "--save-every",
        2,
        "--joint",
    ]
    words = ["train", "--data", pairs, "--out", tmp_path / "run", *quick]
    with monkeypatch.context() as patch:
        failing_at(patch, Engine, "update", 1)
        done = command(*words)
    assert (done.exit_code, done.stderr.splitlines()[-1].count("\n")) == (1, 0)
    assert "d2c: stage 1, step 1: memory ran out on cpu; nothing had been saved before: run it again with a lower" in (
        done.stderr
    )
    with monkeypatch.context() as patch:
        failing_at(patch, Engine, "update", 4)
        last = command(*words).stderr.splitlines()[-1]
    assert last.startswith("d2c: stage 1, step 4: memory ran out on cpu; ")
    assert "last.safetensors keeps stage 1, step 2: close other programs there and give the same command again" in last
    assert "with a lower --batch or --patch, or a higher --accumulate: --config" in last
    done = command(*words)
    assert done.exit_code == 0, done.stderr


def test_upscaling_names_the_file_and_makes_the_others(checkpoint, tmp_path, monkeypatch):
    for name in "abc":
        write_image(tmp_path / f"photos/{name}.png", np.full((6, 8, 3), 99, np.uint8))
    words = ["upscale", tmp_path / "photos", "--checkpoint", checkpoint, "--out", tmp_path / "out"]
    with monkeypatch.context() as patch:
        failing_at(patch, BandUpscaler, "strips", 2)
        done = command(*words)
    assert done.exit_code == 1
    said = [line for line in done.stderr.splitlines() if "memory ran out" in line]
    assert len(said) == 1
    assert "b.png: memory ran out on cpu, although " in said[0]
    assert "give --max-memory " in said[0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_x2.png", "c_x2.png"]
    assert command(*words).exit_code == 0
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_measuring_names_the_pair_and_keeps_the_others(checkpoint, pairs, tmp_path, monkeypatch):
    table = tmp_path / "t.csv"
    failing_at(monkeypatch, BandUpscaler, "strips", 3)
    done = command("eval", checkpoint, "--data", pairs, "--split", "all", "--csv", table)
    assert done.exit_code == 1
    assert "left out: 002: memory ran out on cpu; close other programs" in done.stderr
    assert {line.split(",")[0] for line in table.read_text().splitlines()} >= {"000", "001", "003"}


def test_other_errors_pass_and_what_failed_holds_no_memory():
    with pytest.raises(KeyError), naming_lack_of_memory(lambda: "never"):
        raise KeyError("x")
    held = []

    def work():
        tensor = torch.zeros(3)
        held.append(tensor.untyped_storage()._weak_ref())
        raise FULL

    with pytest.raises(MemoryRanOutError, match=r"^what to do$") as found, naming_lack_of_memory(lambda: "what to do"):
        work()
    assert found.value.__cause__ is FULL
    assert torch.UntypedStorage._expired(held[0])
