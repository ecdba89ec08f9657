"""The command ``demo``: a short training on the pairs of ``d2crealsr demo``, and the picture of what it has learned."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

import click

from d2c.errors import DataError
from d2crealsr.ui.interrupts import Interrupts
from d2crealsr.ui.program import Command
from d2crealsr.ui.progress import ConsoleReporter
from d2crealsr.ui.terminal import echo

__all__ = ["demo"]

_FOLDER = Path("d2crealsr-demo")
_CAPTION = "Simulated capture of a printed photograph that was not trained on."
_NOW_YOUR_OWN = """
Now your own: photograph printed pictures twice, zoomed in (captures/hr/NAME.jpg) and zoomed out (captures/lr/NAME.jpg).
  d2crealsr align captures --out pairs
  d2crealsr split pairs
  d2c train --data pairs --out runs/mine
  d2c upscale photo.jpg --checkpoint runs/mine --out upscaled"""


@click.command(cls=Command, resumes=True)
@click.argument("folder", type=click.Path(path_type=Path), default=_FOLDER, metavar="[DIR]")
def demo(folder: Path) -> None:
    """Train a small network on the pairs of `d2crealsr demo`, and draw what it makes of a test image.

    DIR is the folder of that demo, d2crealsr-demo/ by default. Its folder run/ gets the run, the quality of the network
    on the test scenes beside bicubic interpolation, and comparison.png: LR enlarged, the result, and HR side by side.
    Beside it stands what builtin:x8 makes of the same scenes, a checkpoint that comes with the program and has seen
    none of them. It takes a few minutes on a CPU. A second run goes on from what is there.

    \b
    Examples:
      d2c demo
      d2c demo /tmp/demo
    """
    from d2c.comparison.one_run import train_and_show
    from d2c.comparison.ready import show_ready
    from d2c.data.layouts import find_pairs
    from d2c.networks import DEFAULT, find
    from d2c.training.train import Request

    pairs, out = folder / "pairs", folder / "run"
    if not (pairs / "manifest.csv").is_file():
        told = "" if folder == _FOLDER else f" --out {shlex.quote(str(folder))}"
        raise DataError(f"{folder}: has no pairs of the demo; run d2crealsr demo{told} first")
    preset = find(DEFAULT).preset("tiny")
    scale = find_pairs(pairs)[0].scale
    request = Request(
        data=pairs, out=out, model=dataclasses.replace(preset.model, scale=scale), train=preset.train, network=DEFAULT
    )
    echo(f"$ d2c train --data {shlex.quote(str(pairs))} --preset tiny --out {shlex.quote(str(out))}")
    with ConsoleReporter() as reporter, Interrupts() as interrupts:
        shown = train_and_show(request, count=1, caption=_CAPTION, reporter=reporter, interrupts=interrupts)
        ready = show_ready(pairs, out, reporter)
    if ready:
        echo("\n".join(["\nWithout any training, on the same test scenes:", *ready]))
    echo(f"\nThe model: {out}\nLR enlarged | ours | HR, one picture: {shown.comparison}\n{_NOW_YOUR_OWN}")
