"""Disks that fill up, memory that runs out, workers that outlive their run: nothing half-written, nothing wrong."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from d2crealsr.dataset.build import SceneDone, build
from d2crealsr.dataset.scene import SceneTask, run_scene
from d2crealsr.errors import MachineError
from d2crealsr.settings import AlignSettings
from d2crealsr.store.captures import find_captures
from d2crealsr.store.images import read_image, write_image
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.pairs import read_dataset, read_manifest
from d2crealsr.types import AlignmentFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    Aligner = Callable[..., Any]


def content(out: Path) -> dict[str, bytes]:
    """Files that do not depend on how they came about."""
    files = (path for path in out.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files if path.name != "timings.csv"}


@pytest.mark.parametrize("kilobytes", [1, 90])
def test_a_full_disk_ends_the_run_cleanly(
    kilobytes: int,
    small_disk: tuple[Path, Callable[[int], Callable[[], None]]],
    make_raw: Callable[[Path, list[str]], Path],
    tmp_path: Path,
    aligner: Aligner,
) -> None:
    folder, fill = small_disk
    raw, out = make_raw(tmp_path / "raw", [f"{number:02d}" for number in range(8)]), folder / "pairs"
    make_room = fill(kilobytes)
    with pytest.raises(MachineError, match=r"pairs.*: cannot be written \(No space left on device\); make room"):
        build(raw, out, align=aligner)
    assert not list(folder.rglob(".tmp-*"))
    for path in out.glob("[hl]r/*"):
        read_image(path)
    if (out / "manifest.csv").exists():
        assert len(read_manifest(out)) < 8
    make_room()
    assert build(raw, out, align=aligner).accepted == 8
    build(raw, tmp_path / "other" / "pairs", align=aligner)
    expected = content(tmp_path / "other" / "pairs")
    assert {name: data for name, data in content(out).items() if name != "dataset.json"} == {
        name: data
        for name, data in expected.items()
        if name != "dataset.json"  # it names where the captures are
    }


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_scene_that_memory_is_too_short_for_fails_alone(
    jobs: int, raw: Path, tmp_path: Path, aligner: Aligner
) -> None:
    level = read_image(raw / "lr" / "001.png").mean()

    def greedy(hr: Any, lr: Any, *, settings: Any) -> Any:
        if lr.mean() == level:
            np.zeros(1 << 55, dtype=np.uint8)
        return aligner(hr, lr, settings=settings)

    assert build(raw, tmp_path / "out", align=greedy, jobs=jobs).reasons == {"out_of_memory": 1}
    assert build(raw, tmp_path / "out", align=aligner).done == 1


LIMITED = """
import resource, sys
import d2crealsr.dataset.build, d2crealsr.command.console, d2crealsr.audit.folder
from d2crealsr.command.cli import main

with open("/proc/self/statm") as file:
    taken = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 500_000_000, taken + 500_000_000))
main(sys.argv[1:])
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux to know what a process has taken")
def test_the_command_under_a_memory_limit(tmp_path: Path) -> None:
    """A picture that decodes to more than there is costs its scene; the run goes on."""
    rng = np.random.default_rng(0)
    for side, size in (("hr", (14000, 14000)), ("lr", (300, 400))):  # grey, three times as large once it is RGB
        write_image(tmp_path / "raw" / side / "large.png", np.zeros(size, dtype=np.uint8))
        write_image(tmp_path / "raw" / side / "small.png", rng.integers(0, 256, (300, 400, 3), dtype=np.uint8))
    command = [sys.executable, "-c", LIMITED, "align", str(tmp_path / "raw"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert "large failed out_of_memory" in done.stderr
    assert "small failed" in done.stderr
    assert "small failed out_of_memory" not in done.stderr
    assert "small failed internal_error" not in done.stderr


def test_a_worker_that_outlives_its_run_publishes_nothing(raw: Path, tmp_path: Path, aligner: Aligner) -> None:
    out = tmp_path / "out"
    capture = next(capture for capture in find_captures(raw, scale=8) if capture.scene == "001")
    task = SceneTask(capture=capture, root=raw, out=out, settings=AlignSettings(), recipe="", known=None, align=aligner)
    with lock_folder(out) as lease:
        mine = dataclasses.replace(task, lease=lease)
        assert run_scene(mine).row["status"] == "accepted"
        (out / "hr" / "001.png").unlink()
    with pytest.raises(MachineError, match="the run that this scene belongs to is over"):
        run_scene(mine)
    with (
        lock_folder(out),
        pytest.raises(MachineError, match=r"is over, and process \d+ on .* holds"),
    ):  # another run is there now
        run_scene(mine)
    assert not (out / "hr" / "001.png").exists()


@pytest.mark.parametrize("emptied", [False, True], ids=["deleted", "emptied"])
@pytest.mark.parametrize("when", ["aligning", "published"])
def test_a_pairs_folder_that_goes_during_the_run_is_not_made_anew(
    when: str, emptied: bool, raw: Path, tmp_path: Path, aligner: Aligner
) -> None:
    out = tmp_path / "out"

    def go() -> None:
        shutil.rmtree(out)
        if emptied:  # as a place where a disk was mounted
            out.mkdir()

    def align(hr: Any, lr: Any, *, settings: Any) -> Any:
        if when == "aligning" and out.exists() and any(out.iterdir()):
            go()
        found = aligner(hr, lr, settings=settings)
        return found if when == "published" else AlignmentFailure(reason="low_texture", message="few keypoints")

    def on_event(event: Any) -> None:
        if when == "published" and isinstance(event, SceneDone):
            go()

    said = r"has no \.lock-holder any more, so the run .* is over, or" if emptied else "is not there any more, and was"
    with pytest.raises(MachineError, match=rf"out: {said}.*run the same command again$"):
        build(raw, out, align=align, settings={"scale": 4}, on_event=on_event)
    assert (list(out.iterdir()) if emptied else out.exists()) == ([] if emptied else False)
    assert build(raw, out, align=aligner, settings={"scale": 4}).accepted == 5
    assert read_dataset(out)["scale"] == 4
