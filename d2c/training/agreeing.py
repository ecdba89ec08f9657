"""Decisions of several processes that do not follow from the number of steps, such as to end after a signal."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from d2c.training.engine import World

__all__ = ["Agreement"]

_MOST_STEPS = 10
"""Steps between two agreements, for which the processes wait for each other."""

_MOST_SECONDS = 5.0
"""The same as a time. torchrun kills processes that have not ended 30 s after a signal."""


class Agreement:
    """Makes all processes decide the same after the same steps: every ten steps, or more often where steps are slow.

    Parameters
    ----------
    here : World
        The processes.
    first : int
        Number of steps done so far.
    """

    def __init__(self, here: World, first: int) -> None:
        self.here, self.next = here, first
        self._since = first, time.monotonic()

    def on(self, flags: tuple[bool, ...], done: int, *, last: bool) -> tuple[bool, ...]:
        """Which of the flags are true in any process after a step; none of them where it is too early to agree."""
        if self.here.size == 1:
            return flags
        if done < self.next and not last:
            return (False,) * len(flags)
        (before, then), now = self._since, time.monotonic()
        mine = (now - then) / (done - before) if done > before else math.inf
        *found, seconds = self.here.largest(*flags, mine)
        self.next = done + max(1, min(_MOST_STEPS, int(_MOST_SECONDS / seconds)))
        self._since = done, now
        return tuple(map(bool, found))
