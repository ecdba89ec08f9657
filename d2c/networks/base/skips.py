"""Steps that are left out because their gradient is not finite: how many there were, and when there are too many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["Skips"]

_IN_A_ROW = 10
_ALWAYS, _SHARE = 10, 0.01


class Skips:
    """Counts the steps of a stage that are left out. At most ten in a row are allowed, and 10 and 1 % of all steps."""

    def __init__(self) -> None:
        self.total = self.in_a_row = 0

    def takes(self, norm: Tensor) -> bool:
        """Whether to make a step whose gradient has this norm. If not, it is counted."""
        if bool(torch.isfinite(norm)):
            self.in_a_row = 0
            return True
        self.total += 1
        self.in_a_row += 1
        return False

    def problem(self, done: int) -> str:
        """What is said if too many of the steps done so far were left out; otherwise empty."""
        if self.in_a_row > _IN_A_ROW:
            return f"the gradient was not finite in {self.in_a_row} steps in a row, at most {_IN_A_ROW} are left out"
        if self.total > _ALWAYS + _SHARE * done:
            return f"the gradient was not finite in {self.total} of {done} steps, too many to leave out"
        return ""

    def state(self) -> dict[str, int]:
        """The counts, as they are saved."""
        return {"total": self.total, "in_a_row": self.in_a_row}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from saved counts."""
        self.total, self.in_a_row = int(state["total"]), int(state["in_a_row"])
