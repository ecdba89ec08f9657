"""End a comparison after so many minutes, as a signal would: the current step is finished and the state saved."""

from __future__ import annotations

import math
import time

from d2crealsr.ui.interrupts import Interrupts

__all__ = ["Deadline", "TimeIsUp"]


class TimeIsUp(KeyboardInterrupt):
    """The minutes are over. What is done is kept, and the same command goes on."""


class Deadline(Interrupts):
    """Interrupts by signals, and by the end of the time. Without minutes there is none."""

    def __init__(self, minutes: float | None = None) -> None:
        super().__init__()
        self.end = math.inf if minutes is None else time.monotonic() + 60 * minutes

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self.end

    @property
    def asked(self) -> bool:
        return super().asked or self.is_over

    def check(self) -> None:
        super().check()
        if self.is_over:
            raise TimeIsUp
