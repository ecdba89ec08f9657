"""From pairs to pictures: train both stages, evaluate on the test split, draw the paper's figures.

    python pipelines/train_d2c.py --data pairs --out runs/paper --preset paper
    python pipelines/train_d2c.py --data pairs --out runs/tiny --preset tiny --scale-down 4

Each step does only what is missing: stop it at any time and start it again.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import click

from d2c.checkpoint import load
from d2c.console import ConsoleReporter, quality_tables
from d2c.evaluate import evaluate_files, means, write_csv
from d2c.figures import Box
from d2c.layouts import find_pairs, size_of, with_split
from d2c.metrics import PROTOCOLS
from d2c.presets import PRESETS, preset, scaled_down
from d2c.train import Request, train
from d2c.upscale import Figures, upscale_files
from d2crealsr.store import D2CRealSRError

PATH = click.Path(path_type=Path)


@click.command(help=(__doc__ or "").replace("\n\n    ", "\n\n\b\n    "))
@click.option("--data", type=PATH, required=True, help="A split pairs folder, or another layout that d2c knows.")
@click.option("--out", type=PATH, required=True, help="The run's folder; quality.csv and figures/ go there too.")
@click.option("--preset", "name", type=click.Choice(list(PRESETS)), default="paper", show_default=True)
@click.option(
    "--scale-down", type=int, default=1, show_default=True, help="Divide steps, and the patch's area, by this."
)
@click.option("--images", type=int, default=3, show_default=True, help="Test images to draw figures of.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="auto", show_default=True)
def main(data: Path, out: Path, name: str, scale_down: int, images: int, seed: int, device: str) -> None:
    """Wire the steps; every one of them is a function of the library."""
    reporter = ConsoleReporter()
    pairs = find_pairs(data)
    chosen = scaled_down(preset(name), scale_down)
    model_settings = dataclasses.replace(chosen.model, scale=pairs[0].scale)
    train_settings = dataclasses.replace(chosen.train, seed=seed)
    train(Request(data=data, out=out, model=model_settings, train=train_settings, device=device), reporter)

    model = load(out)
    if not (out / "quality.csv").exists():
        rows = evaluate_files(model, data, "test", PROTOCOLS, reporter)
        write_csv(out / "quality.csv", rows + means(rows))
        click.echo("\n\n".join(quality_tables(means(rows))))

    for pair in with_split(pairs, "test", data)[:images]:
        if (out / "figures" / f"{pair.lr.stem}_x{pair.scale}_patch.png").exists():
            continue
        width, height = size_of(pair.lr)
        side = max(1, min(width, height) // 4)
        box = Box((width - side) // 2, (height - side) // 2, side, side)
        wanted = Figures(branches=True, weights=True, box=box, hr=pair.hr)
        upscale_files(model, [pair.lr], out / "figures", wanted, reporter)
    click.echo(f"\nPictures (upscaled, predictions, weight maps, a patch): {out / 'figures'}")


if __name__ == "__main__":
    try:
        main()
    except D2CRealSRError as error:
        click.echo(f"train_d2c: {error}", err=True)
        sys.exit(error.exit_code)
