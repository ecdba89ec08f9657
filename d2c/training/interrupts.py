"""Signals that ask a process to end, as exceptions; held back while something is under way that must be finished."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["Interrupted", "Interrupts"]

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_PATIENCE_SECONDS = 1.0
"""A second signal within this time is the first one's echo: torchrun passes on what its processes got already."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number
        self.name = "interrupted" if number == signal.SIGINT else "terminated"


class Interrupts:
    """Turns SIGINT, SIGTERM and SIGHUP into :class:`Interrupted`, while the context is open and in the main thread.

    Without being opened it does nothing and is never asked. Signals that the process ignores stay ignored.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._asked_at = 0.0
        self._held = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.getsignal(number) for number in _ASKING}
            self._before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
            for number in self._before:
                signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def asked(self) -> bool:
        """Whether a signal came while it was held back."""
        return self._asked != 0

    def check(self) -> None:
        """Raise Interrupted if a signal came while it was held back."""
        if self._asked:
            raise Interrupted(self._asked)

    @contextlib.contextmanager
    def held(self, hold: bool = True) -> Iterator[None]:
        """Within, a signal is only noted: who runs the block looks at ``asked``. An impatient second one is raised.

        With ``hold`` False the other way round: a part of such a block that may end at any moment.
        """
        before, self._held = self._held, hold
        try:
            if not hold:
                self.check()
            yield
        finally:
            self._held = before

    def _handle(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        if self._held and (not self._asked or now - self._asked_at < _PATIENCE_SECONDS):
            if not self._asked:
                self._asked, self._asked_at = number, now
            return
        raise Interrupted(number)
