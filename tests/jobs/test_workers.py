"""The one pool: results in order, one thread a task, a worker that dies; and the one option `--jobs`."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from d2crealsr import opencv
from d2crealsr.command.cli import main
from d2crealsr.errors import MachineError
from d2crealsr.jobs.workers import run_in_order, run_tasks
from d2crealsr.ui.interrupts import interrupts_stay_here


def threads_of(task: int) -> tuple[int, int]:
    return task, opencv.thread_count()


def test_results_come_in_order_and_each_task_has_one_thread() -> None:
    before = opencv.thread_count()
    for jobs in (1, 2):
        assert list(run_in_order(threads_of, range(5), jobs=jobs)) == [(task, 1) for task in range(5)]
    assert opencv.thread_count() == before


def test_results_that_are_early_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def backwards(function, tasks, *, jobs):  # type: ignore[no-untyped-def]
        yield from (function(task) for task in reversed(tasks))

    monkeypatch.setattr("d2crealsr.jobs.workers.run_tasks", backwards)
    assert list(run_in_order(abs, [-1, -2, -3])) == [1, 2, 3]


def kill_own_process(task: int) -> int:
    if task == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def ignores_ctrl_c(task: int) -> tuple[int, bool]:
    return os.getpid(), signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system has no signal masks")
def test_ctrl_c_reaches_this_process_and_no_worker() -> None:
    found = list(run_in_order(ignores_ctrl_c, range(3), jobs=2))
    assert all(ignored for _, ignored in found)
    assert os.getpid() not in {pid for pid, _ in found}
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system has no signal masks")
def test_ctrl_c_while_workers_start_is_not_lost() -> None:
    started = []

    def start() -> None:
        with interrupts_stay_here():
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # to this thread: another one does not block it
            started.append("all")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert started == ["all"]


def test_a_worker_that_dies_ends_the_run_in_one_line() -> None:
    with pytest.raises(MachineError, match=r"^a worker process was killed twice.*; use fewer --jobs$"):
        list(run_tasks(kill_own_process, [0, 1, 2], jobs=2))


def test_every_command_that_works_scene_by_scene_has_the_same_jobs() -> None:
    found = {name: [p for p in command.params if p.name == "jobs"] for name, command in main.commands.items()}
    having = {name: options[0] for name, options in found.items() if options}
    assert set(having) == {"align", "audit", "import", "ingest", "report", "simulate", "validate", "verify"}
    assert len({(option.default, option.help, repr(option.type)) for option in having.values()}) == 1
