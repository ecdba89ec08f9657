"""Checkpoints there and back, and files that are refused."""

from __future__ import annotations

import dataclasses
import pickle

import pytest
import torch
from safetensors.torch import save_file

import d2c
from d2c import D2CSR, D2CConfig
from d2c.checkpoints import native
from d2c.errors import CheckpointError

SMALL = D2CConfig(scale=2, features=6, groups=1, blocks=1, reduction=3, convergence_features=5)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scale": 3, "depth": 1, "width": 3},
        {"scale": 1, "deep_residual": False},
        {"convergence_bias": False, "convergence_relu": True, "convergence_gain": 20.0},
    ],
)
def test_save_and_load_gives_the_same_model(tmp_path, changes):
    model = D2CSR(dataclasses.replace(SMALL, **changes))
    model.colour_in.matrix.uniform_()
    native.save(tmp_path / "m.safetensors", model, step=7)
    loaded = d2c.load(tmp_path / "m.safetensors")
    assert loaded.config == model.config
    assert not loaded.training
    weights = loaded.state_dict()
    assert weights.keys() == model.state_dict().keys()
    assert all(torch.equal(weights[name], weight) for name, weight in model.state_dict().items())
    lr = torch.rand(1, 3, 5, 6)
    # What is loaded lies channels last, and rounds otherwise.
    torch.testing.assert_close(loaded(lr), model(lr), rtol=0, atol=2e-6)
    assert native.provenance(tmp_path / "m.safetensors") == {"step": 7}


def test_a_run_folder_means_its_last_checkpoint(tmp_path):
    native.save(tmp_path / "last.safetensors", D2CSR(SMALL))
    assert d2c.load(tmp_path).config == SMALL


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was run",))


def test_files_of_others_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        d2c.load(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError, match="is not a complete safetensors checkpoint"):
        d2c.load(path)
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="was not written by d2c"):
        d2c.load(path)
    native.save(path, D2CSR(SMALL))
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(CheckpointError, match="is not a complete safetensors checkpoint"):
        d2c.load(path)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    weights = D2CSR(SMALL).state_dict()
    native.save_weights(path, dataclasses.replace(SMALL, features=8), weights)
    with pytest.raises(CheckpointError, match="do not fit its configuration"):
        d2c.load(path)
    weights.pop("head.bias")
    native.save_weights(path, SMALL, weights)
    with pytest.raises(
        CheckpointError, match=r"m\.safetensors: .*configuration: it lacks head\.bias; give the file as"
    ):
        d2c.load(path)
    prefixed = {f"module.{name}": weight for name, weight in D2CSR(SMALL).state_dict().items()}
    native.save_weights(path, SMALL, prefixed)
    with pytest.raises(
        CheckpointError, match=r"it lacks .* and \d+ more; it has, unknown .* module\..* more"
    ) as refused:
        d2c.load(path)
    assert str(path) in str(refused.value)
    assert len(str(refused.value)) < 500 + len(str(path))
    torch.save(D2CSR(SMALL).state_dict(), tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"m\.pt: is not a .*; weights of other programs are read by d2c convert"):
        d2c.load(tmp_path / "m.pt")
