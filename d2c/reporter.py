"""What long work says while it goes on. This one says nothing; the command line's speaks (console.py)."""

from __future__ import annotations

__all__ = ["Reporter"]


class Reporter:
    """Told about progress. Subclasses speak; this base is silent, for use as a library and in tests."""

    def note(self, text: str) -> None:
        """One line for people."""

    def start(self, what: str, total: int, done: int = 0) -> None:
        """Work of ``total`` parts begins, ``done`` of them already done."""

    def step(self, done: int, info: str = "") -> None:
        """``done`` parts are done; ``info`` is a short state, such as the loss."""

    def finish(self) -> None:
        """The work begun last is over."""

    def images(self, what: str) -> _Counter:
        """A callback ``(done, total)`` that reports as one piece of work."""
        return _Counter(self, what)


class _Counter:
    def __init__(self, reporter: Reporter, what: str) -> None:
        self.reporter, self.what = reporter, what

    def __call__(self, done: int, total: int) -> None:
        if done == 1:
            self.reporter.start(self.what, total)
        self.reporter.step(done)
        if done == total:
            self.reporter.finish()
