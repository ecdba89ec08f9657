"""Broken and hostile checkpoints, training states and settings of d2c: one of its errors, and nothing is run."""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings

from .mutations import broken_bytes, broken_text, said_in_one_line

if TYPE_CHECKING:
    from pathlib import Path

torch = pytest.importorskip("torch")

from d2c.checkpoints import native  # noqa: E402
from d2c.checkpoints.unpickle import read_arrays  # noqa: E402
from d2c.d2csr.config import D2CConfig, TrainConfig  # noqa: E402
from d2c.d2csr.network import D2CSR  # noqa: E402
from d2c.errors import CheckpointError, ConfigError  # noqa: E402
from d2c.settings import toml  # noqa: E402
from d2c.training.runfolder import RunFolder  # noqa: E402

TINY = D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=4, convergence_features=4)


def _checkpoint(folder: Path) -> bytes:
    native.save(folder / "a.safetensors", D2CSR(TINY), stage=1)
    return (folder / "a.safetensors").read_bytes()


def _state(folder: Path) -> bytes:
    run = RunFolder(folder)
    run.save_state(
        {"stage": 1, "step": 2, "model": {"a": torch.arange(6.0)}, "unlogged": {}, "engine": {}, "best": 0.5}
    )
    return run.state.read_bytes()


def _pickles() -> list[bytes]:
    arrays = {"state_dict_D": {"head.0.weight": np.ones((2, 3), np.float32)}, "state_dict_C": {"a": np.zeros(3)}}
    return [pickle.dumps(arrays, protocol) for protocol in range(6)]


class _File:
    """A good file, made when it is first asked for: no test that is not run makes one."""

    def __init__(self, make: object) -> None:
        self.make, self.content = make, b""

    def of(self, factory: pytest.TempPathFactory) -> bytes:
        if not self.content:
            self.content = self.make(factory.mktemp("good"))  # type: ignore[operator]
        return self.content


CHECKPOINT, STATE = _File(_checkpoint), _File(_state)


def test_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> None:
    good = CHECKPOINT.of(tmp_path_factory)
    path = tmp_path_factory.getbasetemp() / "a.safetensors"

    @settings(settings.get_profile("fuzz"))
    @given(data=broken_bytes([good]))
    def one(data: bytes) -> None:
        path.write_bytes(data)
        try:
            model = native.load(path)
        except CheckpointError as error:
            said_in_one_line(error)
        else:
            assert set(model.state_dict()) == set(D2CSR(TINY).state_dict())

    one()


def test_states(tmp_path_factory: pytest.TempPathFactory) -> None:
    good = STATE.of(tmp_path_factory)
    run = RunFolder(tmp_path_factory.mktemp("run"))
    run.state.parent.mkdir()

    @settings(settings.get_profile("fuzz"))
    @given(data=broken_bytes([good]))
    def one(data: bytes) -> None:
        run.state.write_bytes(data)
        try:
            state = run.load_state()
        except CheckpointError as error:
            said_in_one_line(error)
        else:
            assert state is not None

    one()


@settings(settings.get_profile("fuzz"))
@given(data=broken_bytes(_pickles()))
def test_pickles(data: bytes) -> None:
    try:
        found = read_arrays(io.BytesIO(data), "a.pkl")
    except CheckpointError:
        return
    for part in found.values():
        assert all(array.dtype == np.float32 for array in part.values())


SETTINGS = [
    "[model]\nscale = 4\nfeatures = 16\n[train]\nlr = 1e-4\nbatch = 2\nprecision = \"bf16\"\naugment = true\n",
    "[train]\nmargin_siblings = 0.05\nsteps = 10\n",
]  # fmt: skip


@settings(settings.get_profile("fuzz"))
@given(data=broken_text(SETTINGS))
def test_settings(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "config.toml"
    path.write_bytes(data)
    try:
        tables = toml.read(path)
        toml.from_table(D2CConfig, tables.get("model", {}), D2CConfig(), str(path))
        toml.from_table(TrainConfig, tables.get("train", {}), TrainConfig(), str(path))
    except ConfigError as error:
        said_in_one_line(error)
