"""Time and peak memory of whole training steps of a preset, each stage in a process of its own.

    python benchmarks/training_step.py --out benchmarks/results/training_step.csv

The batch is random numbers: nothing is read; what is measured is the step alone (forward, backward, Adam). Peak
memory is the process's, over what it had before the model was made. On a machine that others use too, trust CPU time.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import multiprocessing
import os
import resource
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from tables import command_line

NAMES = (
    "preset",
    "scale",
    "stage",
    "threads",
    "steps",
    "seconds_a_step",
    "cpu_seconds_a_step",
    "peak_gb",
    "torch",
    "machine",
)


def measure(name: str, scale: int, stage: str, threads: int, steps: int, warm_up: int) -> dict[str, object]:
    """A row of the table; runs in a process of its own, because peak memory never falls."""
    import platform

    import torch

    from d2c.crops import Batch
    from d2c.engine import Engine
    from d2c.model import D2CSR
    from d2c.presets import preset
    from d2c.stages import ConvergenceStage, DivergenceStage, JointStage

    torch.set_num_threads(threads)
    chosen = preset(name)
    config = chosen.train
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kinds = {"1": DivergenceStage, "2": ConvergenceStage, "joint": JointStage}
    torch.manual_seed(0)
    model = D2CSR(dataclasses.replace(chosen.model, scale=scale))
    engine = Engine(kinds[stage](model, config), config)
    batch = Batch(*(torch.rand(config.batch, 3, config.patch * s, config.patch * s) for s in (1, scale)))
    seconds = []
    for _ in range(warm_up + steps):
        begun = time.perf_counter(), time.process_time()
        engine.update(batch, config.lr, config.alpha)
        seconds.append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    wall, cpu = (f"{statistics.median(times):.2f}" for times in zip(*seconds[warm_up:], strict=True))
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    row = (name, scale, stage, threads, steps, wall, cpu, f"{peak / 1e6:.2f}", torch.__version__, machine)
    return dict(zip(NAMES, row, strict=True))


@click.command(help=(__doc__ or "").replace("\n\n    ", "\n\n\b\n    "))
@click.option("--preset", "name", default="paper", show_default=True)
@click.option("--scale", default=8, show_default=True)
@click.option("--stage", "stages", type=click.Choice(["1", "2", "joint"]), multiple=True, default=["1", "2"])
@click.option("--threads", default=1, show_default=True)
@click.option("--steps", default=1, show_default=True, help="Steps that count; their median is stored.")
@click.option("--warm-up", default=1, show_default=True, help="Steps before those; they allocate and do not count.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the table there too.")
def main(
    name: str, scale: int, stages: tuple[str, ...], threads: int, steps: int, warm_up: int, out: Path | None
) -> None:
    """Print the table, and store it."""
    context = multiprocessing.get_context("spawn")
    rows = []
    for stage in stages:
        with context.Pool(1) as pool:
            rows.append(pool.apply(measure, (name, scale, stage, threads, steps, warm_up)))
    text = io.StringIO()
    text.write(f"# {command_line(sys.argv)}, {datetime.now(UTC).date().isoformat()}\n")
    writer = csv.DictWriter(text, NAMES, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    click.echo(text.getvalue(), nl=False)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text.getvalue(), encoding="utf-8")


if __name__ == "__main__":
    main()
