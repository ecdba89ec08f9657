"""Tasks side by side: in this process, in processes of this machine, or on a dask cluster, through joblib."""

from __future__ import annotations

import concurrent.futures.process
import contextlib
import logging
import signal
import threading
import warnings
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar

import joblib

from d2crealsr.errors import MachineError, SettingsError
from d2crealsr.threads import threads_restored

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

__all__ = ["Backend", "run_tasks"]

Backend: TypeAlias = Literal["loky", "dask"]

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def run_tasks(
    function: Callable[[_Task], _Result],
    tasks: Sequence[_Task],
    *,
    jobs: int = 1,
    backend: Backend = "loky",
    scheduler: str | None = None,
    on_lost: Callable[[_Task], _Result],
) -> Generator[_Result]:
    """Results of ``function`` over the tasks, in the order of finishing. Closing the generator ends the run.

    A worker that dies does not say over which task. Those that were handed out and not finished are done once more,
    each by itself; one whose worker dies then too is lost. So what is lost depends on the tasks alone.

    Parameters
    ----------
    jobs : int
        Tasks at a time, 0 for one a core; 1 with backend loky runs in this process, where nothing can be lost but all.
        A dask cluster that ``scheduler`` names decides for itself.
    scheduler : str, optional
        Address of a dask scheduler; without it backend dask starts ``jobs`` workers on this machine.
    on_lost : callable
        The result of a task that is lost; called in this process.

    Raises
    ------
    SettingsError
        When the settings contradict each other or dask is not installed.
    MachineError
        When the cluster is lost.
    """
    if backend == "loky" and scheduler is not None:
        raise SettingsError(f"scheduler: got {scheduler!r} with backend loky; add --backend dask")
    jobs = joblib.cpu_count() if jobs == 0 else jobs
    left, suspects = dict(enumerate(tasks)), list[int]()
    with threads_restored(), _backend(jobs, backend, scheduler) as pool:
        while left:
            alone = suspects.pop(0) if suspects else None
            handed_out: list[int] = []
            results = _parallel(function, left if alone is None else {alone: left[alone]}, pool, handed_out)
            try:
                with contextlib.closing(results):
                    for number, result in results:
                        del left[number]
                        yield result
            except pool.worker_died:
                if alone is None:
                    suspects = [number for number in handed_out if number in left]
                else:
                    yield on_lost(left.pop(alone))


class _Pool(NamedTuple):
    """How to ask joblib for workers, and what it raises when one of them dies."""

    n_jobs: int
    worker_died: tuple[type[Exception], ...]


def _parallel(
    function: Callable[[_Task], _Result], tasks: Mapping[int, _Task], pool: _Pool, handed_out: list[int]
) -> Generator[tuple[int, _Result]]:
    """Results with their tasks' numbers; ``handed_out`` is told which tasks workers have been given."""

    def calls() -> Iterator[Any]:
        for number, task in list(tasks.items()):
            handed_out.append(number)
            yield joblib.delayed(_numbered)(function, number, task)

    # no task waits in a worker's queue: those that a dying worker takes with it are few
    parallel = joblib.Parallel(n_jobs=pool.n_jobs, batch_size=1, pre_dispatch="n_jobs", return_as="generator_unordered")
    results = parallel(calls())
    try:
        for result in results:  # noqa: UP028, `yield from` would hand an early close on past the next lines
            yield result
    finally:
        _close(results)


def _numbered(function: Callable[[_Task], _Result], number: int, task: _Task) -> tuple[int, _Result]:
    return number, function(task)


def _close(results: Any) -> None:
    """End a run early without joblib's advice to ask for less: the run was interrupted, not planned badly."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, message=r".*tasks (have been|which were)")
        results.close()


@contextlib.contextmanager
def _backend(jobs: int, backend: Backend, scheduler: str | None) -> Iterator[_Pool]:
    """joblib's backend as the current one."""
    if backend == "loky":
        with joblib.parallel_config(backend="loky"):
            yield _Pool(jobs, (concurrent.futures.process.BrokenProcessPool,))
        return
    try:
        import distributed
    except ImportError as error:
        raise SettingsError("backend: dask is not installed; pip install 'd2crealsr[dask]'") from error
    with _client(distributed, jobs, scheduler), joblib.parallel_config(backend="dask"):
        yield _Pool(-1, (distributed.KilledWorker,))


def _client(distributed: Any, jobs: int, scheduler: str | None) -> Any:
    try:
        if scheduler is None:
            with _interrupts_stay_here():
                return distributed.Client(
                    n_workers=jobs, threads_per_worker=1, dashboard_address=None, silence_logs=logging.ERROR
                )
        return distributed.Client(scheduler)
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        where = "dask workers on this machine" if scheduler is None else f"scheduler {scheduler}"
        raise MachineError(f"{where}: no answer ({error}); start it, or correct --scheduler") from error


@contextlib.contextmanager
def _interrupts_stay_here() -> Iterator[None]:
    """Processes started in this block ignore Ctrl-C: this one ends them, without a traceback from each of them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
