"""Checkpoints: weights as safetensors, with the model's configuration in the metadata. Nothing is ever unpickled."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors

from d2c.checkpoints.builtin import builtin_path, is_builtin
from d2c.device import pick_device
from d2c.errors import CheckpointError, ConfigError
from d2c.networks import DEFAULT, network_of, stored
from d2c.networks.base.plausible import check_plausible, one_line
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
    "checkpoint_bytes",
    "checkpoint_path",
    "digest",
    "load",
    "network_name",
    "provenance",
    "save",
    "save_weights",
]

FORMAT = "d2c-checkpoint-1"
"""Value of ``format`` in the metadata of every file written by this module."""

_KEY = "d2c"
_IN_ORDER = torch.contiguous_format


def save(path: Path, model: nn.Module, **notes: Any) -> None:
    """Write a model, completely or not at all. ``notes`` (plain values) are stored in the metadata."""
    network, config = network_of(model)
    save_weights(path, config, model.state_dict(), network=network.name, **notes)


def save_weights(
    path: Path, config: NetworkConfig, weights: Mapping[str, Tensor], *, network: str = DEFAULT, **notes: Any
) -> None:
    """Write the weights of a model with the given network and configuration; see :func:`save`."""
    files.write_bytes(path, checkpoint_bytes(config, weights, network=network, **notes))


def checkpoint_bytes(
    config: NetworkConfig, weights: Mapping[str, Tensor], *, network: str = DEFAULT, **notes: Any
) -> bytes:
    """The content of the file that :func:`save_weights` writes."""
    described = {"format": FORMAT, "network": network, "config": dataclasses.asdict(config), "notes": notes}
    metadata = {_KEY: json.dumps(described)}  # one key, as the library writes several in random order
    tensors = {name: tensor.detach().cpu().clone(memory_format=_IN_ORDER) for name, tensor in weights.items()}
    return to_safetensors(tensors, metadata=metadata)


def checkpoint_path(path: str | PathLike[str]) -> Path:
    """The file of a checkpoint: ``path`` itself, the last one in the folder of a run, or a built-in one."""
    if is_builtin(path):
        return builtin_path(path)
    found = Path(path)
    if found.is_dir():
        found = found / "last.safetensors"
    if not found.is_file():
        raise CheckpointError(f"{found}: no such checkpoint; give a .safetensors file or the folder of a run")
    return found


def load(
    path: str | PathLike[str], *, device: str | torch.device = "cpu", network: str | type[Network] | None = None
) -> Any:
    """The model of a checkpoint, in evaluation mode and channels-last order. No code from the file is executed.

    Parameters
    ----------
    path : path
        A ``.safetensors`` file, the folder of a run (its last checkpoint), or the name of a built-in checkpoint such as
        ``builtin:x8``.
    device : str or torch.device
        Device of its weights: a device of PyTorch, or ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    network : str or type, optional
        Name of the network, or its class. Needed for your own network, ``module:NAME``, because a name in a file is
        never imported.

    Raises
    ------
    CheckpointError
        When there is no such file, it is not one of our checkpoints, or its weights do not fit its configuration.
    ConfigError
        When there is no such device, or ``network`` is neither a name nor a class.
    """
    if not isinstance(network, (str, type, NoneType)):
        raise ConfigError(f"network: got {network!r:.80}, expected a name, module:NAME, or a class")
    place = pick_device(device)
    file = checkpoint_path(path)
    name = str(path) if is_builtin(path) else str(file)
    with _opened(file) as (opened, described):
        found = stored(str(described.get("network", DEFAULT)), network, name)
        config = from_table(found.config, described["config"], found.config(), name)
        weights = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    check_plausible(found, config, [tensor.numel() for tensor in weights.values()], name)
    model = found.make(config)
    _check_numbers(weights, model.state_dict(), name)
    _check_tensors(weights, model.state_dict(), name)
    model.load_state_dict(weights, strict=True)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.to(place).eval()


def digest(path: str | PathLike[str]) -> str:
    """SHA-256 of the file of a checkpoint."""
    return files.sha256_of(checkpoint_path(path))


def provenance(path: str | PathLike[str]) -> dict[str, Any]:
    """The notes in a checkpoint: stage, step, and the source if it was converted."""
    file = checkpoint_path(path)
    with _opened(file) as (_, described):
        notes: dict[str, Any] = described["notes"]
        return notes


def network_name(path: str | PathLike[str]) -> str:
    """The network that a checkpoint names."""
    with _opened(checkpoint_path(path)) as (_, described):
        return str(described.get("network", DEFAULT))


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """An open checkpoint file and its description. Every problem of the file is an error of one line."""
    try:
        with safe_open(file, framework="pt") as opened:
            described = json.loads((opened.metadata() or {}).get(_KEY, "{}"))
            if not isinstance(described, dict) or described.get("format") != FORMAT:
                got = described.get("format") if isinstance(described, dict) else described
                raise CheckpointError(
                    f"{file}: metadata says format {str(got)[:80]!r}, expected {FORMAT!r}; "
                    "it was not written by d2c (released weights: use d2c convert)"
                )
            yield opened, {**described, "notes": dict(described["notes"])}
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({error.strerror or error}); check the file") from error
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{file}: is not a complete safetensors checkpoint: {one_line(error)}; {_remedy(file)}"
        ) from error
    except ConfigError as error:
        said = f"{file}: {error.said}" if isinstance(error, SettingError) else error  # a file has no options
        raise CheckpointError(f"{said}; was it written by a newer version?") from error


def _remedy(file: Path) -> str:
    """What to do about a file that is no safetensors checkpoint."""
    if file.suffix in (".pt", ".pth", ".ckpt", ".pkl", ".bin"):
        return "weights of other programs are read by d2c convert"
    return "give another checkpoint, such as best.safetensors beside it, or get the file again"


def _check_tensors(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], name: str) -> None:
    """Refuse weights whose names or shapes are not those of the network, and name the first of them."""
    lacking = [key for key in expected if key not in weights]
    strange = [key for key in weights if key not in expected]
    shapes = {key: (tuple(weights[key].shape), tuple(expected[key].shape)) for key in weights if key in expected}
    other = [f"{key} of shape {got}, expected {want}" for key, (got, want) in shapes.items() if got != want]
    found = {"it lacks": lacking, "it has, unknown to the network,": strange, "it has": other}
    if said := [f"{what} {_first_of(keys)}" for what, keys in found.items() if keys]:
        raise CheckpointError(
            f"{name}: its weights do not fit its configuration: {'; '.join(said)}; give the file as d2c wrote it "
            "(weights of other programs: d2c convert)"
        )


def _first_of(keys: Sequence[str]) -> str:
    return f"{keys[0]:.200}" + (f" and {len(keys) - 1} more" if len(keys) > 1 else "")


def _check_numbers(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], name: str) -> None:
    """Refuse weights with which every result would silently be black or noise. Counters need not be floats."""
    for key, tensor in weights.items():
        if key in expected and not expected[key].is_floating_point():
            continue
        known = tensor.is_floating_point() and tensor.element_size() > 1  # 8-bit types have no arithmetic
        if not known or not bool(torch.isfinite(tensor.float()).all()):
            raise CheckpointError(f"{name}: {key} holds numbers that are not finite; train again, or use another one")
