"""Tasks side by side: in this process, in processes of this machine, or on a dask cluster, through joblib."""

from __future__ import annotations

import concurrent.futures.process
import contextlib
import logging
import signal
import threading
import warnings
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import joblib

from d2crealsr.errors import MachineError, SettingsError
from d2crealsr.threads import threads_restored

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

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
) -> Generator[_Result]:
    """Results of ``function`` over the tasks, in the order of finishing. Closing the generator ends the run.

    Parameters
    ----------
    jobs : int
        Tasks at a time, 0 for one a core; 1 with backend loky runs in this process. A dask cluster that ``scheduler``
        names decides for itself.
    scheduler : str, optional
        Address of a dask scheduler; without it backend dask starts ``jobs`` workers on this machine.

    Raises
    ------
    SettingsError
        When the settings contradict each other or dask is not installed.
    MachineError
        When a worker or the cluster is lost.
    """
    if backend == "loky" and scheduler is not None:
        raise SettingsError(f"scheduler: got {scheduler!r} with backend loky; add --backend dask")
    jobs = joblib.cpu_count() if jobs == 0 else jobs
    try:
        with threads_restored(), _backend(jobs, backend, scheduler) as n_jobs:
            parallel = joblib.Parallel(n_jobs=n_jobs, batch_size=1, return_as="generator_unordered")
            results = parallel(joblib.delayed(function)(task) for task in tasks)
            try:
                for result in results:  # noqa: UP028, `yield from` would hand an early close on past the next lines
                    yield result
            finally:
                _close(results)
    except concurrent.futures.process.BrokenProcessPool as error:
        raise MachineError("a worker died, perhaps for lack of memory; run the same again with fewer --jobs") from error


def _close(results: Any) -> None:
    """End a run early without joblib's advice to ask for less: the run was interrupted, not planned badly."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, message=r".*tasks (have been|which were)")
        results.close()


@contextlib.contextmanager
def _backend(jobs: int, backend: Backend, scheduler: str | None) -> Iterator[int]:
    """joblib's backend as the current one; yields the number of jobs to ask it for."""
    if backend == "loky":
        with joblib.parallel_config(backend="loky"):
            yield jobs
        return
    try:
        import distributed
    except ImportError as error:
        raise SettingsError("backend: dask is not installed; pip install 'd2crealsr[dask]'") from error
    with _client(distributed, jobs, scheduler), joblib.parallel_config(backend="dask"):
        try:
            yield -1
        except distributed.KilledWorker as error:
            raise MachineError("dask gave a scene up after its workers died; look at their memory and logs") from error


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
