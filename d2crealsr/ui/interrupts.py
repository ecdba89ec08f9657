"""Signals that ask a process to end, as exceptions: what is under way is rolled back, what is done is saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Terminated", "signals_as_exceptions"]

_ASKING = (signal.SIGTERM, signal.SIGHUP)


class Terminated(KeyboardInterrupt):
    """The process was asked to end by a signal other than Ctrl-C's; treated as Ctrl-C, but for the exit code."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@contextlib.contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP raise :class:`Terminated` in the main thread; where they are ignored, they stay so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _ASKING}
    asked = [number for number, handler in before.items() if handler is signal.SIG_DFL]
    for number in asked:
        signal.signal(number, _raise)
    try:
        yield
    finally:
        for number in asked:
            signal.signal(number, before[number])


def _raise(number: int, frame: Any) -> None:
    raise Terminated(number)
