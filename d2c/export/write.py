"""Export a model to a file for other programs, and compare what the file gives with the network's own output."""

from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from d2c.checkpoints import native
from d2c.checkpoints.builtin import is_builtin
from d2c.errors import ConfigError, D2CError
from d2c.export import FORMATS
from d2c.export.file_format import Wanted
from d2c.export.graph import graph_of, own_output
from d2c.networks import network_of
from d2crealsr.store import files, outputs

if TYPE_CHECKING:
    from os import PathLike

    from torch import nn

    from d2c.export.file_format import Format, Made

__all__ = ["Written", "export"]

_SIZES = ((1, 18, 23), (1, 32, 32), (2, 41, 30))
"""Batch, height and width of the images with which a file is compared."""
_TOLERANCE = {"fp32": 1e-4, "fp16": 0.1}
"""Largest difference from the network, of white, with which a file is written. fp16 has ten bits after the point."""


class Written(NamedTuple):
    """An exported file."""

    path: Path
    said: str
    """What it is, such as ``"ONNX, opset 18"``."""
    bytes: int
    by: str
    """The program that the file was run with."""
    differences: dict[tuple[int, int], float]
    """Largest difference of its outputs from those of the network in fp32, where white is 1, by (height, width)."""


def export(
    checkpoint: str | PathLike[str],
    format: str,
    out: Path | None = None,
    *,
    everything: bool = False,
    precision: str = "fp32",
    network: str | None = None,
) -> Written:
    """Write a model to a file, if the file gives the network's own output.

    Parameters
    ----------
    checkpoint : path
        A file, the folder of a run (its last checkpoint), or the name of a built-in checkpoint.
    format : str
        A key of :data:`d2c.export.FORMATS`.
    out : Path, optional
        By default a file in the folder ``export``, named by network and scale. The folder is beside the checkpoint; for
        a built-in one it is in the current folder.
    everything : bool
        Whether a graph also returns the other outputs of the network; for D2C-SR predictions and weights.
    precision : {"fp32", "fp16"}
        Number format of the weights and of the arithmetic. A graph takes and returns float32 in both cases.
    network : str, optional
        As for :func:`d2c.load`.

    Raises
    ------
    CheckpointError, ConfigError
        When the checkpoint cannot be read, a package is missing, or the network cannot be exported in this format.
    UsageError
        When the file is there and no export wrote it.
    D2CError
        When the results of the file differ from those of the network. Nothing is written then.
    """
    chosen = _format(format)
    chosen.check()
    source = native.checkpoint_path(checkpoint)
    model = native.load(source, network=network).to(memory_format=torch.contiguous_format)
    of, config = network_of(model)
    beside = Path() if is_builtin(checkpoint) else source.parent
    path = out or beside / "export" / _name(of.name, config.scale, precision, chosen.suffix)
    outputs.check_output(path, "an exported model", chosen.is_own, [source])
    others = {_format(name).suffix: name for name in FORMATS if name != format}
    if path.suffix.lower() in others and path.suffix.lower() != chosen.suffix:
        raise ConfigError(
            f"{path}: has the suffix of the format {others[path.suffix.lower()]}, and {format} is to be written, whose "
            f"suffix is {chosen.suffix}; change --out or --format"
        )
    described = {
        "network": of.name,
        "config": dataclasses.asdict(config),
        "precision": precision,
        **({"checkpoint": str(checkpoint)} if is_builtin(checkpoint) else {}),
        "checkpoint_sha256": native.digest(source),
    }
    made = chosen.make(model, Wanted(everything, precision, json.dumps(described)))
    differences = _compared(made, model, everything=everything)
    worst = max(differences.values())
    if not worst <= _TOLERANCE[precision]:
        advice = "; export it in fp32" if precision == "fp16" else ", and no file was written"
        raise D2CError(
            f"{path}: {made.by} gives results that differ from the network's by up to {worst:.2g}, where white is 1 "
            f"and {_TOLERANCE[precision]:g} is allowed{advice}"
        )
    files.write_bytes(path, made.data)
    return Written(path, made.said, len(made.data), made.by, differences)


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise ConfigError(f"format: got {name!r:.40}, expected one of {', '.join(FORMATS)}; change --format")
    module, _, attribute = FORMATS[name].partition(":")
    found: Format = getattr(importlib.import_module(module), attribute)
    return found


def _name(network: str, scale: int, precision: str, suffix: str) -> str:
    return f"{network.replace(':', '.')}_x{scale}{'' if precision == 'fp32' else '_' + precision}{suffix}"


def _compared(made: Made, model: nn.Module, *, everything: bool) -> dict[tuple[int, int], float]:
    """Largest differences from the network in fp32 at several sizes."""
    rng = np.random.default_rng(0)
    found = {}
    for batch, height, width in _SIZES:
        lr = rng.random((batch, 3, height, width), dtype=np.float32)
        expected = _expected(model, torch.from_numpy(lr), everything=everything)
        pairs = zip(made.run(lr), expected, strict=True)
        found[height, width] = max(float(np.abs(got - own).max()) for got, own in pairs)
    return found


@torch.no_grad()
def _expected(model: nn.Module, lr: torch.Tensor, *, everything: bool) -> list[Any]:
    """The network's image, and the other outputs that its entry makes."""
    image = own_output(model, lr).numpy()
    if not everything:
        return [image]
    return [image, *(more.numpy() for more in graph_of(model, everything=True, precision="fp32").module(lr)[1:])]
