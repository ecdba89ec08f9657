"""Run tasks in this process, in parallel processes of this machine (joblib's loky), or on a dask cluster."""

from __future__ import annotations

import asyncio
import concurrent.futures.process
import contextlib
import functools
import logging
import os
import queue
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import joblib

from d2crealsr.errors import MachineError, SettingsError
from d2crealsr.jobs.threads import threads_restored, use_one_thread
from d2crealsr.ui.interrupts import interrupts_stay_here
from d2crealsr.ui.versions import how_to_install

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

__all__ = ["Backend", "run_in_order", "run_tasks"]

Backend: TypeAlias = Literal["loky", "dask"]

_PATIENCE_SECONDS = 30.0
"""Longest time that a dask scheduler may take to answer."""
_WORKERS_AWAITED_SECONDS = 60.0
"""Longest time that a dask cluster may have no worker while there are tasks."""

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def run_tasks(
    function: Callable[[_Task], _Result],
    tasks: Sequence[_Task],
    *,
    jobs: int = 1,
    backend: Backend = "loky",
    scheduler: str | None = None,
    on_lost: Callable[[_Task], _Result] | None = None,
) -> Generator[_Result]:
    """Results of ``function`` for the tasks, in the order of finishing. Closing the generator ends the run.

    Each task uses one thread, so that results do not depend on how many tasks run in parallel.

    When a worker dies, it is not known which of the running tasks was the cause. The unfinished ones are therefore done
    once more, each by itself. A task whose worker dies then too is lost. So the lost tasks do not depend on chance.

    Parameters
    ----------
    jobs : int
        Tasks at a time; 0 for one per core. With backend loky, 1 runs the tasks in this process, where a task that
        kills its process ends the run. It does not apply to a dask cluster that ``scheduler`` names.
    scheduler : str, optional
        Address of a dask scheduler. Without it, backend dask starts ``jobs`` workers on this machine.
    on_lost : callable, optional
        Returns the result of a lost task; it is called in this process. Without it a lost task ends the run.

    Raises
    ------
    SettingsError
        When the settings contradict each other or dask is not installed.
    MachineError
        When the cluster or a task is lost.
    """
    if backend == "loky" and scheduler is not None:
        raise SettingsError(f"scheduler: got {scheduler!r} with backend loky; add --backend dask")
    jobs = min(jobs if jobs > 0 else joblib.cpu_count(), max(2, len(tasks)))
    left, suspects = dict(enumerate(tasks)), list[int]()
    with threads_restored(), _backend(jobs, backend, scheduler) as do_once:
        while left:
            alone = suspects.pop(0) if suspects else None
            died: list[int] = []
            results = do_once(function, left if alone is None else {alone: left[alone]}, died)
            with contextlib.closing(results):
                for number, result in results:
                    del left[number]
                    yield result
            if alone is None:
                suspects = died
            elif died and on_lost is None:
                raise MachineError(
                    "a worker process was killed twice, as happens when memory runs out; use fewer --jobs"
                )
            elif died and on_lost is not None:
                yield on_lost(left.pop(alone))


def run_in_order(function: Callable[[_Task], _Result], tasks: Sequence[_Task], *, jobs: int = 1) -> Generator[_Result]:
    """As :func:`run_tasks`, but in the order of the tasks. Results that are early wait in memory."""
    early: dict[int, _Result] = {}
    numbered = functools.partial(_with_number, function)
    with contextlib.closing(run_tasks(numbered, list(enumerate(tasks)), jobs=jobs)) as results:
        for number in range(len(tasks)):
            while number not in early:
                early.update([next(results)])
            yield early.pop(number)


def _with_number(function: Callable[[_Task], _Result], task: tuple[int, _Task]) -> tuple[int, _Result]:
    return task[0], function(task[1])


def _on_one_thread(function: Callable[[_Task], _Result], task: _Task) -> _Result:
    """The result of a task. Threads are limited for each task, because workers of a dask cluster are not ours."""
    use_one_thread()
    return function(task)


def _on_loky(
    jobs: int, function: Callable[[_Task], _Result], tasks: Mapping[int, _Task], died: list[int]
) -> Generator[tuple[int, _Result]]:
    """Results with the numbers of their tasks, until a worker dies. ``died`` then gets all tasks it may have had."""
    handed_out: list[int] = []

    def calls() -> Iterator[Any]:
        for number, task in list(tasks.items()):
            handed_out.append(number)
            yield joblib.delayed(_numbered)(function, number, task, os.getpid())

    # "n_jobs": no task waits in a worker's queue, so only few tasks are affected when a worker dies
    parallel = joblib.Parallel(n_jobs=jobs, batch_size=1, pre_dispatch="n_jobs", return_as="generator_unordered")
    with interrupts_stay_here():
        results = parallel(calls())
    try:
        for number, result in results:
            handed_out.remove(number)
            yield number, result
    except concurrent.futures.process.BrokenProcessPool:
        died.extend(handed_out)
    finally:
        _close(results)


def _on_dask(
    client: Any, function: Callable[[_Task], _Result], tasks: Mapping[int, _Task], died: list[int]
) -> Generator[tuple[int, _Result]]:
    """As :func:`_on_loky`, but ``died`` gets only tasks that dask itself gave up, and all others are done.

    It does not use joblib, whose dask backend waits forever when a worker dies.
    """
    import distributed.comm

    library: Any = distributed  # only partly typed
    gone = (asyncio.CancelledError, concurrent.futures.CancelledError, library.comm.CommClosedError)
    numbers = {client.submit(_on_one_thread, function, task, pure=False): number for number, task in tasks.items()}
    try:
        for future in _completed(library, client, list(numbers)):
            try:
                result = future.result()
            except library.KilledWorker:
                died.append(numbers[future])
                continue
            except gone as error:
                raise MachineError("the dask scheduler is gone; start it, and run the same command again") from error
            yield numbers.pop(future), result
            future.release()
    finally:
        with contextlib.suppress(OSError, TimeoutError):
            client.cancel(list(numbers))


def _completed(library: Any, client: Any, futures: list[Any]) -> Generator[Any]:
    """Futures as they are done; raises MachineError if the cluster has no worker for too long.

    The nanny of a worker that died starts it again, but on a machine with too little memory a nanny may give up.
    """
    completed = library.as_completed(futures)
    seen = asked = time.monotonic()
    while not completed.is_empty():
        if completed.has_ready():
            yield next(completed)
            continue
        time.sleep(0.02)
        now = time.monotonic()
        if now - asked < 1.0:
            continue
        asked = now
        with contextlib.suppress(OSError):  # a lost scheduler cancels the futures
            if client.nthreads():
                seen = now
            elif now - seen > _WORKERS_AWAITED_SECONDS:
                raise MachineError("the dask cluster has no workers; start some, and run the same command again")


def _numbered(function: Callable[[_Task], _Result], number: int, task: _Task, parent: int) -> tuple[int, _Result]:
    if parent != os.getpid():
        _end_with(parent)
    return number, _on_one_thread(function, task)


@functools.cache
def _end_with(parent: int) -> None:
    """Make this worker process end soon after its parent, because loky's workers would outlive a killed parent."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _close(results: Any) -> None:
    """End a run early, without joblib's warning about unused results, as the run was interrupted on purpose."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, message=r".*tasks (have been|which were)")
        results.close()


@contextlib.contextmanager
def _backend(jobs: int, backend: Backend, scheduler: str | None) -> Iterator[Any]:
    """A function that does each task once: :func:`_on_loky` or :func:`_on_dask` with its workers."""
    if backend == "loky":
        with joblib.parallel_config(backend="loky"):
            yield functools.partial(_on_loky, jobs)
        return
    try:
        import distributed
    except ImportError as error:
        raise SettingsError(f"backend: dask is not installed; {how_to_install('dask')}") from error
    with _client(distributed, jobs, scheduler) as client:
        yield functools.partial(_on_dask, client)


def _client(distributed: Any, jobs: int, scheduler: str | None) -> Any:
    try:
        if scheduler is None:
            with interrupts_stay_here():
                return distributed.Client(
                    n_workers=jobs, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL
                )
        return _within(_PATIENCE_SECONDS, lambda: distributed.Client(scheduler, timeout=_PATIENCE_SECONDS))
    except Exception as error:  # the exceptions depend on the version of dask
        where = "dask workers on this machine" if scheduler is None else f"scheduler {scheduler}"
        raise MachineError(f"{where}: no answer ({error}); start it, or correct --scheduler") from error


def _within(seconds: float, connect: Callable[[], Any]) -> Any:
    """The result of a function; raises TimeoutError if it takes longer, as with a scheduler that never answers."""
    answers: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put((connect(), None))
        except Exception as error:
            answers.put((None, error))

    threading.Thread(target=ask, name="connect", daemon=True).start()
    try:
        made, error = answers.get(timeout=seconds)
    except queue.Empty as empty:
        raise TimeoutError(f"nothing said for {seconds:g} s") from empty
    if error is not None:
        raise error
    return made
