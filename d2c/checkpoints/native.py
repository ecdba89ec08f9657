"""Checkpoints: weights as safetensors, the model's configuration in the file's metadata. Nothing is ever unpickled."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors

from d2c.d2csr.network import D2CSR
from d2c.errors import CheckpointError, ConfigError
from d2c.settings.config import D2CConfig, SettingError
from d2c.settings.toml import from_table
from d2crealsr.store import files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from torch import Tensor

__all__ = [
    "FORMAT",
    "check_plausible",
    "checkpoint_path",
    "digest",
    "load",
    "provenance",
    "read",
    "save",
    "save_weights",
]

FORMAT = "d2c-checkpoint-1"
"""Value of ``format`` in the metadata of every file written here."""

_KEY = "d2c"
_SLACK = 2
"""How much larger than its file a model may be, so that what is wrong with a file can be said by name."""


def save(path: Path, model: D2CSR, **notes: Any) -> None:
    """Write a model, complete or not at all. ``notes`` (plain values) are kept in the metadata beside the structure."""
    save_weights(path, model.config, model.state_dict(), **notes)


def save_weights(path: Path, config: D2CConfig, weights: Mapping[str, Tensor], **notes: Any) -> None:
    """Write weights of a model of that configuration; see :func:`save`."""
    described = {"format": FORMAT, "config": dataclasses.asdict(config), "notes": notes}
    metadata = {_KEY: json.dumps(described)}  # a single key: the library writes several in random order
    tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in weights.items()}
    files.write_bytes(path, to_safetensors(tensors, metadata=metadata))


def checkpoint_path(path: str | PathLike[str]) -> Path:
    """The file that is meant: ``path`` itself, or the last checkpoint of a run's folder."""
    found = Path(path)
    if found.is_dir():
        found = found / "last.safetensors"
    if not found.is_file():
        raise CheckpointError(f"{found}: no such checkpoint; give a .safetensors file or the folder of a run")
    return found


def load(path: str | PathLike[str], *, device: str | torch.device = "cpu") -> D2CSR:
    """The model of a checkpoint, in evaluation mode and channels-last order. No code from the file is ever run.

    Parameters
    ----------
    path : path
        A ``.safetensors`` file, or the folder of a run (its last checkpoint).
    device : str or torch.device
        Where its weights go.

    Raises
    ------
    CheckpointError
        When there is no such file, or it is not one of ours, or its weights do not fit its configuration.
    """
    file = checkpoint_path(path)
    config, weights, _ = read(file)
    model = D2CSR(config)
    try:
        model.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{file.name}: its weights do not fit its configuration: {_one_line(error)}") from error
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.to(device).eval()


def digest(path: str | PathLike[str]) -> str:
    """SHA-256 of a checkpoint's file."""
    return files.sha256_of(checkpoint_path(path))


def provenance(path: str | PathLike[str]) -> dict[str, Any]:
    """What a checkpoint says about itself besides its structure: stage, step, where it was imported from."""
    return read(checkpoint_path(path))[2]


def read(file: Path) -> tuple[D2CConfig, dict[str, Tensor], dict[str, Any]]:
    """Configuration, weights and notes of a checkpoint file."""
    try:
        with safe_open(file, framework="pt") as opened:
            described = json.loads((opened.metadata() or {}).get(_KEY, "{}"))
            if not isinstance(described, dict) or described.get("format") != FORMAT:
                got = described.get("format") if isinstance(described, dict) else described
                raise CheckpointError(
                    f"{file.name}: metadata says format {str(got)[:80]!r}, expected {FORMAT!r}; "
                    "it was not written by d2c (released weights: use d2c convert)"
                )
            config = from_table(D2CConfig, described["config"], D2CConfig(), file.name)
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            notes = dict(described["notes"])
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({error.strerror or error}); check the file") from error
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{file.name}: is no whole safetensors checkpoint: {_one_line(error)}") from error
    except ConfigError as error:
        said = f"{file.name}: {error.said}" if isinstance(error, SettingError) else error  # no option mends a file
        raise CheckpointError(f"{said}; was it written by a newer version?") from error
    check_plausible(config, [tensor.numel() for tensor in weights.values()], file.name)
    _check_numbers(weights, file.name)
    return config, weights, notes


def check_plausible(config: D2CConfig, sizes: Sequence[int], name: str) -> None:
    """Refuse a configuration that the file's own weights contradict, before a model of that size is built.

    What counts is numbers: names, and shapes with a zero in them, cost a file nothing.

    Parameters
    ----------
    sizes : sequence of int
        How many numbers each tensor of the file has.

    Raises
    ------
    CheckpointError
        When there are fewer tensors or numbers than the smallest part of such a network needs, or not half as many
        numbers as the whole of it has.
    """
    tensors, numbers = sum(size > 0 for size in sizes), sum(sizes)
    branches = sum(config.width**layer for layer in range(1, config.depth + 1))
    for field, wanted, there in (
        ("groups and blocks", branches * config.groups * config.blocks, tensors),
        ("width and depth", branches, tensors),
        ("features", config.features**2, numbers),  # every branch has layers of n x n channels
        ("convergence_features", config.convergence_features**2, numbers),
        ("scale and reduction", config.scale * config.scale, numbers),
    ):
        if wanted > there:
            raise CheckpointError(
                f"{name}: its weights do not fit its configuration: {field} need {wanted:.6g}, the file has {there}"
            )
    with torch.device("meta"):  # shapes only, which take no memory
        wanted = sum(tensor.numel() for tensor in D2CSR(config).state_dict().values())
    if wanted > _SLACK * numbers:  # a tensor that is missing or too small is named when weights are loaded
        raise CheckpointError(
            f"{name}: its weights do not fit its configuration: that has {wanted} numbers, the file {numbers}"
        )


def _check_numbers(weights: Mapping[str, Tensor], name: str) -> None:
    """Refuse weights that would make every result black or noise without a word."""
    for key, tensor in weights.items():
        known = tensor.is_floating_point() and tensor.element_size() > 1  # eight bits have no arithmetic
        if not known or not bool(torch.isfinite(tensor.float()).all()):
            raise CheckpointError(f"{name}: {key} holds what are no finite numbers; train again, or use another one")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
