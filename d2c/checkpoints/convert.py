"""Write released weights as a checkpoint of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2c.checkpoints import native
from d2c.errors import CheckpointError
from d2crealsr.store import outputs

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from d2c.networks import Network

__all__ = ["convert"]


def convert(network: Network, source: Path, target: Path) -> nn.Module:
    """Read the weights that a network's authors released and write ours; returns the model.

    Raises
    ------
    CheckpointError
        When the file holds no released weights of this network.
    UsageError
        When the target is the source, or holds anything but what this function wrote; found before anything is read.
    """
    outputs.check_output(target, "a converted checkpoint", _is_converted, [source])
    model = network.released(source)
    native.save(target, model, imported_from=source.name, stage=len(network.stages(network.train())))
    return model


def _is_converted(path: Path) -> bool:
    """Whether a file is a checkpoint that :func:`convert` wrote, not one that was trained."""
    try:
        return "imported_from" in native.provenance(path)
    except CheckpointError:
        return False
