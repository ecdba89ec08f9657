"""Import the weights that the D2C-SR authors released (MegEngine; BGR; colour layers as 1×1 convolutions).

The released network uses BGR and ours RGB. The order of channels is therefore reversed wherever there are colours: in
the head's input, the tails' output, the colour layers at both ends, and each prediction at the convergence net's input.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from d2c.checkpoints.unpickle import read_arrays
from d2c.d2csr.config import D2CConfig
from d2c.d2csr.entry import NETWORK
from d2c.d2csr.network import D2CSR
from d2c.errors import CheckpointError
from d2c.networks.base.plausible import check_plausible
from d2crealsr.store import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[np.float32]]

__all__ = ["read", "released_config", "released_names", "to_model"]

_DEPTH = _WIDTH = 2  # the only tree of the released code
_BLOCK = {"conv1": "0", "conv2": "2", "attention.squeeze": "3.conv_du.0", "attention.excite": "3.conv_du.2"}


def read(source: Path) -> D2CSR:
    """The model of a released checkpoint.

    Raises
    ------
    CheckpointError
        When the file is not a released checkpoint: it has unknown or missing keys or wrong shapes, or it is a pickle
        that names anything but arrays (nothing in it is executed).
    """
    try:
        with files.open_regular(source) as file:
            parts = read_arrays(file, source.name)
    except OSError as error:
        raise CheckpointError(f"{source}: cannot be read ({error.strerror})") from error
    missing = {"state_dict_D", "state_dict_C"} - set(parts)
    if missing:
        raise CheckpointError(f"{source.name}: lacks {', '.join(sorted(missing))}; expected a released checkpoint")
    return to_model(parts["state_dict_D"], parts["state_dict_C"], source.name)


def to_model(divergence: Arrays, convergence: Arrays, name: str = "checkpoint") -> D2CSR:
    """Our model with released weights."""
    config = released_config(divergence, convergence, name)
    arrays = (*divergence.values(), *convergence.values())
    check_plausible(NETWORK, config, [array.size for array in arrays], name)
    model = D2CSR(config)
    left = {**divergence, **convergence}
    weights = {}
    names = dict(released_names(config))
    for key, expected in model.state_dict().items():
        source = names[key]
        if source not in left:
            raise CheckpointError(f"{name}: lacks {source!r}, from which {key} would come")
        value = _rgb_order(key, left.pop(source))
        if value.size != expected.numel():
            raise CheckpointError(f"{name}: {source} has shape {value.shape}, expected {tuple(expected.shape)}")
        weights[key] = torch.from_numpy(value.reshape(tuple(expected.shape)))
    if left:
        raise CheckpointError(f"{name}: has {', '.join(sorted(left)[:3])}, which this structure has no place for")
    model.load_state_dict(weights, strict=True)
    return model


def released_config(divergence: Arrays, convergence: Arrays, name: str = "checkpoint") -> D2CConfig:
    """The structure of the network, derived from names and shapes."""
    try:
        features = divergence["head.0.weight"].shape[0]
        narrow = divergence["body1.0.body.0.body.3.conv_du.0.weight"].shape[0]
        first = divergence["tail11.0.0.weight"].shape[0]
        width = convergence["fusion_final.0.conv.weight"].shape[0]
    except (KeyError, IndexError) as error:
        raise CheckpointError(
            f"{name}: lacks {error}, which every released checkpoint of ×2, ×3, ×4 or ×8 has"
        ) from error
    steps = _count(divergence, r"tail11\.0\.(\d+)\.weight")
    return D2CConfig(
        scale=3 if first == 9 * features else 2**steps,
        depth=_DEPTH,
        width=_WIDTH,
        groups=_count(divergence, r"body1\.(\d+)\.body\.0\.body\.0\.weight"),
        blocks=_count(divergence, r"body1\.0\.body\.(\d+)\.body\.0\.weight"),
        features=features,
        reduction=max(1, features // narrow),
        convergence_features=width,
        convergence_bias="fusion_final.0.conv.bias" in convergence,
        convergence_relu=True,
        convergence_gain=1.0,
    )


def released_names(config: D2CConfig) -> Iterator[tuple[str, str]]:
    """Our name and the released name of every tensor of the model."""
    for ours, theirs in _released_layers(config):
        bias = config.convergence_bias or not ours.startswith("convergence.")
        for kind in ("weight", "bias") if bias else ("weight",):
            yield f"{ours}.{kind}", f"{theirs}.{kind}"
    for ours, theirs in (("colour_in", "sub_mean"), ("colour_out", "add_mean")):
        yield f"{ours}.matrix", f"{theirs}.weight"
        yield f"{ours}.offset", f"{theirs}.bias"


def _released_layers(config: D2CConfig) -> Iterator[tuple[str, str]]:
    yield "head", "head.0"
    for layer in range(config.depth):
        for branch in range(config.width ** (layer + 1)):
            ours, theirs = f"layers.{layer}.{branch}", "body" + _path(branch, layer + 1, config.width)
            for group, block in itertools.product(range(config.groups), range(config.blocks)):
                for part, number in _BLOCK.items():
                    yield f"{ours}.groups.{group}.blocks.{block}.{part}", f"{theirs}.{group}.body.{block}.body.{number}"
            for group in range(config.groups):
                yield f"{ours}.groups.{group}.conv", f"{theirs}.{group}.body.{config.blocks}"
            yield f"{ours}.conv", f"{theirs}.{config.groups}"
    for leaf, step in itertools.product(range(config.predictions), range(config.depth)):
        yield f"residuals.{leaf}.{step}", f"res_conv{leaf * config.depth + step + 1}"
    for leaf in range(config.predictions):
        theirs = "tail" + _path(leaf, config.depth, config.width)
        steps = 1 if config.scale == 3 else config.scale.bit_length() - 1
        for step in range(steps):  # only every second number, as a PixelShuffle follows each
            yield f"tails.{leaf}.expand.{step}", f"{theirs}.0.{2 * step}"
        yield f"tails.{leaf}.conv", f"{theirs}.1"
    for index in range(3):
        yield f"convergence.conv{index + 1}", f"fusion_final.{index}.conv"


def _path(branch: int, layer: int, width: int) -> str:
    """The released name of a branch: the path from the root, with children counted from 1."""
    return "".join(str(branch // width ** (layer - 1 - step) % width + 1) for step in range(layer))


def _rgb_order(key: str, value: NDArray[Any]) -> NDArray[Any]:
    """Convert a weight or bias for BGR to one for RGB."""
    if key.startswith("colour_"):
        value = value.reshape(3, 3)[::-1, ::-1] if key.endswith("matrix") else value.reshape(3)[::-1]
    elif key == "head.weight":
        value = value[:, ::-1]
    elif re.fullmatch(r"tails\.\d+\.conv\.weight", key):
        value = value[::-1]
    elif re.fullmatch(r"tails\.\d+\.conv\.bias", key):
        value = value.reshape(3)[::-1]
    elif key == "convergence.conv1.weight":
        out, _, height, width = value.shape
        value = value.reshape(out, -1, 3, height, width)[:, :, ::-1].reshape(value.shape)
    return np.ascontiguousarray(value)


def _count(arrays: Arrays, pattern: str) -> int:
    return sum(1 for key in arrays if re.fullmatch(pattern, key))
