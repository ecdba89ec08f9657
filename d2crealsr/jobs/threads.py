"""Use one thread per task. Tasks run in parallel instead, and results must not depend on the number of threads."""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import threadpoolctl

from d2crealsr import opencv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["on_one_thread", "threads_restored", "use_one_thread"]

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def use_one_thread() -> None:
    """Limit OpenCV, BLAS and OpenMP to one thread in this process from now on.

    The limit is not removed at the end of a task, because another task may run in another thread of the same worker.
    """
    opencv.use_one_thread()
    _limit_blas(1)


def on_one_thread(function: Callable[[_Task], _Result], task: _Task) -> _Result:
    """The result of a task, done on one thread."""
    use_one_thread()
    return function(task)


@contextlib.contextmanager
def threads_restored() -> Iterator[None]:
    """Restore the thread counts of the caller's process when the block ends, for tasks that ran in this process."""
    count = opencv.thread_count()
    blas = _limit_blas(None)
    try:
        yield
    finally:
        opencv.set_thread_count(count)
        blas.restore_original_limits()


def _limit_blas(count: int | None) -> Any:
    """Set the threads of every loaded BLAS and OpenMP library. The returned object stores the former limits."""
    return _libraries(len(sys.modules)).limit(limits=count)


@functools.lru_cache(maxsize=1)
def _libraries(_modules: int) -> Any:
    """The loaded libraries, which are looked for again when more modules were imported: that takes milliseconds."""
    return threadpoolctl.ThreadpoolController()
