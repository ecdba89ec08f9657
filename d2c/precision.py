"""Where numbers must not be rounded to half precision, whatever autocast does around."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["at_least_fp32", "no_autocast"]


def no_autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Within, operations on that kind of device keep the types of what they are given."""
    if not torch.amp.is_autocast_available(device.type):  # as on meta
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)


def at_least_fp32(x: Tensor) -> Tensor:
    """The tensor in float32, or in float64 if it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
