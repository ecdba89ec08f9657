"""The paper's Fig. 8: six sizes of D2C-SR beside the other networks, and what the paper says of a small one."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

from d2c.comparison.intervals import difference
from d2c.comparison.methods import METHODS, chosen
from d2c.comparison.tables import entries
from d2c.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2c.comparison.compare import Comparison
    from d2c.comparison.intervals import Difference
    from d2c.comparison.methods import Method, Rules
    from d2c.comparison.test_sets import TestSet

__all__ = ["STRUCTURES", "answers", "methods_of_figure8"]

STRUCTURES = {
    "d2csr": (64, 2, 4),
    "d2csr-4.53M": (64, 2, 2),
    "d2csr-3.63M": (64, 2, 1),
    "d2csr-0.91M": (32, 2, 1),
    "d2csr-0.23M": (16, 2, 1),
    "d2csr-0.19M": (16, 1, 1),
}
"""Features, groups and blocks, by the parameters that the paper gives; the first is its 5.88 M.

They equal 4.53, 3.63, 0.91, 0.23 and 0.19 M at ×8 without the convergence net; 5.88 M has no exact match.
"""
_SAID_OF = ("d2csr-0.23M", "d2csr-0.19M")
_RIVALS = ("rcan", "cdc")
_PROTOCOL = "basicsr-y"


def methods_of_figure8(only: Sequence[str], size: str, scale: int, rules: Rules) -> list[Method]:
    """The points of the figure that have this scale, or those of them that ``only`` names."""
    names = [*(name for name in METHODS if name != "d2csr"), *STRUCTURES]
    if unknown := [name for name in only if name not in names]:
        raise ConfigError(f"method: got {unknown[0]!r}, expected some of {', '.join(names)}; change --only")
    named = [name for name in METHODS if name != "d2csr" and name in only]
    others = chosen(named, size, scale, rules) if named or not only else []
    tree = chosen(["d2csr"], size, scale, rules)[0]
    sizes = [_of_size(tree, name, size) for name in STRUCTURES if not only or name in only]
    return [*(method for method in others if method.name != "d2csr"), *sizes]


def _of_size(tree: Method, name: str, size: str) -> Method:
    features, groups, blocks = STRUCTURES[name]
    if name == "d2csr":
        return tree
    features //= 4 if size == "tiny" else 1
    label = f"D2C-SR, {features} features, {groups} × {blocks} blocks"
    model = dataclasses.replace(tree.model, features=features, groups=groups, blocks=blocks)
    return dataclasses.replace(tree, name=name, label=label, published="", model=model)


def answers(found: Comparison, tests: Sequence[TestSet]) -> list[str]:
    """Whether the paper's small models beat RCAN and CDC in PSNR: yes, no, or unresolved."""
    lines = {line.name: line for line in entries(found)}
    said = []
    for tested, name, rival in itertools.product(tests, _SAID_OF, _RIVALS):
        if name not in lines or rival not in lines:
            continue
        ours, other = lines[name], lines[rival]
        found_difference = difference(
            ours.grid(tested.name, _PROTOCOL, "psnr_db"), other.grid(tested.name, _PROTOCOL, "psnr_db")
        )
        question = f"{tested.name}: is {ours.label} ({ours.trained.parameters:,} parameters) better than {other.label}"
        said.append(f"{question} ({other.trained.parameters:,})? **{answer(found_difference)}**: {found_difference} dB")
    return said


def answer(found: Difference) -> str:
    """Yes or no where an interval excludes zero, otherwise unresolved."""
    if not found.resolved:
        return "unresolved"
    return "yes" if found.mean > 0 else "no"
