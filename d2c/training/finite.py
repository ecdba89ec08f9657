"""Check that a state consists of finite numbers before it is saved. NaN or infinity in it would never disappear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

__all__ = ["not_finite"]


def not_finite(tree: Any) -> str:
    """Name of the first tensor in dictionaries and lists with NaN or infinity; empty if there is none."""
    return next((name for name, tensor in _tensors(tree, "") if not bool(torch.isfinite(tensor).all())), "")


def _tensors(tree: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(tree, torch.Tensor):
        yield name, tree
    elif isinstance(tree, (dict, list, tuple)):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _tensors(value, f"{name}.{key}" if name else str(key))
