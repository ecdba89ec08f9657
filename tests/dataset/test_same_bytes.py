"""The same bytes for any number of jobs, any backend, interrupted or not."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from d2crealsr.dataset.build import build
from d2crealsr.errors import MachineError
from d2crealsr.store.images import read_image, write_image
from d2crealsr.store.pairs import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    Aligner = Callable[..., Any]


def content(out: Path) -> dict[str, bytes]:
    """All files but what is allowed to differ: seconds, dates, hosts, the log and the lock."""
    files = (path for path in out.rglob("*") if path.is_file() and not path.name.startswith("."))
    skipped = ("timings.csv", "errors.log")
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files if path.name not in skipped}


@pytest.fixture
def mixed(make_raw: Callable[[Path, list[str]], Path], tmp_path: Path) -> Path:
    """Captures of which some fail and one is rejected."""
    raw = make_raw(tmp_path / "raw", [f"{number:02d}" for number in range(8)])
    write_image(raw / "lr" / "02.png", np.zeros((48, 64, 3), dtype=np.uint8))
    write_image(raw / "lr" / "03.png", np.full((48, 64, 3), 7, dtype=np.uint8))
    write_image(raw / "lr" / "05.png", np.full((48, 64, 3), (255, 0, 0), dtype=np.uint8))
    (raw / "lr" / "04.png").unlink()
    (raw / "hr" / "06.png").write_bytes(b"\x89PNG")
    return raw


@pytest.fixture
def expected(mixed: Path, tmp_path: Path, aligner: Aligner) -> dict[str, bytes]:
    assert build(mixed, tmp_path / "expected", align=aligner).status == {"accepted": 3, "rejected": 1, "failed": 4}
    return content(tmp_path / "expected")


@pytest.mark.parametrize("options", [{"jobs": 2}, {"jobs": 2, "backend": "dask"}], ids=["loky", "dask"])
def test_jobs_and_backends(
    options: dict[str, Any], mixed: Path, expected: dict[str, bytes], tmp_path: Path, aligner: Aligner
) -> None:
    build(mixed, tmp_path / "out", align=aligner, **options)
    assert content(tmp_path / "out") == expected


def test_a_cluster_by_its_address(mixed: Path, expected: dict[str, bytes], tmp_path: Path, aligner: Aligner) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        build(mixed, tmp_path / "out", align=aligner, backend="dask", scheduler=cluster.scheduler_address)
    assert content(tmp_path / "out") == expected


@pytest.mark.slow  # waits for half a minute
def test_a_scheduler_that_does_not_answer(mixed: Path, tmp_path: Path, aligner: Aligner) -> None:
    import dask
    import distributed  # noqa: F401  its own configuration first, or leaving the block would forget it

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(MachineError, match=r"scheduler tcp://127\.0\.0\.1:9: no answer"),
    ):
        build(mixed, tmp_path / "out", align=aligner, backend="dask", scheduler="tcp://127.0.0.1:9")


def test_a_cluster_without_workers_is_not_waited_for_without_end(
    mixed: Path, tmp_path: Path, aligner: Aligner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr("d2crealsr.jobs.workers._WORKERS_AWAITED_SECONDS", 0.1)
    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as cluster,
        pytest.raises(MachineError, match="the dask cluster has no workers; start some"),
    ):
        build(mixed, tmp_path / "out", align=aligner, backend="dask", scheduler=cluster.scheduler_address)


@pytest.mark.parametrize("options", [{}, {"jobs": 2}], ids=["sequential", "loky"])
def test_interrupted_by_the_keyboard_and_resumed(
    options: dict[str, Any], mixed: Path, expected: dict[str, bytes], tmp_path: Path, aligner: Aligner
) -> None:
    out, seen = tmp_path / "out", []

    def interrupt(event: Any) -> None:
        seen.append(event)
        if len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(mixed, out, align=aligner, on_event=interrupt, **options)
    assert len(read_manifest(out)) == 3
    result = build(mixed, out, align=aligner, **options)
    assert result.unchanged >= 2  # all that was done but an unforeseen failure, which is tried again
    assert content(out) == expected


def test_after_a_run_of_other_settings_and_damage(
    mixed: Path, expected: dict[str, bytes], tmp_path: Path, aligner: Aligner
) -> None:
    from d2crealsr.settings import AlignSettings

    out = tmp_path / "out"
    build(mixed, out, align=aligner, settings=AlignSettings(iters=2))
    (out / "lr" / "00.png").write_bytes(b"")
    build(mixed, out, align=aligner, settings=AlignSettings())
    assert content(out) == expected


SCRIPT = """
import sys, time
sys.path.insert(0, {here!r})
from conftest import quick_aligner
import d2crealsr.dataset.build

def slow():
    quick = quick_aligner()
    def align(hr, lr, *, settings):
        import pathlib, time
        first = pathlib.Path({first!r})
        if {longer} and first.exists():
            time.sleep({longer})
        first.touch()
        time.sleep({pause})
        return quick(hr, lr, settings=settings)
    return align

if __name__ == "__main__":
    d2crealsr.dataset.build.build.__kwdefaults__["align"] = slow()
    from d2crealsr.command.cli import main
    main(sys.argv[1:])
"""


@contextlib.contextmanager
def running(
    raw: Path,
    out: Path,
    tmp_path: Path,
    *options: str,
    until: str = "lr/[!.]*.png",
    pause: float = 0.5,
    longer: float = 0,
) -> Any:
    """`d2crealsr align` in a process group of its own, once it has such a file.

    Its aligner pauses before each pair, and for longer once one has begun: then some are left when the file is there,
    however slow the disk is.
    """
    script, first = tmp_path / "run.py", tmp_path / "begun"
    script.write_text(SCRIPT.format(here=str(Path(__file__).parent), pause=pause, longer=longer, first=str(first)))
    command = [sys.executable, str(script), "align", str(raw), "--out", str(out), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        while not any(out.glob(until)):
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("options", [(), ("--jobs", "2")], ids=["sequential", "loky"])
def test_killed_and_resumed(
    options: tuple[str, ...], mixed: Path, expected: dict[str, bytes], tmp_path: Path, aligner: Aligner
) -> None:
    out = tmp_path / "out"
    with running(mixed, out, tmp_path, *options) as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert (out / "dataset.json").exists()
    assert content(out) != expected
    build(mixed, out, align=aligner)
    assert content(out) == expected


@pytest.mark.parametrize(
    ("options", "sent", "said"),
    [
        ((), signal.SIGINT, "Interrupted"),
        (("--jobs", "2"), signal.SIGINT, "Interrupted"),
        (("--jobs", "2", "--backend", "dask"), signal.SIGINT, "Interrupted"),
        ((), signal.SIGTERM, "Terminated"),
        (("--jobs", "2"), signal.SIGTERM, "Terminated"),
    ],
    ids=["sequential", "loky", "dask", "sequential-term", "loky-term"],
)
def test_a_process_that_is_asked_to_end_says_so(
    options: tuple[str, ...],
    sent: signal.Signals,
    said: str,
    mixed: Path,
    expected: dict[str, bytes],
    tmp_path: Path,
    aligner: Aligner,
) -> None:
    out = tmp_path / "out"
    with running(mixed, out, tmp_path, *options, until="manifest.csv", longer=30) as process:
        os.killpg(process.pid, sent)  # as Ctrl-C does: to the workers as well
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 128 + sent, errors
    assert errors.splitlines()[-1].startswith(f"{said}; what is done is saved")
    assert "Traceback" not in errors
    assert len(read_manifest(out)) >= 1
    assert not list(out.rglob(".tmp-*"))
    build(mixed, out, align=aligner)
    assert content(out) == expected


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs Linux to look for processes")
def test_workers_end_soon_after_their_parent(mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with running(mixed, out, tmp_path, "--jobs", "2") as process:
        group = process.pid
        process.kill()  # the parent alone
        process.wait()
        until = time.monotonic() + 60
        while (left := processes_of(group)) and time.monotonic() < until:
            time.sleep(0.1)
        assert not left


def processes_of(group: int) -> list[str]:
    """Names of the worker processes of a process group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(state[2]) == group and state[0] != "Z" and b"LokyProcess" in (folder / "cmdline").read_bytes():
                found.append(folder.name)
    return found


def test_second_process_is_told_who_holds_the_folder(mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with running(mixed, out, tmp_path, until="dataset.json", pause=600) as process:  # it holds the folder until killed
        command = [sys.executable, "-m", "d2crealsr", "align", str(mixed), "--out", str(out)]
        second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert second.stderr.startswith(f"Error: {out}: in use by process {process.pid} on ")
    assert second.stderr.count("\n") == 1


def mortal(aligner: Aligner, deadly: float, once: Path | None = None) -> Aligner:
    """An aligner whose process is killed over captures of this mean level; only the first time where ``once`` is."""

    def align(hr: Any, lr: Any, *, settings: Any) -> Any:
        import os
        import signal

        if round(float(lr.mean()), 3) == deadly and (once is None or not once.exists()):
            if once is not None:
                once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return aligner(hr, lr, settings=settings)

    return align


def level(raw: Path, scene: str) -> float:
    return round(float(read_image(raw / "lr" / f"{scene}.png").mean()), 3)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"jobs": 2}, {"jobs": 2, "backend": "dask"}], ids=["loky", "dask"])
def test_a_scene_that_kills_its_worker_fails_alone(
    options: dict[str, Any],
    mixed: Path,
    expected: dict[str, bytes],
    tmp_path: Path,
    aligner: Aligner,
) -> None:
    out = tmp_path / "out"
    status = build(mixed, out, align=mortal(aligner, level(mixed, "01")), **options).status
    assert status == {"accepted": 2, "rejected": 1, "failed": 5}
    rows = read_manifest(out).set_index("scene")
    assert rows.loc["01", "reasons"] == "worker_died"
    assert not (out / "hr" / "01.png").exists()
    build(mixed, out, align=aligner, jobs=2)  # such a scene is never taken for done
    assert content(out) == expected


def test_a_worker_that_is_killed_once_costs_nothing_but_time(
    mixed: Path, expected: dict[str, bytes], tmp_path: Path, aligner: Aligner
) -> None:
    once = tmp_path / "killed"
    build(mixed, tmp_path / "out", align=mortal(aligner, level(mixed, "01"), once), jobs=2)
    assert once.exists()
    assert content(tmp_path / "out") == expected


def test_the_real_aligner(tmp_path: Path) -> None:
    """Two mini scenes: one process against two, all bytes."""
    from d2crealsr.simulate import SimulateSettings, simulate

    simulate(tmp_path / "raw", settings=SimulateSettings(size="mini", scenes=2))
    first = build(tmp_path / "raw", tmp_path / "one")
    build(tmp_path / "raw", tmp_path / "two", jobs=2)
    assert first.accepted == 2
    assert content(tmp_path / "one") == content(tmp_path / "two")
    lr = read_image(tmp_path / "one" / "lr" / "001.png")
    assert read_image(tmp_path / "one" / "hr" / "001.png").shape[:2] == (8 * lr.shape[0], 8 * lr.shape[1])
