"""Whether what is to be saved consists of finite numbers: NaN or infinity in it never goes away again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

__all__ = ["not_finite"]


def not_finite(tree: Any) -> str:
    """Name of the first tensor within dictionaries and lists that holds NaN or infinity; empty where there is none."""
    return next((name for name, tensor in _tensors(tree, "") if not bool(torch.isfinite(tensor).all())), "")


def _tensors(tree: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(tree, torch.Tensor):
        yield name, tree
    elif isinstance(tree, (dict, list, tuple)):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _tensors(value, f"{name}.{key}" if name else str(key))
