"""The methods of a table: what each of them is, and how it is trained."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from d2c.comparison.common_loss import common_network
from d2c.comparison.sizes import SIZES, size_of
from d2c.errors import ConfigError
from d2c.networks import find
from d2c.networks.base.count import executed_multiply_adds, multiply_adds, parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d2c.settings.presets import Preset

__all__ = ["BICUBIC", "FILTER", "METHODS", "Method", "Rules", "chosen", "path_of"]

Loss: TypeAlias = Literal["l1", "l2", "charbonnier"]

NETWORKS = ("srresnet", "edsr", "rcan", "rrdb", "srflow", "cdc", "lpkpn", "swinir")
PATHS = {
    "path-depth": "single path, equal depth",
    "path-body": "single path, equal body",
    "path-parameters": "single path, equal parameters",
}
"""Single paths of D2C-SR (width 1), by what they have in common with its tree."""
_EQUAL_WORK = "path-multiply-adds"
METHODS = ("bicubic", "filter", *NETWORKS, "d2csr", *PATHS)
"""Names of all methods, in the order of the tables."""

_LABELS = {
    "bicubic": "Bicubic",
    "filter": "Least-squares 9×9 filter",
    "srresnet": "SRResNet",
    "edsr": "EDSR",
    "rcan": "RCAN",
    "rrdb": "RRDB",
    "srflow": "SRFlow",
    "cdc": "CDC",
    "lpkpn": "LP-KPN",
    "swinir": "SwinIR",
    "d2csr": "D2C-SR",
    **PATHS,
}
_PUBLISHED = {"rrdb": "ESRGAN", "srflow": "SR-Flow", "swinir": "", "d2csr": "Ours"}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How the methods of a table are trained.

    Attributes
    ----------
    loss, lr, batch, patch
        The same for all of them. The rate rises over the first 2 % of the steps and then falls along half a cosine.
    native : bool
        Whether each network is trained by the loss, rate, schedule, batch and patch of its own publication instead.
    """

    loss: Loss = "l2"
    lr: float = 2e-4
    batch: int = 16
    patch: int = 48
    native: bool = False

    def settings(self, preset: Preset) -> Any:
        """The training settings of a preset under these rules."""
        if self.native:
            return preset.train
        changes: dict[str, Any] = {"lr": self.lr, "batch": self.batch, "patch": self.patch, "schedule": "cosine"}
        changes |= {"lr_halve_epochs": 0, "clip_norm": 0.0, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0}
        changes |= {"ema": 0.0, "augment": True}
        if hasattr(preset.train, "loss"):
            changes["loss"] = self.loss
        return dataclasses.replace(preset.train, **changes)


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method. ``network`` is empty for bicubic and the filter, which have no settings either.

    Attributes
    ----------
    name, label : str
        For files, and for people.
    network : str
        As ``--network`` takes it.
    stage : str
        Stage to train, as ``--stage`` takes it: a single path needs no convergence.
    published : str
        Its row in the paper's table; empty if it has none.
    warmup : bool
        Whether the rate rises over the first 2 % of the steps.
    trial : str
        What distinguishes this training from others of the same method, as its rate.
    """

    name: str
    label: str
    network: str = ""
    model: Any = None
    train: Any = None
    stage: str = "all"
    published: str = ""
    warmup: bool = False
    trial: str = ""

    @property
    def seeded(self) -> bool:
        """Whether its result depends on a seed."""
        return bool(self.network)

    def parameters(self) -> int:
        """Trained parameters. A single path's convergence net, which is not trained, is not counted."""
        network = find(self.network)
        idle = _convergence(network, self.model)[0] if self.stage != "all" else 0
        return parameters(network, self.model) - idle

    def executed_multiply_adds(self) -> int:
        """Multiply-adds per LR pixel as it runs, with each tail composed to one convolution."""
        network = find(self.network)
        idle = _convergence(network, self.model)[1] if self.stage != "all" else 0
        return executed_multiply_adds(network, self.model) - idle

    def multiply_adds(self) -> int:
        """Multiply-adds per LR pixel, counted in the same way."""
        network = find(self.network)
        idle = _convergence(network, self.model)[1] if self.stage != "all" else 0
        return multiply_adds(network, self.model) - idle


BICUBIC = Method(name="bicubic", label=_LABELS["bicubic"], published="Bicubic")
FILTER = Method(name="filter", label=_LABELS["filter"])


def chosen(names: Sequence[str], size: str, scale: int, rules: Rules) -> list[Method]:
    """The methods of these names (all that have this scale if there are none) in one size, at one scale.

    Raises
    ------
    ConfigError
        For a name or size that does not exist, or a scale that a named method lacks.
    """
    if unknown := [name for name in names if name not in METHODS]:
        raise ConfigError(f"method: got {unknown[0]!r}, expected some of {', '.join(METHODS)}; change --only")
    if size not in SIZES:
        raise ConfigError(f"size: got {size!r}, expected one of {', '.join(SIZES)}; change --size")
    wanted = names or [name for name in METHODS if name not in NETWORKS or scale in find(name).scales]
    return [_method(name, size, scale, rules) for name in METHODS if name in wanted]


def _method(name: str, size: str, scale: int, rules: Rules) -> Method:
    if name in ("bicubic", "filter"):
        return BICUBIC if name == "bicubic" else FILTER
    base = "d2csr" if name in PATHS else name
    trained = base if rules.native else common_network(base, rules.loss)
    preset = size_of(find(trained), base, size)
    model = dataclasses.replace(preset.model, scale=scale)
    published = _PUBLISHED.get(name, "" if name in PATHS else _LABELS[name])
    method = Method(
        name=name,
        label=_LABELS[name],
        network=trained,
        model=model,
        train=rules.settings(preset),
        published=published,
        warmup=not rules.native,
    )
    return path_of(method, name) if name in PATHS else method


def path_of(tree: Method, kind: str) -> Method:
    """A single path of a tree's settings: width 1, and so many blocks that it equals the tree in ``kind``.

    Equal in depth: the blocks from the root to a leaf. In body: the blocks of all branches in one line. In parameters
    or multiply-adds as it runs (``path-multiply-adds``): the most blocks with no more of them than tree and convergence
    net together.
    """
    label = PATHS.get(kind, "single path, equal multiply-adds")
    model = tree.model
    branches = sum(model.width**layer for layer in range(1, model.depth + 1))
    blocks = model.blocks
    if kind != "path-depth":
        blocks = max(1, model.blocks * branches // model.depth)
    path = dataclasses.replace(
        tree,
        name=kind,
        label=label,
        model=dataclasses.replace(model, width=1, blocks=blocks),
        stage="1",
        published="",
    )
    if kind == "path-parameters":
        path = _most_blocks(path, tree, Method.parameters)
    elif kind == _EQUAL_WORK:
        path = _most_blocks(path, tree, Method.executed_multiply_adds)
    total = path.model.depth * path.model.groups * path.model.blocks
    return dataclasses.replace(path, label=f"{label} ({total} blocks)")


def _most_blocks(path: Method, tree: Method, cost: Callable[[Method], int]) -> Method:
    """The path with the most blocks that costs no more than the tree."""
    one, two = (cost(_with_blocks(path, count)) for count in (1, 2))
    return _with_blocks(path, max(1, 1 + (cost(tree) - one) // (two - one)))


def _with_blocks(path: Method, blocks: int) -> Method:
    return dataclasses.replace(path, model=dataclasses.replace(path.model, blocks=blocks))


def _convergence(network: Any, config: Any) -> tuple[int, int]:
    """Parameters and multiply-adds per LR pixel of the convergence net alone."""
    import torch

    from d2c.networks.base.shapes import Multiplications, shapes_only

    with shapes_only():
        net = network.build(config).convergence.eval()
        predictions = torch.empty(1, config.predictions, 3, config.scale, config.scale)
    with torch.no_grad(), Multiplications() as counted:
        net(predictions)
    return sum(int(p.numel()) for p in net.parameters()), int(counted.total)
