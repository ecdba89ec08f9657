"""The structure of D2C-SR is read from its tensors; spandrel itself is not installed here."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import d2c
from d2c.checkpoints import native
from d2c.errors import ConfigError
from d2c.spandrel.shapes import NEEDED, config_of, parameters_in, settings_in

SMALL = d2c.D2CConfig(scale=4, groups=1, blocks=1, features=8, reduction=4, convergence_features=6)
CONFIGS = [
    SMALL,
    dataclasses.replace(SMALL, scale=3, depth=1, width=3, groups=2, blocks=2, deep_residual=False),
    dataclasses.replace(SMALL, scale=1, convergence_bias=False, convergence_relu=True),
    dataclasses.replace(SMALL, scale=2, convergence_gain=40.0, borders="composed"),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_the_configuration_is_read_from_a_checkpoint(config, tmp_path):
    native.save(tmp_path / "model.safetensors", d2c.D2CSR(config))
    state = d2c.D2CSR(config).state_dict()
    assert all(name in state for name in NEEDED)
    assert config_of({**state, **settings_in(tmp_path / "model.safetensors")}) == config
    assert parameters_in({**state, **settings_in(tmp_path / "model.safetensors")}).keys() == state.keys()


def test_without_metadata_hidden_settings_are_the_defaults(tmp_path):
    state = d2c.D2CSR(CONFIGS[3]).state_dict()
    assert config_of(state) == dataclasses.replace(CONFIGS[3], convergence_gain=1.0, borders="exact")
    (tmp_path / "other.safetensors").write_bytes(b"no tensors")
    assert settings_in(tmp_path / "other.safetensors") == {}
    state["tails.0.expand.0.weight"] = torch.zeros(5 * 5 * 8, 8, 3, 3)
    with pytest.raises(ValueError, match="enlarges in steps of"):
        config_of(state)


def test_a_missing_spandrel_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "spandrel", None)
    with pytest.raises(ConfigError, match="spandrel: is not installed; run: pip install spandrel"):
        d2c.spandrel.install()
