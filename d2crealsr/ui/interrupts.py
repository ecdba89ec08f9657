"""Turn signals that ask a process to end into exceptions, so that unfinished work is rolled back or completed."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["Interrupted", "Interrupts", "interrupts_stay_here"]

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_PATIENCE_SECONDS = 1.0
"""A second signal within this time counts as the same one, as torchrun repeats signals to its processes."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end. ``exit_code`` is the usual one for this signal in a shell."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number
        self.name = "Interrupted" if number == signal.SIGINT else "Terminated"


class Interrupts:
    """Turns SIGINT, SIGTERM and SIGHUP into :class:`Interrupted` while the context is open, in the main thread.

    Outside the context it does nothing. Signals that the process ignores remain ignored.

    Examples
    --------
    >>> with Interrupts() as interrupts, interrupts.held():
    ...     signal.raise_signal(signal.SIGTERM)  # only noted: the block is finished first
    ...     interrupts.asked
    True
    """

    def __init__(self) -> None:
        self._asked = 0
        self._asked_at = 0.0
        self._held = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.getsignal(number) for number in _ASKING}
            self._before = {n: handler for n, handler in before.items() if handler not in (signal.SIG_IGN, None)}
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
        """Whether a signal came while signals were held back."""
        return self._asked != 0

    def check(self) -> None:
        """Raise Interrupted if a signal came while signals were held back."""
        if self._asked:
            raise Interrupted(self._asked)

    @contextlib.contextmanager
    def held(self, hold: bool = True) -> Iterator[None]:
        """A ``with`` block in which the first signal is only noted (see ``asked``); a second one is raised.

        With ``hold`` False, it is a part within such a block in which a signal is raised at once.
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


@contextlib.contextmanager
def interrupts_stay_here() -> Iterator[None]:
    """Keep Ctrl-C from processes and threads that are started in this block.

    A terminal sends SIGINT to all processes of a command, and a worker would answer with a traceback. Processes inherit
    that the signal is blocked. This process receives it when the block ends, and it is this process that ends them.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # it would unblock the signal when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
