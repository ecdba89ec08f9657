"""Weights that are no numbers and training states that do not fit: one line, before anything is worked on."""

from __future__ import annotations

import io
import os
import zipfile

import pytest
import torch

from d2c import D2CSR, D2CConfig
from d2c.checkpoints import native
from d2c.d2csr.config import TrainConfig
from d2c.d2csr.entry import NETWORK
from d2c.errors import CheckpointError
from d2c.training.resume import Settings
from d2c.training.runfolder import RunFolder

TINY = D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=4, reduction=2, convergence_features=4)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(float("nan"), torch.float32), (float("inf"), torch.float32), (1e300, torch.float64), (1, torch.float8_e4m3fn)],
)
def test_weights_that_are_no_numbers(value, dtype, tmp_path):
    weights = D2CSR(TINY).state_dict()
    weights["head.weight"] = torch.full_like(weights["head.weight"], value, dtype=torch.float64).to(dtype)
    native.save_weights(tmp_path / "a.safetensors", TINY, weights)
    with pytest.raises(CheckpointError, match=r"a\.safetensors: head\.weight holds numbers that are not finite"):
        native.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "changes",
    [{"stage": []}, {"step": "x"}, {"best": ""}, {"model": 3}, {"unlogged": 0}, {"engine": None}],
    ids=lambda changes: next(iter(changes)),
)
def test_parts_of_a_state_are_what_they_are(changes, tmp_path):
    run = RunFolder(tmp_path)
    good = {"stage": 1, "step": 2, "best": 0.5, "model": {}, "unlogged": {}, "engine": {}}
    run.save_state(good)
    assert run.load_state()["step"] == 2
    run.save_state(good | changes)
    with pytest.raises(CheckpointError, match=r"state\.pt: is damaged; delete it"):
        run.load_state()


def test_a_zip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    run, bomb = RunFolder(tmp_path), io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("state/data.pkl", bytes(2**20))
    run.state.parent.mkdir()
    run.state.write_bytes(bomb.getvalue())
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("was unpacked"))
    with pytest.raises(CheckpointError, match="is damaged"):
        run.load_state()


def test_a_pipe_in_place_of_the_list_of_pairs_is_replaced_and_never_waited_for(tmp_path):
    folder = RunFolder(tmp_path)
    folder.pairs.parent.mkdir()
    os.mkfifo(folder.pairs)
    folder.settle(Settings(NETWORK, D2CConfig(), TrainConfig(), {}, []))
    assert folder.pairs.is_file()
    assert folder.settings().records == []


def test_a_pipe_in_place_of_the_state_is_said_and_never_waited_for(tmp_path):
    folder = RunFolder(tmp_path)
    folder.state.parent.mkdir()
    os.mkfifo(folder.state)
    with pytest.raises(OSError, match="is a pipe"):
        folder.load_state()
