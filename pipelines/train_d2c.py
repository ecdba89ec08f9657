"""From pairs to pictures: train both stages, evaluate on the test split, and draw the figures of the paper.

    python pipelines/train_d2c.py --data pairs --out runs/paper --preset paper
    python pipelines/train_d2c.py --data pairs --out runs/tiny --preset tiny --scale-down 4

Each step does only what is missing, so you can stop the program at any time and start it again.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path

import click
from torch import nn

from d2c.checkpoints.native import load
from d2c.console import ConsoleReporter, quality_tables
from d2c.data.layouts import Pair, find_pairs, size_of, with_split
from d2c.device import pick_device
from d2c.evaluation.evaluate import EvalOptions, evaluate_files, means, write_csv
from d2c.inference.figures import Box, comparison_figure
from d2c.inference.files import Figures, Limits, upscale_files
from d2c.metrics import PROTOCOLS
from d2c.networks import DEFAULT, find, network_of
from d2c.precision import PRECISIONS, available_precision
from d2c.settings.config import Precision
from d2c.settings.presets import scaled_down
from d2c.training.train import Request, train
from d2crealsr.store import D2CRealSRError, images
from d2crealsr.ui.progress import Reporter

PATH = click.Path(path_type=Path)
NOW_YOUR_OWN = """
Now your own: photograph printed pictures twice, zoomed in (captures/hr/NAME.jpg) and zoomed out (captures/lr/NAME.jpg).
The commands are in .venv/bin:
  d2crealsr align captures --out pairs
  d2crealsr split pairs
  d2c train --data pairs --out runs/mine
  d2c upscale photo.jpg --checkpoint runs/mine --out upscaled"""


def measure(model: nn.Module, data: Path, out: Path, precision: Precision, reporter: Reporter) -> None:
    """Measure the model on the test split, unless this is done already, and print the tables."""
    if (out / "quality.csv").exists():
        return
    rows = evaluate_files(model, data, "test", PROTOCOLS, reporter, options=EvalOptions(precision=precision))
    write_csv(out / "quality.csv", rows + means(rows), precision)
    click.echo("\n\n".join(quality_tables(means(rows))))


def draw(model: nn.Module, pair: Pair, out: Path, precision: Precision, reporter: Reporter) -> None:
    """Upscale a test image and draw its figures, unless this is done already."""
    if (out / f"{pair.lr.stem}_x{pair.scale}_patch.png").exists():
        return
    width, height = size_of(pair.lr)
    side = max(1, min(width, height) // 4)
    box = Box((width - side) // 2, (height - side) // 2, side, side)
    names = tuple(network_of(model)[0].figures)
    wanted = Figures(names=names, box=box, hr=pair.hr)
    upscale_files(model, [pair.lr], out, wanted, reporter, Limits(precision=precision))


def compare(pair: Pair, out: Path, caption: str) -> None:
    """Draw enlarged LR, the upscaled image and HR side by side in one image file."""
    made = out / "figures" / f"{pair.lr.stem}_x{pair.scale}.png"
    pictures = [images.read_image(path) for path in (pair.lr, made, pair.hr)]
    images.write_image(out / "comparison.png", comparison_figure(*pictures, caption))


@click.command(help=(__doc__ or "").replace("\n\n    ", "\n\n\b\n    "))
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
    begun = time.perf_counter()
    train(
        Request(data=data, out=out, model=model_settings, train=train_settings, network=network.name, device=device),
        reporter,
    )
    minutes, seconds = divmod(round(time.perf_counter() - begun), 60)

    place = pick_device(device)
    computed = available_precision(precision or "fp32", place)
    model = load(out, device=place, network=network.name)
    measure(model, data, out, computed, reporter)
    drawn = with_split(pairs, "test", data)[:count]
    for pair in drawn:
        draw(model, pair, out / "figures", computed, reporter)
    click.echo(f"\nPictures (upscaled, a patch, and the figures of the network): {out / 'figures'}")
    if caption and drawn:
        if not (out / "comparison.png").exists():
            compare(drawn[0], out, f"{caption} Trained for {minutes} min {seconds} s.")
        click.echo(f"The model: {out}\nLR enlarged | ours | HR, one picture: {out / 'comparison.png'}\n{NOW_YOUR_OWN}")


if __name__ == "__main__":
    try:
        main()
    except D2CRealSRError as error:
        click.echo(f"train_d2c: {error}", err=True)
        sys.exit(error.exit_code)
