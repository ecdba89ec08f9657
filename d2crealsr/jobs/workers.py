"""Run tasks in this process, in parallel processes of this machine (joblib's loky), or on a dask cluster."""

from __future__ import annotations

import concurrent.futures.process
import contextlib
import functools
import os
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import joblib

from d2crealsr.errors import MachineError, SettingsError
from d2crealsr.jobs.cluster import Patience, open_cluster
from d2crealsr.jobs.threads import on_one_thread, threads_restored
from d2crealsr.ui.interrupts import interrupts_stay_here

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from d2crealsr.jobs.cluster import Lacking

__all__ = ["Backend", "run_in_order", "run_tasks"]

Backend: TypeAlias = Literal["loky", "dask"]

_PATIENCE_SECONDS = 30.0
"""Longest time that a dask scheduler may take to answer."""
_WORKERS_AWAITED_SECONDS = 60.0
"""Longest time that a dask cluster may have no worker while there are tasks."""
_SILENCE_SECONDS = 60.0
"""Longest time without a sign of life from a dask worker."""

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
    lacking: Lacking | None = None,
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
    lacking : callable, optional
        Called on each dask worker at the start and before every task: says what its machine lacks for the tasks.

    Raises
    ------
    SettingsError
        When the settings contradict each other or dask is not installed.
    MachineError
        When the cluster or a task is lost, or a worker lacks something.
    """
    if backend == "loky" and scheduler is not None:
        raise SettingsError(f"scheduler: got {scheduler!r} with backend loky; add --backend dask")
    jobs = min(jobs if jobs > 0 else joblib.cpu_count(), max(2, len(tasks)))
    left, suspects = dict(enumerate(tasks)), list[int]()
    with threads_restored(), _backend(jobs, backend, scheduler, lacking) as do_once:
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


def _numbered(function: Callable[[_Task], _Result], number: int, task: _Task, parent: int) -> tuple[int, _Result]:
    if parent != os.getpid():
        _end_with(parent)
    return number, on_one_thread(function, task)


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
def _backend(jobs: int, backend: Backend, scheduler: str | None, lacking: Lacking | None) -> Iterator[Any]:
    """A function that does each task once, with its workers: :func:`_on_loky` or :meth:`Cluster.do_once`."""
    if backend == "loky":
        with joblib.parallel_config(backend="loky"):
            yield functools.partial(_on_loky, jobs)
        return
    patience = Patience(_PATIENCE_SECONDS, _WORKERS_AWAITED_SECONDS, _SILENCE_SECONDS)
    with open_cluster(jobs, scheduler, patience, lacking) as cluster:
        yield cluster.do_once
