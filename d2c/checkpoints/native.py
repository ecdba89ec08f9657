"""Checkpoints: weights as safetensors, the model's configuration in the file's metadata. Nothing is ever unpickled."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch.nn.modules.module import register_module_parameter_registration_hook

from d2c.errors import CheckpointError, ConfigError
from d2c.networks import DEFAULT, network_of, stored
from d2c.networks.base.shapes import shapes_only
from d2c.settings.config import SettingError
from d2c.settings.toml import from_table
from d2crealsr.store import files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import PathLike

    from torch import Tensor, nn

    from d2c.networks import Network
    from d2c.settings.config import NetworkConfig

__all__ = [
    "FORMAT",
    "Checkpoint",
    "check_plausible",
    "checkpoint_path",
    "digest",
    "load",
    "network_name",
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


def save(path: Path, model: nn.Module, **notes: Any) -> None:
    """Write a model, complete or not at all. ``notes`` (plain values) are kept in the metadata beside the structure."""
    network, config = network_of(model)
    save_weights(path, config, model.state_dict(), network=network.name, **notes)


def save_weights(
    path: Path, config: NetworkConfig, weights: Mapping[str, Tensor], *, network: str = DEFAULT, **notes: Any
) -> None:
    """Write weights of a model of that network and configuration; see :func:`save`."""
    described = {"format": FORMAT, "network": network, "config": dataclasses.asdict(config), "notes": notes}
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


def load(path: str | PathLike[str], *, device: str | torch.device = "cpu", network: str | None = None) -> Any:
    """The model of a checkpoint, in evaluation mode and channels-last order. No code from the file is ever run.

    Parameters
    ----------
    path : path
        A ``.safetensors`` file, or the folder of a run (its last checkpoint).
    device : str or torch.device
        Where its weights go.
    network : str, optional
        Needed for a network of your own, ``module:NAME``: a file's word for it imports nothing.

    Raises
    ------
    CheckpointError
        When there is no such file, or it is not one of ours, or its weights do not fit its configuration.
    """
    file = checkpoint_path(path)
    found = read(file, network)
    model = found.network.make(found.config)
    try:
        model.load_state_dict(found.weights, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{file.name}: its weights do not fit its configuration: {_one_line(error)}") from error
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.to(device).eval()


def digest(path: str | PathLike[str]) -> str:
    """SHA-256 of a checkpoint's file."""
    return files.sha256_of(checkpoint_path(path))


def provenance(path: str | PathLike[str]) -> dict[str, Any]:
    """What a checkpoint says about itself besides its structure: stage, step, where it was imported from."""
    file = checkpoint_path(path)
    with _opened(file) as (_, described):
        notes: dict[str, Any] = described["notes"]
        return notes


def network_name(path: str | PathLike[str]) -> str:
    """The network that a checkpoint names."""
    with _opened(checkpoint_path(path)) as (_, described):
        return str(described.get("network", DEFAULT))


class Checkpoint(NamedTuple):
    """What is in a checkpoint file."""

    network: Network
    config: NetworkConfig
    weights: dict[str, Tensor]


def read(file: Path, network: str | None = None) -> Checkpoint:
    """Network, configuration and weights of a checkpoint file; ``network`` as for :func:`load`."""
    with _opened(file) as (opened, described):
        found = stored(str(described.get("network", DEFAULT)), network, file.name)
        config = from_table(found.config, described["config"], found.config(), file.name)
        weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    check_plausible(found, config, [tensor.numel() for tensor in weights.values()], file.name)
    _check_numbers(weights, file.name)
    return Checkpoint(found, config, weights)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A checkpoint file and what it says of itself; whatever is wrong with it is one line."""
    try:
        with safe_open(file, framework="pt") as opened:
            described = json.loads((opened.metadata() or {}).get(_KEY, "{}"))
            if not isinstance(described, dict) or described.get("format") != FORMAT:
                got = described.get("format") if isinstance(described, dict) else described
                raise CheckpointError(
                    f"{file.name}: metadata says format {str(got)[:80]!r}, expected {FORMAT!r}; "
                    "it was not written by d2c (released weights: use d2c convert)"
                )
            yield opened, {**described, "notes": dict(described["notes"])}
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({error.strerror or error}); check the file") from error
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{file.name}: is no whole safetensors checkpoint: {_one_line(error)}") from error
    except ConfigError as error:
        said = f"{file.name}: {error.said}" if isinstance(error, SettingError) else error  # no option mends a file
        raise CheckpointError(f"{said}; was it written by a newer version?") from error


def check_plausible(network: Network, config: NetworkConfig, sizes: Sequence[int], name: str) -> None:
    """Refuse a configuration that the file's own weights contradict, while a model of that size is being built.

    It is built of shapes only, and no further than the file's numbers can be worth: names, and shapes with a zero in
    them, cost a file nothing.

    Parameters
    ----------
    sizes : sequence of int
        How many numbers each tensor of the file has.

    Raises
    ------
    CheckpointError
        When the network would have more than twice as many tensors or numbers as the file.
    """
    there = {"tensors": sum(size > 0 for size in sizes), "numbers": sum(sizes)}
    counted = dict.fromkeys(there, 0)

    def count(_module: nn.Module, _name: str, parameter: nn.Parameter) -> None:
        counted["tensors"] += 1
        counted["numbers"] += parameter.numel()
        for what, have in there.items():
            if counted[what] > _SLACK * have:  # a tensor that is missing or too small is named when weights are loaded
                raise CheckpointError(
                    f"{name}: its weights do not fit its configuration: that needs {counted[what]} {what} or more, "
                    f"the file has {have}"
                )

    try:
        with register_module_parameter_registration_hook(count), shapes_only():
            network.build(config)
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:  # shapes that no tensor can have
        raise CheckpointError(
            f"{name}: its weights do not fit its configuration: {_one_line(error)}; the file has {there['numbers']} "
            "numbers"
        ) from error


def _check_numbers(weights: Mapping[str, Tensor], name: str) -> None:
    """Refuse weights that would make every result black or noise without a word."""
    for key, tensor in weights.items():
        known = tensor.is_floating_point() and tensor.element_size() > 1  # eight bits have no arithmetic
        if not known or not bool(torch.isfinite(tensor.float()).all()):
            raise CheckpointError(f"{name}: {key} holds what are no finite numbers; train again, or use another one")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
