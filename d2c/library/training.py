"""Train a network with one call, also one of your own, by a loss of your own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from d2c.errors import ConfigError, D2CError
from d2c.networks import DEFAULT, Network, default_out, find, network_in, stored
from d2c.networks.base.stage import Stage
from d2c.settings import toml
from d2c.training.resolve import resolve
from d2c.training.train import Request
from d2c.training.train import train as run_training
from d2crealsr.store import is_out_of_memory
from d2crealsr.store.ownership import is_run
from d2crealsr.ui.interrupts import Interrupts

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from d2crealsr.ui.progress import Reporter

    Loss = Callable[[Tensor, Tensor], Tensor]

__all__ = ["train"]

_PLACES, _SWITCHES = ("cache", "weights"), ("tensorboard", "trust_pairs", "convert_profile", "cuda_graph")
_RUN = ("stage", "device", "threads", *_PLACES, *_SWITCHES)
"""Arguments that are fields of :class:`d2c.training.train.Request`. All others are settings."""


def train(
    data: str | PathLike[str] | Sequence[str | PathLike[str]],
    out: str | PathLike[str] | None = None,
    *,
    network: str | type[Network] | None = None,
    preset: str | None = None,
    loss: Loss | type[Stage] | Sequence[type[Stage]] | None = None,
    reporter: Reporter | None = None,
    **options: Any,
) -> nn.Module:
    """Train a network on pairs, as ``d2c train`` does; returns the model in evaluation mode.

    A run that is in ``out`` already is resumed: its settings are kept, but for those that are given.

    Parameters
    ----------
    data : path or sequence of paths
        Folders or lists of pairs, of which the training split is used.
    out : path, optional
        Folder of the run; by default ``runs/PRESET`` for D2C-SR, else ``runs/NETWORK-PRESET``.
    network : str or type, optional
        A name in the table of networks, ``module:NAME``, or a class that extends :class:`d2c.networks.Network`. It may
        be defined in a notebook. By default that of the run in ``out``, or D2C-SR without a run or with a preset.
    preset : str, optional
        A size of the network with its schedule, such as ``tiny``; by default ``paper``.
    loss : callable or type, optional
        In place of the network's own stages: a function of two batches ``(sr, hr)``, ``(N, 3, H, W)``, RGB on [0, 1],
        that returns a scalar; or a class that extends :class:`d2c.networks.base.stage.Stage`, or several in their
        order. The run records its name, and is resumed only with a loss of the same name.
    reporter : Reporter, optional
        Where progress is reported; by default nowhere.
    **options
        Settings by their names in ``d2c train --help``, with ``_`` for ``-``, such as ``steps=200`` or
        ``validate_on="other"``.

    Raises
    ------
    ConfigError, DataError, TrainingError, MemoryNeedError
        As ``d2c train`` says them.

    Examples
    --------
    >>> import d2c
    >>> d2c.train("pairs/", "runs/mine", preset="tiny", steps=200)  # doctest: +SKIP
    """
    _check_network(network)
    folder = Path(out) if out is not None else default_out(find(DEFAULT if network is None else network), preset)
    file = folder / "config.toml" if preset is None and is_run(folder / "config.toml") else None
    chosen = _network_of(file) if network is None else find(network)
    run_options = {name: _run_option(name, options.pop(name)) for name in _RUN if name in options}
    run_options = {name: value for name, value in run_options.items() if value is not None}
    places: dict[str, Any] = {"data": _paths(data)}
    if (weights := options.pop("data_weight", None)) is not None:
        places["data_weight"] = _weights(weights)
    if (validate_on := options.pop("validate_on", None)) is not None:
        places["validate_on"] = _path("validate_on", validate_on)
    _check_names(chosen, options)
    model, settings, datasets = resolve(chosen, preset, file, options | places, resumed=file is not None)
    named = {field.name: getattr(datasets, field.name) for field in dataclasses.fields(datasets)}
    request = Request(
        **named,
        out=folder,
        model=model,
        train=settings,
        network=chosen.name,
        stages=_stages(loss),
        command=("d2c.train",),
        **run_options,
    )
    with Interrupts() as interrupts:
        return run_training(request, reporter, interrupts)


def _paths(data: Any) -> tuple[Path, ...]:
    listed = (data,) if isinstance(data, (str, PathLike)) or not isinstance(data, Sequence) else tuple(data)
    if not listed or not all(isinstance(path, (str, PathLike)) for path in listed):
        raise ConfigError(f"data: got {data!r:.80}, expected the path of a folder or list of pairs, or several paths")
    return tuple(map(Path, listed))


def _path(name: str, value: Any) -> Path:
    if not isinstance(value, (str, PathLike)):
        raise ConfigError(f"{name}: got {value!r:.80}, expected a path")
    return Path(value)


def _weights(value: Any) -> tuple[float, ...]:
    """The shares of the datasets: one number, or several."""
    listed = tuple(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else (value,)
    return tuple(toml.of_type(toml.plain(weight), float, "data_weight") for weight in listed)


def _run_option(name: str, value: Any) -> Any:
    """An argument of the run in the type that it has there; None stands for the default."""
    if value is None:
        return None
    if name in _PLACES:
        return _path(name, value)
    value = toml.plain(value)
    if name in ("stage", "device"):  # a number, or a device of PyTorch, is taken by its name, which is checked later
        return str(value)
    kinds = {"threads": int} | dict.fromkeys(_SWITCHES, bool)
    return toml.of_type(value, kinds[name], name)


def _network_of(file: Path | None) -> Network:
    """The network of the run with these settings; D2C-SR without a run."""
    if file is None:
        return find(DEFAULT)
    name = network_in(toml.read(file))
    if ":" in name:
        raise ConfigError(
            f"network: {file} is of {name[:80]}, whose code is imported only where it is named; give it as network"
        )
    return stored(name, None, str(file))


def _check_network(network: Any) -> None:
    if network is None or isinstance(network, str) or (isinstance(network, type) and issubclass(network, Network)):
        return
    raise ConfigError(
        f"network: got {network!r:.80}, expected a name (d2c networks lists them), module:NAME, or a class that "
        "extends d2c.networks.Network"
    )


def _check_names(network: Network, options: dict[str, Any]) -> None:
    """Refuse names that are no settings, which would otherwise have no effect."""
    known = {field.name for kind in (network.config, network.train) for field in dataclasses.fields(kind)}
    if unknown := sorted(options.keys() - known):
        raise ConfigError(
            f"{unknown[0]}: is no setting of {network.name}; d2c train --network {network.name} --help lists them"
        )


def _stages(loss: Any) -> tuple[type[Stage], ...]:
    """The stages that a loss stands for; none without one."""
    if loss is None:
        return ()
    listed = tuple(loss) if isinstance(loss, Sequence) and not isinstance(loss, str) else (loss,)
    if listed and all(isinstance(each, type) and issubclass(each, Stage) for each in listed):
        return listed
    if isinstance(loss, type) or not callable(loss):
        raise ConfigError(
            f"loss: got {loss!r:.80}, expected a function of (sr, hr), an object that can be called so, or one or more "
            "classes that extend d2c.networks.base.stage.Stage"
        )
    return (_stage_of(loss),)


def _stage_of(loss: Any) -> type[Stage]:
    """A stage that minimises a function of the images."""

    def forward(self: Stage, lr: Tensor, hr: Tensor, **weights: float) -> dict[str, Tensor]:
        sr = self.upscaled(lr)
        hr = self.target(sr, hr)
        try:
            total = loss(sr, hr)
        except Exception as error:  # the user's own code may raise anything
            if isinstance(error, D2CError) or is_out_of_memory(error):
                raise
            raise ConfigError(f"loss: {name} fails with (sr, hr): {type(error).__name__}: {error}") from error
        if not isinstance(total, Tensor) or total.ndim:
            shape = f"a tensor of shape {tuple(total.shape)}" if isinstance(total, Tensor) else type(total).__name__
            raise ConfigError(f"loss: {name} returned {shape}, expected a tensor with one number; take its mean")
        return {"total": total}

    name = getattr(loss, "__qualname__", type(loss).__qualname__)
    return type(name, (Stage,), {"forward": forward, "realigns": True, "__module__": getattr(loss, "__module__", "")})
