"""Checkpoints made to harm: refused before they cost memory or time, with one line."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import struct
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

torch = pytest.importorskip("torch")

from safetensors.torch import save as to_safetensors  # noqa: E402

from d2c.checkpoints import native  # noqa: E402
from d2c.checkpoints.unpickle import _Encode, read_arrays  # noqa: E402
from d2c.d2csr.config import D2CConfig  # noqa: E402
from d2c.d2csr.network import D2CSR  # noqa: E402
from d2c.errors import CheckpointError  # noqa: E402

TINY = D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=4, convergence_features=4)


def written(path: Path, described: Any) -> Path:
    """Good weights under whatever metadata."""
    weights = {name: tensor.contiguous() for name, tensor in D2CSR(TINY).state_dict().items()}
    path.write_bytes(to_safetensors(weights, metadata={"d2c": json.dumps(described)}))
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"groups": 10**9},
        {"blocks": 10**9},
        {"features": 10**9},
        {"convergence_features": 10**12},
        {"depth": 8, "width": 2},
    ],
)
def test_a_configuration_larger_than_its_weights_is_never_built(tmp_path: Path, changes: dict[str, int]) -> None:
    config = {**dataclasses.asdict(TINY), **changes}
    path = written(tmp_path / "a.safetensors", {"format": native.FORMAT, "config": config, "notes": {}})
    with pytest.raises(CheckpointError, match=r"a\.safetensors: its weights do not fit its configuration: .* has"):
        native.load(path)


@pytest.mark.parametrize(
    "described",
    [[], "text", None, {"format": native.FORMAT}, {"format": native.FORMAT, "config": [], "notes": {}},
     {"format": native.FORMAT, "config": {"scale": {}}, "notes": {}},
     {"format": native.FORMAT, "config": {}, "notes": 3}],
)  # fmt: skip
def test_metadata_that_is_none(tmp_path: Path, described: Any) -> None:
    with pytest.raises(CheckpointError, match=r"^[^\n]*/a\.safetensors: [^\n]*$"):
        native.load(written(tmp_path / "a.safetensors", described))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.99])
def test_truncated(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.safetensors"
    native.save(path, D2CSR(TINY))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(CheckpointError, match="not a complete safetensors checkpoint"):
        native.load(path)


def test_a_memo_that_would_fill_the_memory() -> None:
    bomb = pickle.PROTO + b"\x02" + pickle.EMPTY_DICT + pickle.LONG_BINPUT + struct.pack("<I", 2**31 - 1) + pickle.STOP
    with pytest.raises(CheckpointError, match=r"a\.pkl: asks for more memory"):
        read_arrays(io.BytesIO(bomb), "a.pkl")


def test_nothing_that_a_pickle_may_name_can_be_changed_by_it() -> None:
    """BUILD sets attributes of what is on the stack; the stand-in for codecs.encode has none."""
    state = pickle.MARK + pickle.SHORT_BINUNICODE + b"\x01x" + pickle.NONE + pickle.DICT
    poison = b"c_codecs\nencode\n" + state + pickle.BUILD + pickle.STOP
    with pytest.raises(CheckpointError):
        read_arrays(io.BytesIO(poison), "a.pkl")
    assert not hasattr(_Encode(), "x")
    assert not hasattr(_Encode(), "__dict__")
