"""Initial weights other than PyTorch's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["kaiming"]


def kaiming(modules: Iterable[nn.Module], gain: float = 1.0) -> None:
    """Draw the weights of convolutions by He et al. (doi:10.1109/ICCV.2015.123), times ``gain``; biases are zero."""
    for module in modules:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            module.weight.data *= gain
            if module.bias is not None:
                nn.init.zeros_(module.bias)
