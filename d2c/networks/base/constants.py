"""Constants within a calculation, such as the weights of a filter, which are made where they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["constant"]


def constant(values: Sequence[float], like: Tensor) -> Tensor:
    """The n numbers as a tensor ``(n,)`` of the type of ``like`` and on its device.

    Each number is written on the device. ``like.new_tensor(values)`` would copy them from the host, which waits for the
    device, and which a CUDA graph cannot hold.

    Examples
    --------
    >>> constant((1.0, 2.0), torch.zeros(3, dtype=torch.float64))
    tensor([1., 2.], dtype=torch.float64)
    """
    return torch.stack([like.new_full((), value) for value in values])
