"""The command ``d2c export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from d2c.command.options import FILE, NETWORK
from d2c.export import FORMATS
from d2crealsr.ui.program import Command
from d2crealsr.ui.terminal import echo

if TYPE_CHECKING:
    from d2c.export.write import Written

__all__ = ["export"]


@click.command(cls=Command)
@click.argument("run", type=FILE, metavar="RUN")
@click.option("--format", "format_name", type=click.Choice(list(FORMATS)), required=True, help="Format of the file.")
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="The file.  [default: in the folder export beside the checkpoint, or here for a built-in one]",
)
@click.option(
    "--outputs",
    type=click.Choice(["image", "all"]),
    default="image",
    show_default=True,
    help="What a graph returns: the image, or also what the network makes beside it (D2C-SR: predictions and weights).",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16"]),
    default="fp32",
    show_default=True,
    help="Number format of the weights and of the arithmetic.",
)
@NETWORK
def export(run: Path, format_name: str, out: Path | None, outputs: str, precision: str, network: str | None) -> None:
    """Write a model to a file for other programs.

    RUN is the folder of a run, a checkpoint, or builtin:x8. onnx is a graph for onnxruntime, torch-export one for
    torch.export.load, and safetensors are the weights alone. The file is tried at three sizes, and is written only if
    it gives what the network itself gives.

    \b
    Examples:
      d2c export runs/tiny --format onnx
      d2c export runs/tiny --format onnx --outputs all --out model.onnx
    """
    from d2c.export.write import export as run_export

    written = run_export(run, format_name, out, everything=outputs == "all", precision=precision, network=network)
    echo("\n".join(_told(written)))


def _told(written: Written) -> list[str]:
    """What was written, and how near it is to the network."""
    sizes = ", ".join(f"{value:.1e} at {width}x{height}" for (height, width), value in written.differences.items())
    return [
        f"{written.path}: {written.said}, {written.bytes / 1e6:.2f} MB",
        f"largest difference from the network, where white is 1, by {written.by} on the CPU: {sizes}",
    ]
