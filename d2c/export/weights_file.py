"""The weights alone, as a checkpoint of d2c: ``d2c.load`` and every reader of safetensors take it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load as from_safetensors

from d2c.checkpoints import native
from d2c.errors import CheckpointError, ConfigError
from d2c.export.file_format import Format, Made
from d2c.export.graph import PRECISIONS, own_output
from d2c.networks import network_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from d2c.export.file_format import Images, Wanted

__all__ = ["SAFETENSORS"]

_NOTE = "exported_from"


def _make(model: nn.Module, wanted: Wanted) -> Made:
    if wanted.everything:
        raise ConfigError("outputs: got all, but safetensors holds weights and no graph; leave --outputs out")
    network, config = network_of(model)
    dtype = PRECISIONS[wanted.precision]
    weights = {name: t.to(dtype) if t.is_floating_point() else t for name, t in model.state_dict().items()}
    data = native.checkpoint_bytes(config, weights, network=network.name, **{_NOTE: wanted.description})
    read: Any = copy.deepcopy(model)
    read.load_state_dict(from_safetensors(data))

    def run(lr: NDArray[np.float32]) -> Images:
        with torch.no_grad():
            return [own_output(read, torch.from_numpy(lr)).numpy()]

    return Made(data, "safetensors", "d2c", run)


def _is_own(path: Path) -> bool:
    try:
        return _NOTE in native.provenance(path)
    except CheckpointError:
        return False


SAFETENSORS = Format(suffix=".safetensors", check=lambda: None, make=_make, is_own=_is_own)
