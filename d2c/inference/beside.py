"""Decode the next files and encode the finished ones in threads, while a card computes.

The files are worked on in their order, and so are their messages: a file is concluded after all files before it.
"""

from __future__ import annotations

import contextlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

__all__ = ["computes_beside", "work_through"]

J = TypeVar("J")
R = TypeVar("R")

_AHEAD = 2
"""Number of files that are decoded before they are needed."""


def computes_beside(device: torch.device) -> bool:
    """Whether the processor is free while a device computes. If the processor computes, threads would only hinder."""
    return device.type == "cuda"


def work_through(
    jobs: Sequence[J],
    read: Callable[[J], R],
    compute: Callable[[J, R], Callable[[], None]],
    conclude: Callable[[J, Callable[[], None]], None],
    *,
    threads: bool,
    room: Callable[[J, J], bool] = lambda written, computed: True,
) -> None:
    """Do each job: read, compute, and then call what ``compute`` returns, which writes.

    Parameters
    ----------
    conclude : callable
        Called for each job in turn, with a function that waits for it and raises what failed in it.
    threads : bool
        Whether reading and writing run in a thread each, beside the computation. At most two jobs are read ahead, and
        one is being written. Otherwise all is done in turn.
    room : callable
        Whether one job may be written while another one is computed.
    """
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(_one_thread(threads, finishes=False))
        writer = stack.enter_context(_one_thread(threads, finishes=True))
        ahead: deque[Future[R]] = deque()
        left, writing = deque(jobs), deque[tuple[J, Future[None]]]()
        for job in jobs:
            while left and len(ahead) <= (_AHEAD if threads else 0):
                ahead.append(_started(reader, read, left.popleft()))
            if writing and not room(writing[0][0], job):
                _conclude_all(writing, conclude)
            written = _computed(writer, job, ahead.popleft(), compute)
            failed = written.done() and written.exception() is not None
            _conclude_all(writing, conclude)
            writing.append((job, written))
            if failed or not threads:
                _conclude_all(writing, conclude)
        _conclude_all(writing, conclude)


def _computed(
    writer: ThreadPoolExecutor | None, job: J, decoded: Future[R], compute: Callable[[J, R], Callable[[], None]]
) -> Future[None]:
    """Compute a job, and begin to write it. What fails is in the future."""
    try:
        write = compute(job, decoded.result())
    except Exception as error:
        failed: Future[None] = Future()
        failed.set_exception(error)
        return failed
    return _started(writer, write)


def _conclude_all(writing: deque[tuple[J, Future[None]]], conclude: Callable[[J, Callable[[], None]], None]) -> None:
    while writing:
        job, written = writing.popleft()
        conclude(job, written.result)


@contextlib.contextmanager
def _one_thread(wanted: bool, *, finishes: bool) -> Iterator[ThreadPoolExecutor | None]:
    """A thread. After an interruption it ends what it does at the moment; if it ``finishes``, all that it was given."""
    if not wanted:
        yield None
        return
    pool = ThreadPoolExecutor(1, thread_name_prefix="beside")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=not finishes)


def _started(pool: ThreadPoolExecutor | None, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """The work in a thread, or done at once."""
    if pool is not None:
        return pool.submit(work, *arguments)
    done: Future[Any] = Future()
    try:
        done.set_result(work(*arguments))
    except Exception as error:
        done.set_exception(error)
    return done
