"""Which checkpoint of a run a model is, so that its card has the steps and the validation of these weights."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from d2c.checkpoints import native
from d2c.errors import CheckpointError, ConfigError
from d2c.networks import network_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import nn

    from d2c.report.curves import Log
    from d2c.training.resume import Settings
    from d2c.training.runfolder import RunFolder

__all__ = ["Reached", "check_same_model", "reached"]


class Reached(NamedTuple):
    """How far a run had come with the weights of a model.

    Attributes
    ----------
    steps : dict of int to int
        The steps done in each stage.
    validated : dict
        The row of the newest validation up to there; empty if there was none.
    is_own : bool
        Whether the model is a checkpoint of the run. Otherwise all this is of the run's last checkpoint.
    """

    steps: dict[int, int]
    validated: dict[str, float]
    is_own: bool

    @property
    def validated_before(self) -> str:
        """Where the validation was, if it was not at the last of the steps; else empty."""
        stage, step = _place(self.validated) if self.validated else (0, 0)
        return f"step {step:,} of stage {stage}" if self.validated and (stage, step) != max(self.steps.items()) else ""


def check_same_model(model: nn.Module, settings: Settings, run: Path) -> None:
    """Raise ConfigError if a run trains a network of another configuration than the model has."""
    own, trained = (dataclasses.asdict(config) for config in (network_of(model)[1], settings.model))
    other = [name for name, value in own.items() if trained.get(name) != value]
    if other:
        has, wants = (", ".join(f"{name} {config.get(name)}" for name in other) for config in (trained, own))
        raise ConfigError(f"run: {run} has {has}, the model has {wants}; give the run that trained this model")


def reached(model: nn.Module, folder: RunFolder, log: Log, main: str) -> Reached:
    """How far the run had come with these weights, by its log; ``main`` is the main output of the network."""
    own = _notes_of(model, folder)
    place = _place(_last_notes(folder) if own is None else own)
    rows = [row for row in log.rows if _place(row) and (place is None or _place(row) <= place)]
    steps = dict(_place(row) for row in rows)
    if place is not None:
        steps[place[0]] = place[1]
    validated = [row for row in rows if math.isfinite(row.get(f"val_psnr_db_{main}", math.nan))]
    return Reached(steps, validated[-1] if validated else {}, is_own=own is not None)


def _place(notes: dict[str, Any]) -> Any:
    """Stage and step in the notes of a checkpoint or in a row of the log; None if they do not tell."""
    try:
        return int(notes["stage"]), int(notes["step"])
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _notes_of(model: nn.Module, folder: RunFolder) -> dict[str, Any] | None:
    """The notes of the checkpoint of the run that has the weights of a model; None if none has."""
    weights, network = model.state_dict(), network_of(model)[0].name
    for path in _checkpoints(folder):
        with contextlib.suppress(CheckpointError):  # a damaged file is not what the model was read from
            if _are_equal(weights, native.load(path, network=network).state_dict()):
                return native.provenance(path)
    return None


def _last_notes(folder: RunFolder) -> dict[str, Any]:
    """The notes of the last checkpoint; empty if there is none that can be read."""
    with contextlib.suppress(CheckpointError):
        return native.provenance(folder.last)
    return {}


def _checkpoints(folder: RunFolder) -> Iterator[Path]:
    yield from (path for path in (folder.last, folder.best) if path.is_file())
    yield from sorted(folder.weights.glob("*.safetensors"))


def _are_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        tensor.dtype == other[name].dtype and torch.equal(tensor.cpu(), other[name]) for name, tensor in one.items()
    )
