"""Whether the tree of branches beats one path, on a borrowed GPU: the pairs, then rows of `pipelines/worth.py`.

    python -m benchmarks.training.worth_on_card --work WORK --photos PHOTOS --minutes 13

Give the same command again, on this or another machine, until all rows are there. The pairs are simulated postcards in
WORK/pairs, aligned and split, and made once; the photographs of the test split are in no other split, and no other
program uses the seed. What is measured is in WORK/worth. To go on elsewhere, take along WORK/pairs without its captures
(`raw`; 230 MB for the default), PHOTOS, by which the pairs are recognised, and rows.csv, trials.csv and asked.json in
WORK/worth: a training that was cut then begins anew, which costs a minute. If all of WORK is there, it goes on.
"""

from __future__ import annotations

import runpy
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.program import FOLDER, PATH, program, with_jobs, with_small
from benchmarks.training.training_sets import TEST, simulated

if TYPE_CHECKING:
    from d2crealsr.simulate.settings import SizeName

SEED = 926
"""Seed of the simulated scenes; it is in neither range of seeds.py, as nothing is chosen on the test split."""

_PIPELINE = Path(__file__).parents[2] / "pipelines" / "worth.py"


@program(__doc__)
@click.option("--work", type=PATH, required=True, help="Holds the pairs and the rows.")
@click.option("--photos", type=FOLDER, help="Folder of photographs to print.  [default: those in scikit-image]")
@click.option("--minutes", type=click.FloatRange(min=0), default=13.0, show_default=True, help="End after this time.")
@click.option("--scale", type=click.Choice([2, 8]), default=8, show_default=True, help="HR pixels per LR pixel.")
@click.option("--scenes", type=click.IntRange(6), default=120, show_default=True, help="Simulated scenes.")
@click.option("--captures", type=click.Choice(["mini", "half"]), default="half", show_default=True, help="Their size.")
@click.option("--size", default="table-3", show_default=True, help="As --size of the pipeline.")
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Seeds 0, 1, …")
@click.option("--precision", default="bf16", show_default=True, help="As --precision of the pipeline.")
@with_jobs
@with_small(
    "Six small scenes, tiny networks, one seed",
    scenes=6,
    captures="mini",
    size="tiny",
    seeds=1,
    precision="fp32",
    minutes=5,
)
def main(
    work: Path,
    photos: Path | None,
    minutes: float,
    scale: int,
    scenes: int,
    captures: SizeName,
    size: str,
    seeds: int,
    precision: str,
    jobs: int,
) -> None:
    """Make the pairs, and hand on what time is left."""
    end = time.monotonic() + 60 * minutes
    made = simulated(
        work / "pairs",
        scale=scale,
        size=captures,
        scenes=scenes,
        seed=SEED,
        test=max(2, scenes // TEST),
        photos=photos,
        recipe="postcards",
        jobs=jobs,
    )
    left = max(0.0, (end - time.monotonic()) / 60)
    options = {"train": made.folder, "out": work / "worth", "size": size, "seeds": seeds, "precision": precision}
    given = [part for name, value in {**options, "minutes": left}.items() for part in (f"--{name}", str(value))]
    runpy.run_path(str(_PIPELINE))["main"].main(given, standalone_mode=False)


if __name__ == "__main__":
    main()
