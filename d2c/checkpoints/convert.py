"""Convert released weights to a checkpoint of our format."""

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
    """Read the weights that the authors of a network released, and write our checkpoint; returns the model.

    Raises
    ------
    CheckpointError
        When the file does not contain released weights of this network.
    UsageError
        When the target is the source, or a file that this function did not write. This is checked before reading.
    """
    outputs.check_output(target, "a converted checkpoint", _is_converted, [source])
    model = network.released(source)
    native.save(target, model, imported_from=source.name, stage=len(network.stages(network.train())))
    return model


def _is_converted(path: Path) -> bool:
    """Whether a file is a checkpoint written by :func:`convert` and not one from training."""
    try:
        return "imported_from" in native.provenance(path)
    except CheckpointError:
        return False
