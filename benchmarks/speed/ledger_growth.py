"""What the tables cost as a pairs folder grows: seconds a scene, a rerun that does nothing, the parent's memory.

    python -m benchmarks.speed.ledger_growth --out benchmarks/results/ledger_growth.txt
    python -m benchmarks.speed.ledger_growth --small

`build` runs over many scenes whose captures are one tiny image and whose aligner only returns a result of the usual
size (four stages, 196 blocks). What grows from one number of scenes to the next is therefore the cost of the tables,
beside reading and writing tiny images. Each number of scenes is a new process, and so is its rerun.
"""

from __future__ import annotations

import functools
import itertools
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from benchmarks.measuring import alone, peak_bytes
from benchmarks.program import PATH, print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from d2crealsr.align import Alignment
from d2crealsr.dataset.build import SceneDone, build
from d2crealsr.imaging.estimate import Estimate
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.imaging.photometry import Photometry
from d2crealsr.imaging.placement import Placement
from d2crealsr.store.images import write_image
from d2crealsr.types import Crop, ResidualField, Size, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKS = 14


@program(__doc__)
@click.option("--scenes", default="100,1000,4000,10000", show_default=True, help="Numbers of scenes.")
@click.option("--scratch", type=PATH, help="Make the folders here.  [default: a temporary folder]")
@with_out
@with_small("Ten and twenty scenes", scenes="10,20")
def main(scenes: str, scratch: Path | None, out: Path | None) -> None:
    """Make and remake a folder of each size, then compare the growth."""
    found: list[Row] = []
    for count in [int(word) for word in scenes.split(",")]:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            many_captures(Path(folder) / "raw", count)
            runs = ("first run", "rerun")
            found += [{"scenes": count, "run": what, **alone(measured, Path(folder))} for what in runs]
    print_and_store("\n\n".join([text_table(found, digits=4), text_table(growth(found), digits=4)]), out, {"": found})


def many_captures(raw: Path, count: int) -> None:
    """One tiny capture under the names of many."""
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for side in ("hr", "lr"):
        write_image(raw / side / "0000000.png", image)
        for number in range(1, count):
            os.link(raw / side / "0000000.png", raw / side / f"{number:07d}.png")


def measured(folder: Path) -> Row:
    """One run in this process: seconds and peak memory; ``last tenth``: seconds a scene among the last scenes."""
    times: list[float] = []
    start = time.perf_counter()

    def note(event: Any) -> None:
        if isinstance(event, SceneDone):
            times.append(time.perf_counter())

    build(folder / "raw", folder / "pairs", align=instant, on_event=note)
    end = time.perf_counter()
    tenth = max(len(times) // 10, 1)
    files = sum(path.stat().st_size for path in (folder / "pairs").glob("*.csv"))
    return {
        "seconds": end - start,
        "before the first scene": times[0] - start,
        "first tenth": (times[tenth] - times[0]) / tenth,
        "last tenth": (times[-1] - times[-1 - tenth]) / tenth,
        "after the last scene": end - times[-1],
        "peak MB": peak_bytes() / 1e6,
        "tables MB": files / 1e6,
    }


def growth(measurements: Sequence[Row]) -> list[Row]:
    """Seconds a scene between one number of scenes and the next."""
    found: list[Row] = []
    for what in ("first run", "rerun"):
        some = [row for row in measurements if row["run"] == what]
        for less, more in itertools.pairwise(some):
            added = float(more["scenes"]) - float(less["scenes"])
            seconds = float(more["seconds"]) - float(less["seconds"])
            steps = f"{less['scenes']} to {more['scenes']}"
            found.append({"run": what, "scenes": steps, "ms a scene": 1000 * seconds / added})
    return found


def instant(hr: Any, lr: Any, *, settings: Any) -> Alignment:
    """An aligner that does nothing and returns a result of the usual size."""
    mapping, scale = _mapping(Size.of(hr), Size.of(lr)), settings.scale
    steps = np.linspace(2.0, 40.0, BLOCKS)
    points = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    return Alignment(
        estimate=Estimate(placement=Placement(mapping, Crop(1, 2, 6, 4), scale), light=Photometry()),
        hr=np.ascontiguousarray(np.resize(hr, (4 * scale, 6 * scale, 3))),
        lr=np.ascontiguousarray(lr[2:6, 1:7]),
        residuals=ResidualField(
            points_lr=points,
            shifts_hr_px=points / 97.0,
            weights=np.full(len(points), 0.7),
            zncc=np.ones(len(points)),
        ),
        stages=tuple(Stage(iteration=n, stage="sift", H_hr_to_lr=mapping.H_hr_to_lr) for n in range(4)),
        statistics={"n_inliers": 1717, "residual_p50_hr_px": 0.21, "zncc": 0.987654},
        reasons=(),
    )


@functools.cache
def _mapping(hr: Size, lr: Size) -> CaptureMapping:
    H = np.array([[1 / 3, 1e-17, 1.0], [0.1, 1 / 7, -1.0], [1e-9, -1e-9, 1]])
    return CaptureMapping(H_hr_to_lr=H, hr_size=hr, lr_size=lr)


if __name__ == "__main__":
    main()
