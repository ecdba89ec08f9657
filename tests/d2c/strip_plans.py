"""Plans of an upscaling in strips, without a prediction of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2c.networks.base.upscaler import Plan

if TYPE_CHECKING:
    from torch import Tensor


def plan_of(lr: Tensor, rows: int, *, keep_all: bool = False) -> Plan:
    """A plan of strips of some rows for LR (1, 3, h, w)."""
    sizes = {"height": lr.shape[2], "width": lr.shape[3], "memory": 0, "spilled": 0, "result": 0}
    return Plan(strip=rows, band=0, spill=False, keep_all=keep_all, **sizes)
