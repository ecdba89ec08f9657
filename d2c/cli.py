"""The command ``d2c`` parses, calls and prints. The work is done by functions of the library."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import click

from d2c.command.demo import demo
from d2c.command.export import export
from d2c.command.measure import evaluate, report
from d2c.command.options import FILE, JSON
from d2c.command.train import train
from d2c.command.upscale import upscale
from d2c.networks import DEFAULT, NETWORKS, find
from d2crealsr.ui.json_text import json_text
from d2crealsr.ui.program import Program
from d2crealsr.ui.terminal import echo
from d2crealsr.ui.versions import how_to_install, version

__all__ = ["cli", "main"]


def main() -> None:
    """Entry point of the script. If torch is missing, it prints one line about it."""
    if importlib.util.find_spec("torch") is None:
        click.echo(f"d2c needs PyTorch, which is not installed; run: {how_to_install('train')}", err=True)
        sys.exit(1)
    cli()


@click.group(
    cls=Program,
    error_prefix="d2c",
    memory_advice="take smaller images or a larger machine (in training a smaller --batch or --patch)",
)
@click.version_option(version(), prog_name="d2c")
def cli() -> None:
    """Train D2C-SR and other networks on pairs, measure them, and upscale images with them.

    A run is a folder with its settings, checkpoints and log. It can be given wherever a checkpoint is asked for. So can
    the name builtin:x8, a small checkpoint that comes with the program.

    \b
    Examples:
      d2c demo                                  all steps, after d2crealsr demo
      d2c train --data pairs/                   train D2C-SR
      d2c eval runs/paper --data pairs/         measure it on the test scenes
      d2c upscale photo.jpg --checkpoint runs/paper --out upscaled/
      d2c upscale photo.jpg --checkpoint builtin:x8 --out upscaled/
    """


@cli.command()
@JSON
def networks(as_json: bool) -> None:
    """List the networks that can be trained, and the checkpoints that come with the program.

    The table has the parameters, the multiply-adds for each LR pixel, and the padding of each size.

    \b
    Examples:
      d2c networks
      d2c networks --json
    """
    from d2c.checkpoints.builtin import builtin_names
    from d2c.console import sizes_table
    from d2c.networks.base.count import size_rows

    listed = [find(name) for name in NETWORKS]
    if as_json:
        echo(json_text([row for network in listed for row in size_rows(network)]))
        return
    for line in sizes_table(listed):
        echo(line)
    echo(f"\nCheckpoints that need no training: {', '.join(builtin_names())}")


@cli.command()
@click.argument("source", type=FILE)
@click.argument("target", type=FILE)
@click.option("--network", default=DEFAULT, show_default=True, help="The network whose released weights these are.")
def convert(source: Path, target: Path, network: str) -> None:
    """Convert weights that the authors of a network released.

    SOURCE is read, and TARGET (.safetensors) is written. No code in SOURCE is executed.

    \b
    Examples:
      d2c convert EDSR_x4.pt edsr.safetensors --network edsr
    """
    from d2c.checkpoints.convert import convert as run
    from d2c.networks.base.count import described

    echo(f"{target}: {described(run(find(network), source, target))}")


for command in (demo, evaluate, export, report, train, upscale):
    cli.add_command(command)
