"""Read weights that others released in PyTorch's files, by tables from our names to theirs.

Each network's file has a table for every naming that is in use. Nothing in a file is executed: PyTorch reads it with
``weights_only=True``, which builds tensors and plain containers only.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from d2c.errors import CheckpointError
from d2c.networks.base.packed import is_packed
from d2c.networks.base.plausible import check_plausible
from d2crealsr.store import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from d2c.networks.base.entry import Network
    from d2c.settings.config import NetworkConfig

    Weights = Mapping[str, Tensor]

__all__ = ["Naming", "count", "factors_of", "read_released", "read_state", "scale_of"]

_WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model")
"""Entries under which training programs put the weights, the best first."""


class Naming(NamedTuple):
    """The names that one program gives to the layers of a network.

    Attributes
    ----------
    mark : str
        A name that only files of this naming have.
    config : callable
        The configuration of the network from the weights. A KeyError means that a layer is missing.
    names : callable
        Pairs of our name and theirs for a configuration: of a layer, whose weight and bias are taken, or of a tensor.
    fixed : mapping
        Tensors that a file may have, with the values that are part of our model in another form.
    unused : str
        Regular expression of the names of tensors that a file may have and that nothing is made with, or that follow
        from the configuration.
    """

    mark: str
    config: Callable[[Weights], NetworkConfig]
    names: Callable[[Any], Iterable[tuple[str, str]]]
    fixed: Weights = MappingProxyType({})
    unused: str = ""


def read_state(source: Path) -> dict[str, Tensor]:
    """The weights in a file of PyTorch by name, without wrappers and without the prefix of data-parallel training.

    Raises
    ------
    CheckpointError
        When the file cannot be read, contains anything but tensors and plain containers, or contains no weights.
    """
    try:
        with files.open_regular(source) as file:
            if is_packed(file):
                raise ValueError("a compressed archive")
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{source}: cannot be read ({error.strerror})") from error
    except Exception as error:  # a damaged pickle may raise anything
        raise CheckpointError(
            f"{source}: not a file of weights that PyTorch wrote ({type(error).__name__}); no code in it was "
            "executed; give the file of weights that the authors released"
        ) from error
    while isinstance(content, dict) and (key := next((name for name in _WRAPPERS if name in content), None)):
        content = content[key]
    if not isinstance(content, dict):
        raise CheckpointError(f"{source}: contains {type(content).__name__}, expected tensors by name")
    state = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
    prefix = "module."
    if state and all(name.startswith(prefix) for name in state):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def read_released(network: Network, source: Path, namings: Sequence[Naming]) -> nn.Module:
    """The model with the weights in a file, whichever of the namings it uses.

    Raises
    ------
    CheckpointError
        When the file uses none of them, or has missing, surplus or wrong tensors.
    """
    state = read_state(source)
    naming = next((naming for naming in namings if naming.mark in state), None)
    if naming is None:
        known = ", ".join(naming.mark for naming in namings)
        raise CheckpointError(f"{source}: not weights of {network.name}; expected a tensor named {known}")
    try:
        config = naming.config(state)
    except (KeyError, IndexError, ValueError) as error:
        raise CheckpointError(f"{source}: weights of {network.name} are incomplete ({error}); copy it again") from error
    check_plausible(network, config, [tensor.numel() for tensor in state.values()], source.name)
    model = network.make(config)
    own = model.state_dict()
    theirs = dict(_tensors(naming.names(config), own))
    fixed = {name for name, _ in model.named_buffers() if name not in theirs}
    taken = {}
    for name in own:
        if name in fixed:
            continue
        other = theirs.get(name, "")
        if other not in state:
            raise CheckpointError(f"{source}: lacks {other or name}, which {name} of {network.name} would be read from")
        tensor = state.pop(other).to(own[name].dtype)
        if tensor.shape != own[name].shape:
            got, expected = tuple(tensor.shape), tuple(own[name].shape)
            raise CheckpointError(f"{source}: {other} has shape {got}, expected {expected}")
        taken[name] = tensor
    left = {name: tensor for name, tensor in state.items() if not re.fullmatch(naming.unused, name)}
    _check_left(network, source, left, naming.fixed)
    model.load_state_dict({**{name: own[name] for name in fixed}, **taken})
    return model


def _check_left(network: Network, source: Path, left: Weights, fixed: Weights) -> None:
    """Raise CheckpointError for tensors that nothing was read from, unless they have the values that are expected."""
    for name, tensor in left.items():
        if name not in fixed:
            raise CheckpointError(f"{source}: has {name}, for which {network.name} has no place")
        expected = fixed[name]
        if tensor.numel() != expected.numel() or not torch.allclose(tensor.float().flatten(), expected, rtol=1e-3):
            raise CheckpointError(
                f"{source}: {name} is {tensor.flatten().tolist()[:3]}, expected {expected.tolist()[:3]}; "
                f"{network.name} has a fixed colour layer"
            )


def _tensors(pairs: Iterable[tuple[str, str]], own: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Names of tensors for names of layers."""
    for ours, other in pairs:
        if ours in own:
            yield ours, other
            continue
        for kind in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            if f"{ours}.{kind}" in own:
                yield f"{ours}.{kind}", f"{other}.{kind}"


def count(state: Weights, pattern: str) -> int:
    """One more than the largest number that the group of a regular expression matches at the start of a name.

    Examples
    --------
    >>> count({"body.0.conv.weight": torch.ones(1), "body.11.conv.weight": torch.ones(1)}, r"body\\.(\\d+)\\.")
    12
    """
    found = [int(match[1]) for name in state if (match := re.match(pattern, name))]
    if not found:
        raise KeyError(f"no layer like {pattern}")
    return 1 + max(found)


def factors_of(convs: Sequence[Tensor]) -> list[int]:
    """Factors of the sub-pixel convolutions with these weights ``(f²·n, n, 3, 3)``."""
    return [round((weight.shape[0] / weight.shape[1]) ** 0.5) for weight in convs]


def scale_of(convs: Sequence[Tensor]) -> int:
    """Scale of a chain of sub-pixel convolutions."""
    scale = 1
    for factor in factors_of(convs):
        scale *= factor
    return scale
