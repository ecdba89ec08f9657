"""From pairs to pictures: train both stages, evaluate on the test split, and draw the figures of the paper.

    python pipelines/train_d2c.py --data pairs --out runs/paper --preset paper
    python pipelines/train_d2c.py --data pairs --out runs/tiny --preset tiny --scale-down 4

Each step does only what is missing, so you can stop the program at any time and start it again.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from d2c.comparison.front import program, run_program
from d2c.comparison.one_run import train_and_show
from d2c.console import ConsoleReporter
from d2c.data.layouts import find_pairs
from d2c.networks import DEFAULT, find
from d2c.precision import PRECISIONS
from d2c.settings.config import Precision
from d2c.settings.presets import scaled_down
from d2c.training.train import Request
from d2crealsr.ui.interrupts import Interrupts

PATH = click.Path(path_type=Path)


@program(__doc__)
@click.option("--data", type=PATH, required=True, help="A split pairs folder, or another layout that d2c knows.")
@click.option("--out", type=PATH, required=True, help="The run's folder; quality.csv and figures/ go there too.")
@click.option("--network", "network_name", default=DEFAULT, show_default=True, help="As d2c train takes it.")
@click.option("--preset", "name", default="paper", show_default=True)
@click.option(
    "--scale-down", type=int, default=1, show_default=True, help="Divide steps, and the patch's area, by this."
)
@click.option("--images", "count", type=int, default=3, show_default=True, help="Test images to draw figures of.")
@click.option("--caption", help="Also draw LR, result and HR of the first of them to OUT/comparison.png, under this.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", type=click.Choice(PRECISIONS), help="Of training and measuring.  [default: the preset's]")
def main(
    data: Path,
    out: Path,
    network_name: str,
    name: str,
    scale_down: int,
    count: int,
    caption: str | None,
    seed: int,
    device: str,
    precision: Precision | None,
) -> None:
    """Connect the steps, each of which is a function of the library."""
    reporter, network = ConsoleReporter(), find(network_name)
    pairs = find_pairs(data)
    chosen = scaled_down(network.preset(name), scale_down)
    model_settings = dataclasses.replace(chosen.model, scale=pairs[0].scale)
    train_settings = dataclasses.replace(chosen.train, seed=seed)
    if precision:
        train_settings = dataclasses.replace(train_settings, precision=precision, tf32=False)
    request = Request(
        data=data, out=out, model=model_settings, train=train_settings, network=network.name, device=device
    )
    measuring = precision or "fp32"
    with Interrupts() as interrupts:
        shown = train_and_show(
            request, precision=measuring, count=count, caption=caption, reporter=reporter, interrupts=interrupts
        )
    click.echo(f"\nPictures (upscaled, a patch, and the figures of the network): {shown.figures}")
    if shown.comparison is not None:
        click.echo(f"The model: {out}\nLR enlarged | ours | HR, one picture: {shown.comparison}")


if __name__ == "__main__":
    run_program(main, "train_d2c")
