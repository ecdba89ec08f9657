"""The arms of the question whether the tree of branches beats one path, in three sizes."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from d2c.comparison.methods import Method, path_of
from d2c.comparison.worth.one_body import NAME as ONE_BODY
from d2c.comparison.worth.one_body import OneBodyConfig
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.presets import PRESETS
from d2c.networks import find
from d2c.networks.base.attention import AttentionBlock
from d2c.networks.base.shapes import shapes_only
from d2c.training.stages import asked_stages

if TYPE_CHECKING:
    from d2c.networks.base.stage import Stage

__all__ = ["BASELINE", "MAIN", "SIZES", "Arm", "Size", "arms_of"]

BASELINE = "path-depth"
"""The paper's own control: one path as deep as the tree (C = 1)."""

MAIN = ("published", "together", "mean", "path-depth", "path-body")
"""The arms that are trained first."""

_FIRST, _FROZEN, _TOGETHER = "1", "2", "3"
_ALPHAS = (0.0, 0.03)
"""Weights α of the triplet beside the one of the settings."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """A structure with its lengths of training.

    Attributes
    ----------
    milestones : tuple of int
        Steps of all stages together after which a training is measured, in ascending order.
    rates : tuple of float
        Learning rates of which the best one on the validation pairs is taken.
    """

    model: D2CConfig
    train: TrainConfig
    milestones: tuple[int, ...]
    rates: tuple[float, ...] = (1e-4, 2e-4, 4e-4, 8e-4)


_CONSTANT = TrainConfig(batch=16, patch=48, lr_halve_epochs=0, ema=0.99, validation=0.1)
"""A constant rate and no clipping by norm. Averaged over about 100 steps, a third of the shortest third stage, the
weights after any step are those of a training that ends there."""

_TINY: Any = PRESETS["tiny"]

SIZES = {
    "table-3": Size(model=D2CConfig(groups=2, blocks=1), train=_CONSTANT, milestones=(1_500, 3_000, 7_000)),
    "paper": Size(model=D2CConfig(), train=_CONSTANT, milestones=(7_000, 30_000, 100_000)),
    "small": Size(
        model=dataclasses.replace(_TINY.model, groups=2),
        train=dataclasses.replace(_CONSTANT, batch=4, patch=16, ema=0.98),
        milestones=(600, 1_200, 2_400),
        rates=(4e-4, 8e-4, 1.6e-3, 3.2e-3),
    ),
    "tiny": Size(
        model=dataclasses.replace(_TINY.model, features=4, convergence_features=4),
        train=dataclasses.replace(_CONSTANT, batch=2, patch=8, ema=_TINY.train.ema),
        milestones=(4, 8, 16),
        rates=(1e-3, 2e-3),
    ),
}
"""Sizes by name: that of the paper's Table 3; the paper's own; Table 3 with a quarter of the features and a third of
the steps, for a CPU; and one that shows that all of it works."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to spend the steps.

    Attributes
    ----------
    method : Method
        The network and its last stage.
    trunk : Method
        Stage 1. Arms with trunks of one name share this training; the weights that it keeps on the way are those with
        which the last stages begin.
    output : str
        The output that is the arm's result.
    """

    method: Method
    trunk: Method
    output: str = "fused"

    @property
    def name(self) -> str:
        """Name in tables and for ``--only``."""
        return self.method.name

    @property
    def last(self) -> type[Stage] | None:
        """The stage after stage 1; None if there is none."""
        if self.method.stage == _FIRST:
            return None
        (kind,) = asked_stages(find(self.method.network), self.method.train, self.method.stage).values()
        return kind

    def split(self, steps: int) -> tuple[int, int]:
        """Steps of stage 1 and of the last stage that are ``steps`` together."""
        own = 0 if self.last is None else max(1, round(steps * self.last.share))
        return steps - own, own

    def costs(self) -> dict[str, int]:
        """What makes the result: blocks, parameters, and multiply-adds per LR pixel as it runs and layer by layer."""
        method = self.method
        return _costs(method.network, method.model, method.stage if self.last is None else "all")


@functools.cache
def _costs(network: str, model: Any, stage: str) -> dict[str, int]:
    method = Method(name="", label="", network=network, model=model, stage=stage)
    with shapes_only():
        modules = list(find(method.network).build(method.model).modules())
    return {
        "blocks": sum(isinstance(module, AttentionBlock) for module in modules),
        "parameters": method.parameters(),
        "multiply_adds": method.executed_multiply_adds(),
        "multiply_adds_layer_by_layer": method.multiply_adds(),
    }


@functools.cache
def arms_of(size: Size, scale: int) -> tuple[Arm, ...]:
    """All arms at a scale, the main ones first."""
    model = dataclasses.replace(size.model, scale=scale)
    tree = Method(name="tree", label="tree", network="d2csr", model=model, train=size.train)
    apart = _like(tree, "unshared", depth=1, width=model.predictions, blocks=model.depth * model.blocks)
    found = [
        _staged("published", "D2C-SR as published: stage 1, then stage 2 on the frozen tree", tree, _FROZEN),
        _staged("together", "stage 1, then everything through Eq. 9", tree, _TOGETHER),
        *(_path(tree, kind) for kind in ("path-depth", "path-body", "path-parameters", "path-multiply-adds")),
        _mean_alone(tree),
        _staged("one-body", "one body with as many tails, then everything through Eq. 9", _one_body(tree), _TOGETHER),
        _staged("unshared", f"{model.predictions} unshared paths, stage 2 on the frozen paths", apart, _FROZEN),
        _staged("unshared-together", f"{model.predictions} unshared paths, then through Eq. 9", apart, _TOGETHER),
    ]
    for alpha in _ALPHAS:
        other = dataclasses.replace(
            tree, name=f"tree-alpha{alpha:g}", train=dataclasses.replace(tree.train, alpha=alpha)
        )
        found.append(_staged(f"alpha-{alpha:g}", f"as published, α = {alpha:g}", other, _FROZEN))
        found.append(_staged(f"together-alpha-{alpha:g}", f"then through Eq. 9, α = {alpha:g}", other, _TOGETHER))
    return tuple(found)


def _staged(name: str, label: str, whole: Method, last: str) -> Arm:
    """Stage 1 of a method, then one other stage."""
    train = dataclasses.replace(whole.train, steps_together=1) if last == _TOGETHER else whole.train  # so it exists
    method = dataclasses.replace(whole, name=name, label=label, train=train, stage=last)
    return Arm(method=method, trunk=dataclasses.replace(whole, stage=_FIRST))


def _path(tree: Method, kind: str) -> Arm:
    method = path_of(tree, kind)
    return Arm(method=method, trunk=method)


def _mean_alone(tree: Method) -> Arm:
    """The control for a last stage: the tree trained by stage 1 for as long, and the plain mean of its branches."""
    label = "the tree by stage 1 alone, and the plain mean of its branches"
    method = dataclasses.replace(tree, name="mean", label=label, stage=_FIRST)
    return Arm(method=method, trunk=dataclasses.replace(tree, stage=_FIRST), output="mean")


def _like(tree: Method, name: str, **changes: Any) -> Method:
    return dataclasses.replace(tree, name=name, label=name, model=dataclasses.replace(tree.model, **changes))


def _one_body(tree: Method) -> Method:
    """The blocks of all branches in one line, and a tail for each prediction of the tree."""
    body = path_of(tree, "path-body").model
    fields = {f.name: getattr(body, f.name) for f in dataclasses.fields(D2CConfig)}
    fields |= {"depth": 1, "width": tree.model.predictions, "body_depth": body.depth}
    return dataclasses.replace(tree, name="one-body-trunk", network=ONE_BODY, model=OneBodyConfig(**fields))
