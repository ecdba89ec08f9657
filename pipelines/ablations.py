"""Measure what each part of the method contributes on your pairs, as in Table 2 and Table 3 of the paper.

    python pipelines/ablations.py --data pairs --out ablations --scale-down 100

For Table 2, the rows "w/o convergence" are measured on the branches of the full model, and two more models are trained
without the triplet and without the deep residual. Table 3 varies width and depth of a small tree (G = 2, B = 1). Each
model is trained --seeds times, in run folders of its own under --out. Finished runs are not repeated, and interrupted
runs are resumed.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import click
import pandas as pd

from d2c.checkpoints.native import load
from d2c.console import ConsoleReporter
from d2c.d2csr.presets import PRESETS
from d2c.data.layouts import find_pairs
from d2c.evaluation.evaluate import evaluate_files, means, write_csv
from d2c.settings.presets import Preset, scaled_down
from d2c.training.train import Request, train
from d2crealsr.store import D2CRealSRError
from d2crealsr.ui.progress import Reporter

PATH = click.Path(path_type=Path)


def variants(base: Preset) -> dict[str, Preset]:
    """The models to train, by the names of their folders."""
    small = base._replace(model=dataclasses.replace(base.model, groups=2, blocks=1))
    found = {
        "full": base,
        "no-triplet": base._replace(train=dataclasses.replace(base.train, alpha=0.0)),
        "no-deep-residual": base._replace(model=dataclasses.replace(base.model, deep_residual=False)),
    }
    for number in (1, 2, 3, 4):
        found[f"width-{number}"] = small._replace(model=dataclasses.replace(small.model, width=number))
        found[f"depth-{number}"] = small._replace(model=dataclasses.replace(small.model, depth=number))
    return found


def measure(
    name: str, chosen: Preset, data: Path, out: Path, seed: int, device: str, reporter: Reporter
) -> pd.DataFrame:
    """Train one model with one seed, unless this is done already, and measure it on the test split."""
    run = out / f"{name}-seed{seed}"
    settings = dataclasses.replace(chosen.train, seed=seed)
    reporter.note(f"{run}:")
    train(Request(data=data, out=run, model=chosen.model, train=settings, device=device, cache=out / "cache"), reporter)
    if not (run / "quality.csv").exists():
        write_csv(run / "quality.csv", means(evaluate_files(load(run), data, "test", ["basicsr-y"], reporter)))
    return pd.read_csv(run / "quality.csv").assign(model=name, seed=seed)


@click.command(help=(__doc__ or "").replace("\n\n    ", "\n\n\b\n    "))
@click.option("--data", type=PATH, required=True, help="A split pairs folder, or another layout that d2c knows.")
@click.option("--out", type=PATH, required=True, help="Holds the runs, and ablations.csv afterwards.")
@click.option("--preset", "name", type=click.Choice(list(PRESETS)), default="paper", show_default=True)
@click.option(
    "--scale-down", type=int, default=1, show_default=True, help="Divide steps, and the patch's area, by this."
)
@click.option("--seeds", type=int, default=2, show_default=True)
@click.option("--only", multiple=True, help="Names of the models to train; by default all.")
@click.option("--device", default="auto", show_default=True)
def main(data: Path, out: Path, name: str, scale_down: int, seeds: int, only: tuple[str, ...], device: str) -> None:
    """Connect the steps, each of which is a function of the library."""
    chosen = scaled_down(PRESETS[name], scale_down)
    base = chosen._replace(model=dataclasses.replace(chosen.model, scale=find_pairs(data)[0].scale))
    wanted = {key: value for key, value in variants(base).items() if not only or key in only}
    reporter = ConsoleReporter()
    tables = [
        measure(key, value, data, out, seed, device, reporter) for key, value in wanted.items() for seed in range(seeds)
    ]
    table = pd.concat(tables).drop(columns="image")
    table.to_csv(out / "ablations.csv", index=False)
    spread = table.groupby(["model", "method"], sort=False)["psnr_db"].agg(["mean", "min", "max"])
    click.echo("PSNR in dB, basicsr-y, over the seeds; differences within min to max are the seeds'")
    click.echo(spread.round(3).to_string())


if __name__ == "__main__":
    try:
        main()
    except D2CRealSRError as error:
        click.echo(f"ablations: {error}", err=True)
        sys.exit(error.exit_code)
