"""One thread a scene, whatever runs it: speed comes from scenes side by side, and bytes must not depend on threads."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import threadpoolctl

from d2crealsr import opencv

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["threads_restored", "use_one_thread"]


def use_one_thread() -> None:
    """Keep OpenCV, BLAS and OpenMP to one thread in this process from now on.

    It is not undone at the end of a task: another task may run in another thread of the same worker.
    """
    opencv.use_one_thread()
    _limit_blas(1)


@contextlib.contextmanager
def threads_restored() -> Iterator[None]:
    """Give the caller's process its thread counts back when the block ends, for tasks that ran in it."""
    count = opencv.thread_count()
    blas = _limit_blas(None)
    try:
        yield
    finally:
        opencv.set_thread_count(count)
        blas.restore_original_limits()


def _limit_blas(count: int | None) -> Any:
    """Set the threads of every loaded BLAS and OpenMP library; the returned limits remember what was before."""
    return threadpoolctl.threadpool_limits(limits=count)
