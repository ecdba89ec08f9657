"""Run tasks on a dask cluster: what happens when a worker dies, stops or lacks something, or the scheduler is gone.

joblib is not used, because its dask backend waits forever when a worker dies.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import queue
import socket
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from d2crealsr.errors import MachineError, SettingsError, WorkerWarning
from d2crealsr.jobs.threads import on_one_thread
from d2crealsr.ui.interrupts import interrupts_stay_here
from d2crealsr.ui.versions import how_to_install

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

__all__ = ["Cluster", "Lacking", "Patience", "open_cluster"]

_SECONDS_TO_RESTART = 10.0
"""Longest time that the nanny of a silent worker may take to end it."""
_AGAIN = "and run the same command again"
_GONE = f"the dask scheduler is gone; start it, {_AGAIN}"

Lacking: TypeAlias = "Callable[[], str]"
"""Says what the machine on which it is called lacks for the tasks, as in ``does not see /data``; empty for nothing."""

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


class Patience(NamedTuple):
    """Seconds after which something is given up.

    Attributes
    ----------
    answer : float
        Longest time that a scheduler may take to answer, and a worker that is asked what it lacks.
    workers : float
        Longest time that a cluster may have no worker while there are tasks.
    silence : float
        Longest time without a sign of life from a worker, which sends one every few seconds, also while it computes.
    """

    answer: float
    workers: float
    silence: float


@contextlib.contextmanager
def open_cluster(jobs: int, scheduler: str | None, patience: Patience, lacking: Lacking | None) -> Iterator[Cluster]:
    """The cluster of a scheduler, or one of ``jobs`` workers on this machine, whose workers lack nothing.

    Raises
    ------
    SettingsError
        When dask is not installed.
    MachineError
        When the scheduler does not answer, or a worker lacks something.
    """
    try:
        import distributed
    except ImportError as error:
        raise SettingsError(f"backend: dask is not installed; {how_to_install('dask')}") from error
    client = _client(distributed, jobs, scheduler, patience.answer)
    try:
        cluster = Cluster(client, patience, lacking)
        cluster.refuse_lacking_workers()
        yield cluster
    finally:
        with contextlib.suppress(OSError, AssertionError):  # a silent scheduler is not waited for
            client.close(timeout=patience.answer)


class Cluster:
    """Tasks on the workers of a dask cluster."""

    def __init__(self, client: Any, patience: Patience, lacking: Lacking | None = None) -> None:
        self._client, self._patience, self._lacking = client, patience, lacking
        self._had_workers = time.monotonic()
        self._heard: dict[str, tuple[float, float]] = {}
        self._silent: list[str] = []
        self._lost = False

    def do_once(
        self, function: Callable[[_Task], _Result], tasks: Mapping[int, _Task], died: list[int]
    ) -> Generator[tuple[int, _Result]]:
        """Results with the numbers of their tasks. ``died`` gets the tasks that dask gave up; all others are done.

        dask does a task again whose worker is lost, and gives it up after several workers.
        """
        import distributed.comm

        library: Any = distributed  # only partly typed
        gone = (asyncio.CancelledError, concurrent.futures.CancelledError, library.comm.CommClosedError)
        submit = self._client.submit
        numbers = {submit(_done, self._lacking, function, task, pure=False): number for number, task in tasks.items()}
        try:
            for future in self._completed(library.as_completed(list(numbers))):
                try:
                    result = future.result()
                except library.KilledWorker:
                    died.append(numbers[future])
                    continue
                except gone as error:
                    raise MachineError(_GONE) from error
                yield numbers.pop(future), result
                future.release()
        finally:
            with contextlib.suppress(OSError, RuntimeError):
                if not self._lost:
                    _within(self._patience.answer, lambda: self._client.cancel(list(numbers)))

    def refuse_lacking_workers(self) -> None:
        """Raise MachineError that names the first worker that lacks something for the tasks.

        A worker that does not answer is left to the watch for silent ones. Those that come later are asked with each
        task.
        """
        try:
            workers = self._workers()
        except OSError as error:
            raise MachineError(_GONE) from error
        if self._lacking is None or not workers:
            return

        async def ask(address: str) -> Any:
            said = self._client.run(_said_here, self._lacking, workers=[address], on_error="return")
            return (await asyncio.wait_for(said, self._patience.answer))[address]

        async def ask_all() -> list[Any]:
            return await asyncio.gather(*map(ask, workers), return_exceptions=True)

        for address, said in zip(workers, self._client.sync(ask_all), strict=True):
            if isinstance(said, Exception) and not isinstance(said, OSError):
                said = f"cannot be used ({type(said).__name__}: {said})"
            if isinstance(said, str) and said:
                raise MachineError(_about(address, said))

    def _completed(self, completed: Any) -> Generator[Any]:
        """Futures as they are done. The workers are watched while none is.

        The nanny of a worker that died starts it again, but on a machine with too little memory a nanny may give up.
        """
        asked = time.monotonic()
        while not completed.is_empty():
            if completed.has_ready():
                yield next(completed)
                continue
            time.sleep(0.02)
            if time.monotonic() - asked >= 1.0:
                self._watch()
                asked = time.monotonic()

    def _watch(self) -> None:
        """Give up silent workers; raise MachineError if there has been no worker for too long."""
        with contextlib.suppress(OSError):  # a lost scheduler cancels the futures
            workers, now = self._workers(), time.monotonic()
            for address in self._silent_among(workers, now):
                self._give_up(address)
            if workers:
                self._had_workers = now
            elif now - self._had_workers > self._patience.workers:
                silent = f" ({', '.join(self._silent)} said nothing)" if self._silent else ""
                raise MachineError(f"the dask cluster has no workers{silent}; start some, {_AGAIN}")

    def _workers(self) -> dict[str, Any]:
        """What the scheduler knows of each worker by its address; raises MachineError if it says nothing."""
        seconds = self._patience.answer
        try:
            return dict(self._client.sync(self._client.scheduler.identity, callback_timeout=seconds)["workers"])
        except TimeoutError as error:
            self._lost = True
            raise MachineError(
                f"the dask scheduler has said nothing for {seconds:g} s; start it again, {_AGAIN}"
            ) from error

    def _silent_among(self, workers: Mapping[str, Any], now: float) -> list[str]:
        """Addresses of the workers without a new sign of life. Clocks of other machines are not compared with ours."""
        for address, known in workers.items():
            if self._heard.get(address, (None,))[0] != known["last_seen"]:
                self._heard[address] = (known["last_seen"], now)
        return [address for address in workers if now - self._heard[address][1] > self._patience.silence]

    def _give_up(self, address: str) -> None:
        """Take the tasks of a silent worker away from it. Its nanny, if it has one, starts another in its place."""
        self._silent.append(address)
        self._heard.pop(address)
        warnings.warn(
            f"dask worker {address} has said nothing for {self._patience.silence:g} s; it is given up, and others do "
            "its work",
            WorkerWarning,
            stacklevel=2,
        )
        self._client.sync(
            self._client.scheduler.restart_workers,
            workers=[address],
            stimulus_id=f"silent-{time.time()}",
            timeout=_SECONDS_TO_RESTART,
            wait_for_workers=False,
            on_error="return",
            callback_timeout=_SECONDS_TO_RESTART + self._patience.answer,
        )


def _done(lacking: Lacking | None, function: Callable[[_Task], _Result], task: _Task) -> _Result:
    """The result of a task, on a worker. Threads are limited for each task, because the worker is not ours."""
    if lacking is not None and (said := _said_here(lacking)):
        import distributed

        worker: Any = distributed.get_worker()
        raise MachineError(_about(worker.address, said))
    return on_one_thread(function, task)


def _said_here(lacking: Lacking) -> str:
    said = lacking()
    return f"on {socket.gethostname()} {said}" if said else ""


def _about(address: str, said: str) -> str:
    return f"dask worker {address} {said}; mend that or stop this worker, {_AGAIN}"


def _client(distributed: Any, jobs: int, scheduler: str | None, seconds: float) -> Any:
    try:
        if scheduler is None:
            with interrupts_stay_here():
                return distributed.Client(
                    n_workers=jobs, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL
                )
        return _within(seconds, lambda: distributed.Client(scheduler, timeout=seconds))
    except Exception as error:  # the exceptions depend on the version of dask
        where = "dask workers on this machine" if scheduler is None else f"scheduler {scheduler}"
        raise MachineError(f"{where}: no answer ({error}); start it, or correct --scheduler") from error


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """The result of a function; raises TimeoutError if it takes longer, as with a scheduler that never answers."""
    answers: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put((call(), None))
        except Exception as error:
            answers.put((None, error))

    threading.Thread(target=ask, name="dask", daemon=True).start()
    try:
        made, error = answers.get(timeout=seconds)
    except queue.Empty as empty:
        raise TimeoutError(f"nothing said for {seconds:g} s") from empty
    if error is not None:
        raise error
    return made
