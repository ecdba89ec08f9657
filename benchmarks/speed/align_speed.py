"""What does one pair cost? Seconds and memory of `align` on one thread, against the floor of the same run.

    python -m benchmarks.speed.align_speed --cache speed-scenes --out benchmarks/results/align_speed
    python -m benchmarks.speed.align_speed --small

Whole pairs: both JPEG captures are read, hashed and aligned, and two PNG files and the tables are published, as
`d2crealsr align --jobs 1` does, for all pairs of one folder. Floor: the steps that no program can avoid (two decodes,
one cubic warp, one PNG), measured on the same captures right afterwards. If the machine is also used for other work,
look at the CPU seconds. Peak memory is that of a process that does nothing else. The profile is of one more pair. Last,
pairs are aligned again with several at a time, beside one at a time; `--pairs 115` repeats the captures up to as many.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from benchmarks.measuring import alone, peak_bytes, seconds_of
from benchmarks.program import (
    numbers_in,
    print_and_store,
    program,
    with_cache,
    with_out,
    with_seeds,
    with_size,
    with_small,
)
from benchmarks.result_tables import Row, text_table
from benchmarks.scenes import BenchScene, make_files
from benchmarks.seeds import parse_seeds, purpose_of
from d2crealsr import opencv
from d2crealsr.dataset.build import build
from d2crealsr.imaging.crop import default_size
from d2crealsr.jobs import threads
from d2crealsr.jobs.workers import run_tasks
from d2crealsr.settings import AlignSettings
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d2crealsr.simulate.settings import SizeName

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_FLOOR_ROUNDS = 3
_PROFILE_LINES = 20


def timed_pairs(raw: Path) -> Row:
    """Seconds of every pair of a folder, of the whole run, and the process's peak memory before and after."""
    before = peak_bytes() / 1e6
    seconds: list[float] = []
    last = start = time.perf_counter()
    cpu = time.process_time()

    def listen(event: Any) -> None:
        nonlocal last
        if hasattr(event, "status"):
            now = time.perf_counter()
            seconds.append(now - last)
            last = now

    with tempfile.TemporaryDirectory() as out:
        result = build(raw, out, jobs=1, on_event=listen)
    total = time.perf_counter() - start
    return {
        "pairs": len(seconds),
        "accepted": result.accepted,
        "total": total,
        "cpu": time.process_time() - cpu,
        "seconds": seconds,
        "rss_before_mb": before,
        "rss_mb": peak_bytes() / 1e6,
    }


def floor(hr: Path, lr: Path, scale: int) -> Row:
    """Best of three of what cannot be left out: two decodes, one cubic warp of 8-bit RGB, one PNG of it.

    CPU seconds: on one thread of a machine with nothing else to do, wall time is the same.
    """
    threads.use_one_thread()
    data = hr.read_bytes(), lr.read_bytes()
    image = opencv.decode_jpeg(data[0])
    crop = default_size(Size(image.shape[1], image.shape[0]), scale)
    size = Size(crop.width * scale, crop.height * scale)
    H_out_to_in = np.array([[0.98, 0.02, 0.2 * image.shape[1]], [-0.02, 0.98, 0.2 * image.shape[0]], [0, 0, 1.0]])
    published = opencv.warp(image, H_out_to_in, size, "cubic")
    parts: dict[str, Callable[[], object]] = {
        "decode HR": lambda: opencv.decode_jpeg(data[0]),
        "decode LR": lambda: opencv.decode_jpeg(data[1]),
        "warp": lambda: opencv.warp(image, H_out_to_in, size, "cubic"),
        "PNG": lambda: opencv.encode_png(published),
    }
    seconds = {name: min(seconds_of(work) for _ in range(_FLOOR_ROUNDS)) for name, work in parts.items()}
    return seconds | {"floor": sum(seconds.values())}


_MEASURES = ("likeness", "brightness_and_sharpness", "foreign_object", "own_detail", "colours", "with_evidence")
_PARTS = {
    "read, decode": ("dataset/scene:_captures",),
    "reduce HR and the published HR": ("imaging/degrade:reduced",),
    "SIFT": ("registration/sift:register",),
    "refine": ("registration/locate:locate",),
    "crop, blur, brightness": ("imaging/card_frame:within_picture", "imaging/comparison:with_look"),
    "warp": ("imaging/warp:warp_hr",),
    "measure": tuple(f"quality/evidence:{name}" for name in _MEASURES),
    "encode, write, hash PNG": ("dataset/scene:_write",),
}
"""The parts of the work on a pair by the functions that do them. What a part calls of another counts for both."""


class Profile(NamedTuple):
    """CPU seconds of the parts of the work; of the project's functions with all they call; of any by themselves."""

    parts: list[Row]
    with_callees: list[Row]
    own: list[Row]


def profile(raw: Path) -> Profile:
    """Where the CPU time of a run goes."""
    profiler = cProfile.Profile(time.process_time)
    with tempfile.TemporaryDirectory() as out:
        profiler.runcall(build, raw, out, jobs=1)
    stats: dict[Any, Any] = vars(pstats.Stats(profiler))["stats"]
    ours, own = [], []
    for (file, _, function), (_, calls, itself, cumulative, _) in stats.items():
        package, _, module = file.rpartition("d2crealsr/")
        name = f"{module.removesuffix('.py')}:{function}" if package else function.strip("<>")
        if package:
            ours.append({"function": name, "calls": calls, "CPU s with callees": cumulative})
        own.append({"function": name, "calls": calls, "CPU s of its own": itself})
    return Profile(_parts(ours), _largest(ours, "CPU s with callees"), _largest(own, "CPU s of its own"))


def _parts(ours: list[Row]) -> list[Row]:
    """The parts with their share of the whole run."""
    seconds = {str(row["function"]): float(row["CPU s with callees"]) for row in ours}
    whole = seconds["dataset/build:build"]
    rows = [{"part": part, "CPU s": sum(seconds.get(name, 0.0) for name in names)} for part, names in _PARTS.items()]
    rows.append({"part": "whole run", "CPU s": whole})
    return [row | {"share": float(row["CPU s"]) / whole} for row in rows]


def side_by_side(raw: Path, jobs: int) -> Row:
    """Wall seconds of all pairs of a folder with some of them at a time; workers are started before."""
    with tempfile.TemporaryDirectory() as out:
        list(run_tasks(abs, range(jobs), jobs=jobs))
        start = time.perf_counter()
        result = build(raw, out, jobs=jobs)
        wall = time.perf_counter() - start
    pairs = sum(result.status.values())
    return {"pairs at a time": jobs, "pairs": pairs, "wall s": wall, "wall s a pair": wall / pairs}


def _largest(rows: list[Row], column: str) -> list[Row]:
    return sorted(rows, key=lambda row: -float(row[column]))[:_PROFILE_LINES]


def _folder_of(scenes: Sequence[BenchScene], cache: Path, folder: Path) -> Path:
    """A folder of raw captures that links to the cached ones."""
    for scene in scenes:
        found = make_files(scene, cache)
        click.echo(f"captures of {scene.size} scene {scene.seed} are there", err=True)
        for side, path in (("hr", found.hr), ("lr", found.lr)):
            (folder / side).mkdir(parents=True, exist_ok=True)
            (folder / side / f"{scene.seed:04d}.jpg").symlink_to(path.resolve())
    return folder


def _repeated(raw: Path, count: int, folder: Path) -> Path:
    """A folder of ``count`` raw captures that links to those of another one again and again."""
    for side in ("hr", "lr"):
        (folder / side).mkdir(parents=True)
        files = sorted((raw / side).iterdir())
        for number in range(count):
            (folder / side / f"{number:04d}.jpg").symlink_to(files[number % len(files)].resolve())
    return folder


def measure(
    scenes: Sequence[BenchScene], cache: Path, at_a_time: Sequence[int] = (), count: int = 0
) -> tuple[Row, Profile, list[Row]]:
    """The figures of a run, one row; the profile; and the run of ``count`` pairs with several at a time."""
    with tempfile.TemporaryDirectory() as temporary:
        raw = _folder_of(scenes, cache, Path(temporary) / "raw")
        first = _folder_of(scenes[:1], cache, Path(temporary) / "first")
        pairs = alone(timed_pairs, raw)
        files = make_files(scenes[0], cache)
        base = alone(floor, files.hr, files.lr, AlignSettings().scale)
        where = alone(profile, first)
        many = _repeated(raw, count or len(scenes), Path(temporary) / "many")
        several = [side_by_side(many, jobs) for jobs in at_a_time]
    per_pair, cpu = pairs["total"] / pairs["pairs"], pairs["cpu"] / pairs["pairs"]
    row: Row = {
        "pairs": pairs["pairs"],
        "accepted": pairs["accepted"],
        "wall s a pair": per_pair,
        "wall s, fastest pair": min(pairs["seconds"]),
        "wall s, slowest pair": max(pairs["seconds"]),
        "CPU s a pair": cpu,
        **{f"{name} CPU s": seconds for name, seconds in base.items()},
        "wall, times the floor": per_pair / base["floor"],
        "CPU, times the floor": cpu / base["floor"],
        "peak RSS MB": pairs["rss_mb"],
        "of which imports": pairs["rss_before_mb"],
    }
    for part in where.parts:
        part["times the floor"] = float(part["CPU s"]) / base["floor"]
    for line in several:
        line["times as fast"] = several[0]["wall s"] / line["wall s"]
    return row, where, several


@program(__doc__)
@with_seeds("100..107")
@with_size("full")
@with_cache
@click.option("--at-a-time", default="1,2", show_default=True, help="Numbers of pairs at a time that are compared.")
@click.option("--pairs", type=int, default=0, help="Pairs of this comparison.  [default: one for each seed]")
@with_out
@with_small("Two mini pairs", seeds="0..1", size="mini")
def main(seeds: str, size: SizeName, cache: Path | None, at_a_time: str, pairs: int, out: Path | None) -> None:
    os.environ |= dict.fromkeys(_THREADS, "1")
    wanted, jobs = parse_seeds(seeds), numbers_in(at_a_time, "--at-a-time")
    title = f"Cost of a pair, {size} size, {purpose_of(wanted)} seeds {seeds}, one thread"
    scenes = [BenchScene(seed=seed, size=size) for seed in wanted]
    with tempfile.TemporaryDirectory() as temporary:
        row, where, several = measure(scenes, cache or Path(temporary), jobs, pairs)
    lines = text_table([{"what": name, "value": value} for name, value in row.items()])
    tables = (text_table(rows) for rows in where)
    load = f"Several pairs at a time (load of the machine: {os.getloadavg()[0]:.1f})"
    head = "Where the CPU time of one pair goes (the profiler adds its own)"
    text = "\n\n".join([title, lines, head, *tables, load, text_table(several)])
    print_and_store(text, out, {"": [row], "-profile": where.parts})


if __name__ == "__main__":
    main()
