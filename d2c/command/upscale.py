"""The command ``upscale``."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import rich_click
from rich_click import option_panel

from d2c.command.options import (
    CONVERT,
    DEVICE,
    ENSEMBLE,
    FILE,
    JSON,
    NETWORK,
    PRECISION,
    SAMPLES,
    TEMPERATURE,
    check_draws,
    given,
    model_of,
    new_reporter,
    note_equal_samples,
    precision_of,
)
from d2c.errors import CheckpointError, ConfigError
from d2c.networks import DEFAULT, find, stored
from d2c.networks.base.options import NetworkCommand
from d2crealsr.ui.json_text import json_text
from d2crealsr.ui.terminal import echo

if TYPE_CHECKING:
    from d2c.networks import Network

__all__ = ["upscale"]


def _checkpoint_network(given: dict[str, Any]) -> Network:
    """The network of the checkpoint. If that cannot be read, the named one, or D2C-SR."""
    from d2c.checkpoints.native import network_name

    checkpoint, named = given["checkpoint"], given["network"]
    name = None
    with contextlib.suppress(CheckpointError):  # the command will report it
        name = None if checkpoint is None else network_name(checkpoint)
    return find(named or DEFAULT) if name is None else stored(name, named, str(checkpoint))


def _figure_options(network: Network) -> list[click.Option]:
    """An option for each figure that the network can draw."""
    return [
        rich_click.RichOption([f"--save-{name}"], is_flag=True, help=text, panel="Figures")
        for name, text in network.figures.items()
    ]


@rich_click.command(cls=NetworkCommand, find=_checkpoint_network, added=_figure_options, resumes=True)
@option_panel(
    "Results",
    options=["checkpoint", "out", "overwrite", "plan_only", "as_json", "self_ensemble", "grey", "convert_profile"],
)
@option_panel("Samples", options=["temperature", "samples"])
@option_panel("Memory", options=["max_memory", "spill"])
@option_panel("Figures", options=["confidence", "box", "hr"])
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILES|FOLDERS…")
@click.option(
    "--checkpoint",
    type=FILE,
    required=True,
    help="A checkpoint, the folder of a run, or builtin:x8, which comes with the program.",
)
@click.option("--out", type=FILE, required=True, help="Folder of the results (NAME_xSCALE.png).")
@DEVICE
@PRECISION
@NETWORK
@click.option(
    "--confidence",
    is_flag=True,
    help="Also write NAME_xSCALE_confidence.png: light where the result changes quickly and an error is likelier.",
)
@click.option("--box", metavar="X,Y,W,H", help="Draw this patch (in LR px): LR, bicubic, all outputs and HR.")
@click.option("--hr", type=FILE, help="HR image for the figure of the patch. Only with one file.")
@click.option("--max-memory", metavar="SIZE", help="Memory limit, such as 2GB. The program needs 0.4 GB more.")
@click.option("--spill", type=FILE, help="Folder of temporary files if memory is short.  [default: OUT]")
@ENSEMBLE
@TEMPERATURE
@SAMPLES
@CONVERT
@click.option(
    "--grey",
    type=click.Choice(["auto", "off"]),
    default="auto",
    show_default=True,
    help="auto: an image with three equal channels gives a result with equal channels. off: the network's own output.",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace other files that have the names of results, but never an input."
)
@click.option("--plan", "plan_only", is_flag=True, help="Print the memory, disk and time needed. Write nothing.")
@JSON
def upscale(
    files: tuple[Path, ...],
    checkpoint: Path,
    out: Path,
    confidence: bool,
    box: str | None,
    hr: Path | None,
    plan_only: bool,
    as_json: bool,
    temperature: float | None,
    samples: int | None,
    **options: Any,
) -> None:
    """Upscale image FILES, and the images directly in FOLDERS. Depth, transparency and orientation are kept.

    Every result records its input and its checkpoint. After an interruption, give the same command again: finished
    results are kept. Of several images, those that cannot be read are named and left out, and the exit code is then 1.

    An image that does not fit into memory is processed in strips, with feature maps in temporary files. The result is
    the same. A result of more than 2^30 pixels becomes a BigTIFF, NAME_xSCALE.tif.

    A network that draws samples makes its most probable image, or with --temperature X one that is drawn. With
    --samples N, N of them (at 0.9, or at X) are written beside the most probable image, as NAME_xSCALE_sample_K.png,
    and a figure of them with their spread. The same command draws the same samples.

    With --confidence, a grey map of the size of the result is light where the result changes quickly, and an error is
    likelier there. It does not say that the result is right where it is dark. With builtin:x8, a tenth of the grey
    value is about the error, in 8-bit levels.

    \b
    Examples:
      d2c upscale photo.jpg --checkpoint builtin:x8 --out upscaled/
      d2c upscale photo.jpg scans/ --checkpoint runs/tiny --out upscaled/
      d2c upscale huge.tif --checkpoint runs/tiny --out upscaled/ --max-memory 4GB
    """
    from d2c.console import plan_table
    from d2c.inference.failures import Failures
    from d2c.inference.files import Figures, Limits, plan_files, seconds_of, upscale_files
    from d2c.inference.plan import parse_size

    if hr is not None and (len(files) != 1 or box is None):
        raise ConfigError("hr: is drawn in the patch figure of one file; give one file and its --box")
    figures = {name: options.pop(name) for name in list(options) if name.startswith("save_")}
    names = tuple(name.removeprefix("save_") for name, asked in figures.items() if asked)
    model = model_of(checkpoint, options.pop("device"), options.pop("network"))
    sampling = _sampling(model, temperature, samples, self_ensemble=options["self_ensemble"])
    wanted = Figures(names=names, box=_box(box), hr=hr, sampling=sampling, confidence=confidence)
    reporter = new_reporter()
    note_equal_samples(temperature, samples, reporter)
    precision = options["precision"] = precision_of(options["precision"], model, reporter)
    memory, grey = options.pop("max_memory"), options.pop("grey") == "auto"
    limits = Limits(max_memory=None if memory is None else parse_size(memory), grey=grey, **options)
    failures = Failures(reporter)
    if plan_only:
        jobs = plan_files(model, files, out, wanted, limits, failures)
        jobs = [job for job in jobs if job.missing and not job.only_map]  # a map alone takes hardly anything
        plans = [(job.source.name, job.plan, seconds_of(model, job.plan, precision)) for job in jobs]
        if as_json:
            click.echo(json_text([{"file": name, **dataclasses.asdict(plan), "seconds": s} for name, plan, s in plans]))
        else:
            echo(plan_table(plans))
    else:
        made = upscale_files(model, files, out, wanted, reporter, limits, failures)
        if as_json:
            click.echo(json_text([str(path) for path in made]))
        else:
            for path in made:
                echo(str(path))
    failures.conclude()


def _sampling(model: Any, temperature: float | None, samples: int | None, *, self_ensemble: bool) -> Any:
    """What a model draws: nothing, the result at a temperature, or samples beside the result."""
    from d2c.networks.base.sampling import Sampling

    network, config = check_draws(model, self_ensemble=self_ensemble, temperature=temperature, samples=samples)
    if network.sampling is None:
        return None
    if samples is None:
        sampling = Sampling(result=temperature or 0.0, samples=0)
    else:
        sampling = Sampling(samples=samples, **given(temperature=temperature))
    network.sampled(sampling).note(model, config)
    return sampling


def _box(text: str | None) -> Any:
    from d2c.inference.figures import Box

    if text is None:
        return None
    try:
        return Box(*(int(part) for part in text.split(",")))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"box: got {text!r}, expected four whole numbers x,y,width,height in LR px") from error
