"""From pairs to pictures with one network: train it, measure it, draw its figures. Only what is missing is done."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from d2c.checkpoints.native import load
from d2c.console import quality_tables
from d2c.data.layouts import find_pairs, size_of, with_split
from d2c.device import pick_device
from d2c.evaluation.evaluate import EvalOptions, evaluate_files, means
from d2c.evaluation.table import write_csv
from d2c.inference.figures import Box, comparison_figure
from d2c.inference.files import Figures, Limits, upscale_files
from d2c.inference.run import laid_out
from d2c.metrics import PROTOCOLS
from d2c.networks import network_of
from d2c.precision import available_precision
from d2c.training.train import train
from d2crealsr.store import images

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from d2c.data.layouts import Pair
    from d2c.settings.config import Precision
    from d2c.training.train import Request
    from d2crealsr.ui.interrupts import Interrupts
    from d2crealsr.ui.progress import Reporter

__all__ = ["Shown", "train_and_show"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What :func:`train_and_show` leaves: the folder of the figures, and the picture of one comparison, if any."""

    figures: Path
    comparison: Path | None


def train_and_show(
    request: Request,
    *,
    precision: Precision = "fp32",
    count: int = 3,
    caption: str | None = None,
    reporter: Reporter,
    interrupts: Interrupts | None = None,
) -> Shown:
    """Train all stages, measure the result on the test split, and draw figures of test images.

    Parameters
    ----------
    request : Request
        The training; of several datasets, the first is measured. quality.csv and figures/ go into its folder.
    precision : str
        Of measuring and drawing. What the device lacks is replaced, which the log says.
    count : int
        Number of test images to draw.
    caption : str, optional
        If it is given, LR, result and HR of the first image are drawn side by side under it, with the time of training.
    """
    begun = time.perf_counter()
    train(request, reporter, interrupts)
    minutes, seconds = divmod(round(time.perf_counter() - begun), 60)
    out, (data, *_) = request.out, request.datasets.data
    place = pick_device(request.device)
    computed = available_precision(precision, place)
    model = laid_out(load(out, device=place, network=request.network))
    _measure(model, data, out, computed, reporter)
    chosen = with_split(find_pairs(data), "test", data)[:count]
    for pair in chosen:
        _draw(model, pair, out / "figures", computed, reporter)
    if caption is None or not chosen:
        return Shown(figures=out / "figures", comparison=None)
    if not (out / "comparison.png").exists():
        _compare(chosen[0], out, f"{caption} Trained for {minutes} min {seconds} s.")
    return Shown(figures=out / "figures", comparison=out / "comparison.png")


def _measure(model: nn.Module, data: Path, out: Path, precision: Precision, reporter: Reporter) -> None:
    """Measure the model on the test split, unless this is done already, and print the tables."""
    if (out / "quality.csv").exists():
        return
    rows = evaluate_files(model, data, "test", PROTOCOLS, reporter, options=EvalOptions(precision=precision))
    write_csv(out / "quality.csv", rows + means(rows), precision)
    click.echo("\n\n".join(quality_tables(means(rows))))


def _draw(model: nn.Module, pair: Pair, out: Path, precision: Precision, reporter: Reporter) -> None:
    """Upscale a test image and draw its figures, unless this is done already."""
    if (out / f"{pair.lr.stem}_x{pair.scale}_patch.png").exists():
        return
    width, height = size_of(pair.lr)
    side = max(1, min(width, height) // 4)
    box = Box((width - side) // 2, (height - side) // 2, side, side)
    names = tuple(network_of(model)[0].figures)
    wanted = Figures(names=names, box=box, hr=pair.hr)
    upscale_files(model, [pair.lr], out, wanted, reporter, Limits(precision=precision))


def _compare(pair: Pair, out: Path, caption: str) -> None:
    """Draw enlarged LR, the upscaled image and HR side by side in one image file."""
    made = out / "figures" / f"{pair.lr.stem}_x{pair.scale}.png"
    lr, sr, hr = (images.read_image(path) for path in (pair.lr, made, pair.hr))
    images.write_image(out / "comparison.png", comparison_figure(lr, sr, hr, caption))
