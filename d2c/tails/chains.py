"""Chains of small operations, such as an attention block, which a compiler can fuse into a few kernels.

A function that is decorated with :func:`chain` runs as it is written, unless a :class:`Compiler` is in use. Each chain
is compiled by itself at its first call, which takes seconds, and is then used wherever it occurs. Compiling whole
networks would take minutes. Where there is no compiler everything runs as it is written.
"""

from __future__ import annotations

import contextlib
import functools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Compiler", "chain"]

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


class Compiler:
    """Compiles chains when they are first called.

    Parameters
    ----------
    note : callable
        Is told once if a chain cannot be compiled. All of them then run as they are written.
    backend : str
        Compiler of ``torch.compile``.
    """

    def __init__(self, note: Callable[[str], None] = lambda text: None, backend: str = "inductor") -> None:
        self.note, self.backend = note, backend
        self.failed = False
        self._compiled: dict[Any, Any] = {}

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """A ``with`` block in which chains are compiled."""
        before = _in_use.set(self)
        try:
            yield
        finally:
            _in_use.reset(before)

    def call(self, function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The result of a chain."""
        if self.failed:
            return function(*given, **named)
        try:
            if function not in self._compiled:
                self._compiled[function] = torch.compile(function, dynamic=False, backend=self.backend)
            return self._compiled[function](*given, **named)
        except Exception as error:  # a missing compiler raises errors of many types; one of the chain comes again below
            self.failed = True
            reason = str(error).strip().partition("\n")[0]
            self.note(f"chains of operations are not compiled ({type(error).__name__}: {reason})")
        return function(*given, **named)


_in_use: ContextVar[Compiler | None] = ContextVar("compiler", default=None)


def chain(function: Callable[_Given, _Made]) -> Callable[_Given, _Made]:
    """Decorate a function of tensors that a compiler may fuse. It must not change its arguments."""

    @functools.wraps(function)
    def run(*given: _Given.args, **named: _Given.kwargs) -> _Made:
        compiler = _in_use.get()
        if compiler is None:
            return function(*given, **named)
        made: _Made = compiler.call(function, given, named)
        return made

    return run
