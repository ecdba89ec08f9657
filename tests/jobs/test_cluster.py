"""A dask cluster as people run it: workers that lack something, are killed or stop, and a scheduler that is gone."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from d2crealsr.errors import MachineError, WorkerWarning
from d2crealsr.jobs import workers
from d2crealsr.jobs.cluster import Cluster, Patience
from d2crealsr.jobs.workers import run_tasks

if TYPE_CHECKING:
    from collections.abc import Iterator

distributed: Any = pytest.importorskip("distributed")

PATIENCE = Patience(answer=5.0, workers=5.0, silence=10.0)


@pytest.fixture
def in_process() -> Iterator[str]:
    """The scheduler of a cluster whose two workers are threads of this process."""
    with distributed.LocalCluster(
        n_workers=2, processes=False, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        yield cluster.scheduler_address


def not_the_first_one(flag: Path) -> str:
    if flag.exists():
        return "does not see /data"
    flag.touch()
    return ""


def there_is(path: Path) -> str:
    return f"has {path.name}" if path.exists() else ""


def is_not_installed() -> str:
    raise ModuleNotFoundError("No module named 'd2crealsr'")


def made(path: Path, task: int) -> int:
    path.touch()
    return task


def test_a_worker_that_does_not_see_the_folders_is_named_before_the_first_task(in_process: str, tmp_path: Path) -> None:
    lacking = functools.partial(not_the_first_one, tmp_path / "asked")
    task = functools.partial(made, tmp_path / "begun")
    said = (
        r"^dask worker inproc://\S+ on \S+ does not see /data; mend that or stop this worker, and run the same command"
    )
    with pytest.raises(MachineError, match=said):
        list(run_tasks(task, [1, 2], backend="dask", scheduler=in_process, lacking=lacking))
    assert not (tmp_path / "begun").exists()


def test_a_worker_without_the_package_is_named(in_process: str) -> None:
    with pytest.raises(MachineError, match=r"inproc://\S+ cannot be used \(ModuleNotFoundError: No module named 'd2c"):
        list(run_tasks(abs, [1], backend="dask", scheduler=in_process, lacking=is_not_installed))


def test_a_worker_that_comes_later_is_asked_with_its_task(in_process: str, tmp_path: Path) -> None:
    lacking, task = functools.partial(there_is, tmp_path / "late"), functools.partial(made, tmp_path / "late")
    with pytest.raises(MachineError, match="has late; mend that"):
        list(run_tasks(task, range(4), backend="dask", scheduler=in_process, lacking=lacking))


def test_only_a_worker_without_a_new_sign_of_life_is_silent() -> None:
    cluster = Cluster(None, PATIENCE)
    assert cluster._silent_among({"a": {"last_seen": 1.0}, "b": {"last_seen": 1.0}}, now=100.0) == []
    assert cluster._silent_among({"a": {"last_seen": 1.0}, "b": {"last_seen": 9.0}}, now=109.0) == []
    assert cluster._silent_among({"a": {"last_seen": 1.0}, "b": {"last_seen": 9.0}}, now=111.0) == ["a"]


def stops_its_process_once(flag: Path, task: int) -> int:
    if task == 1 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return task


@pytest.mark.slow
def test_a_stopped_worker_is_named_and_others_do_its_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_SILENCE_SECONDS", 3.0)
    once = functools.partial(stops_its_process_once, tmp_path / "stopped")
    with pytest.warns(
        WorkerWarning, match=r"^dask worker tcp://\S+ has said nothing for 3 s; it is given up, and others"
    ):
        assert sorted(run_tasks(once, range(6), backend="dask", jobs=2)) == list(range(6))
    assert (tmp_path / "stopped").exists()


SCHEDULER = """
import sys, time, distributed
if __name__ == "__main__":
    cluster = distributed.LocalCluster(n_workers=1, processes=False, threads_per_worker=1, dashboard_address=":0",
                                       protocol="tcp")
    print(cluster.scheduler_address, flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def scheduler_elsewhere() -> Iterator[tuple[str, int]]:
    """Address and process of a scheduler with one worker."""
    with subprocess.Popen([sys.executable, "-c", SCHEDULER], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.kill()


def slowly(task: int) -> int:
    time.sleep(0.2)
    return task


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (signal.SIGKILL, "^the dask scheduler is gone; start it"),
        (signal.SIGSTOP, "^the dask scheduler has said nothing for 2 s; start it again"),
    ],
    ids=["killed", "stopped"],
)
def test_a_scheduler_that_goes_ends_the_run_in_one_line(
    sent: signal.Signals, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_PATIENCE_SECONDS", 2.0)
    with scheduler_elsewhere() as (address, process):
        results = run_tasks(slowly, range(20), backend="dask", scheduler=address)
        next(results)
        os.kill(process, sent)
        with pytest.raises(MachineError, match=said):
            list(results)
