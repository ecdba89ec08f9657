"""The command ``d2c`` parses, calls and prints. The work is done by functions of the library."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import rich_click
from rich_click import option_panel

from d2c.command.demo import demo
from d2c.errors import CheckpointError, ConfigError
from d2c.export.command import export
from d2c.networks import DEFAULT, NETWORKS, default_out, find, network_in, stored
from d2c.networks.base.options import NetworkCommand, setting_options
from d2c.settings import toml
from d2crealsr.store.ownership import is_run
from d2crealsr.ui.interrupts import Interrupts
from d2crealsr.ui.json_text import json_text
from d2crealsr.ui.options import Switch
from d2crealsr.ui.program import Program
from d2crealsr.ui.terminal import echo
from d2crealsr.ui.versions import how_to_install, version

if TYPE_CHECKING:
    from torch import nn

    from d2c.networks import Network, NetworkConfig, TrainSettings
    from d2crealsr.ui.progress import Reporter

__all__ = ["cli", "main"]

FILE = click.Path(path_type=Path)

_LAYOUTS = "d2crealsr.store.layouts:PAIR_LAYOUTS"
_LIST = "--data may also name a text file with one pair per line: the LR path, a tab and the HR path."

_CONVERT = click.option(
    "--convert-profile",
    is_flag=True,
    help="Convert images with another colour profile to sRGB instead of refusing them.",
)
_DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
_PRECISION = click.option(
    "--precision",
    type=click.Choice(["fp32", "tf32", "bf16", "fp16"]),
    default="fp32",
    show_default=True,
    help="Arithmetic of the network. fp32 is exact also on CUDA; the others are faster there.",
)
_ENSEMBLE = click.option(
    "--self-ensemble",
    is_flag=True,
    help="Take the mean over eight flips and transposes of each image (marked +). It takes eight times as long.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_NETWORK = click.option("--network", help="The checkpoint's network. Give module:NAME if it is one of your own.")
_TRUST = click.option(
    "--trust-pairs", is_flag=True, help="Do not check whether HR and LR of each pair show the same scene."
)


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

    A run is a folder with its settings, checkpoints and log. It can be named wherever a checkpoint can.

    \b
    Examples:
      d2c train --data pairs/                   train D2C-SR
      d2c eval runs/paper --data pairs/         measure it on the test scenes
      d2c upscale photo.jpg --checkpoint runs/paper --out upscaled/
    """


def _train_network(given: dict[str, Any]) -> Network:
    """The network to train: the named one, that of the settings file or of the resumed run, or else D2C-SR."""
    file = _settings_file(given["out"], given["preset_name"], given["config_file"])
    if given["network"] is not None or file is None:
        return find(DEFAULT if given["network"] is None else given["network"])
    return stored(network_in(toml.read(file)), None, str(file))


def _reporter() -> Reporter:
    """Progress on the terminal. It is closed when the command ends, also by an error."""
    from d2crealsr.ui.progress import ConsoleReporter

    return click.get_current_context().with_resource(ConsoleReporter())


def _model(checkpoint: Path, device: str, network: str | None) -> nn.Module:
    """The model of a checkpoint on a device."""
    from d2c.checkpoints.native import load
    from d2c.device import pick_device
    from d2c.inference.run import laid_out

    return laid_out(load(checkpoint, device=pick_device(device), network=network))


def _precision(asked: Any, model: nn.Module, reporter: Reporter) -> Any:
    """The precision in which the device of a model computes; says so if it is another than the one asked for."""
    from d2c.precision import available_precision

    return available_precision(asked, next(model.parameters()).device, reporter.note)


def _train_options(network: Network) -> list[click.Option]:
    """The options for a network: its sizes and its settings."""
    sizes = click.Choice(list(network.sizes()))
    told = "A named size and its schedule.  [default: paper]"
    return [click.Option(["--preset", "preset_name"], type=sizes, help=told), *setting_options(network)]


@cli.command(
    cls=NetworkCommand, find=_train_network, added=_train_options, layouts=_LAYOUTS, epilog=_LIST, resumes=True
)
@option_panel("Pairs", options=["data", "data_weight", "validate_on", "trust_pairs", "convert_profile", "cache"])
@option_panel(
    "Run", options=["network", "preset_name", "config_file", "out", "stage", "weights", "plan_only", "tensorboard"]
)
@option_panel("Machine", options=["device", "threads", "cuda_graph"])
@click.option(
    "--data",
    type=FILE,
    multiple=True,
    help="The pairs. Their training split is used. May be repeated.  [default: those of the TOML file]",
)
@click.option(
    "--data-weight",
    type=float,
    multiple=True,
    metavar="WEIGHT",
    help="Share of the patches that come from a dataset, in any unit: once for each --data, in the same order.  "
    "[default: an epoch takes one patch of every pair]",
)
@click.option(
    "--validate-on",
    type=FILE,
    help="Pairs to validate on (their validation split, else their test split, else all). No training scenes are then "
    "kept for validation.",
)
@click.option("--network", help=f"A network listed by d2c networks, or module:NAME for your own.  [default: {DEFAULT}]")
@click.option("--out", type=FILE, help="Folder of the run. A run in it is resumed.  [default: runs/NETWORK-PRESET]")
@click.option("--config", "config_file", type=FILE, help="A TOML file of settings, such as a run's config.toml.")
@click.option("--stage", metavar="[N|all]", default="all", show_default=True, help="Number of the stage to train.")
@_DEVICE
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Threads on a CPU. The weights do not depend on it, except for rounding. Where other programs keep the cores "
    "busy, 1 is faster.  [default: that of the resumed run, or one for each physical core that may be used]",
)
@click.option("--cache", type=FILE, help="Folder of decoded images.  [default: in the run's folder]")
@click.option("--weights", type=FILE, help="Start from the weights of this checkpoint.")
@click.option("--tensorboard", is_flag=True, help="Also write a log for TensorBoard.")
@click.option(
    "--cuda-graph/--no-cuda-graph",
    cls=Switch,
    default=True,
    help="Launch the operators of a step on CUDA as one graph, or one by one.  [default: one graph]",
)
@_TRUST
@_CONVERT
@click.option("--plan", "plan_only", is_flag=True, help="Print the memory that a step needs. Train nothing.")
@click.pass_obj
def train(
    chosen: Network,
    /,
    network: str | None,
    out: Path | None,
    preset_name: str | None,
    config_file: Path | None,
    plan_only: bool,
    **options: Any,
) -> None:
    """Train a network on pairs, one stage after the other.

    Settings come from the preset, then the TOML file, then the options. The options from Network on are
    those of the network: d2c train --network NAME --help shows them. Several GPUs or nodes: torchrun
    --nproc-per-node N -m d2c train …

    \b
    Examples:
      d2c train --data pairs/
      d2c train --data pairs/ --preset tiny --out runs/tiny
      d2c train --out runs/tiny                            resume that run
      d2c train --data pairs/ --network rcan --preset tiny
    """
    from d2c.training.resolve import resolve
    from d2c.training.train import Request
    from d2c.training.train import train as run

    out = out or default_out(chosen, preset_name)
    names = (
        *("stage", "device", "threads", "cache", "weights", "tensorboard"),
        *("trust_pairs", "convert_profile", "cuda_graph"),
    )
    run_options = {name: options.pop(name) for name in names}
    command = ("d2c", *sys.argv[1:])
    file = _settings_file(out, preset_name, config_file)
    model, settings, datasets = resolve(chosen, preset_name, file, options, resumed=file not in (None, config_file))
    if plan_only:
        echo(_step_plan(chosen, model, settings, run_options["stage"], run_options["device"]))
        return
    places = {field.name: getattr(datasets, field.name) for field in dataclasses.fields(datasets)}
    request = Request(
        **places, out=out, model=model, train=settings, network=chosen.name, command=command, **run_options
    )
    with Interrupts() as interrupts:
        run(request, _reporter(), interrupts)
    echo(f"{out / 'last.safetensors'}")


def _step_plan(network: Network, model: NetworkConfig, settings: TrainSettings, stage: str, device: str) -> str:
    """The memory that a step of each stage would need, and the free memory."""
    from d2c.console import step_table
    from d2c.device import available_bytes, pick_device
    from d2c.training.memory import step_memories

    chosen = pick_device(device)
    steps = step_memories(network, model, settings, stage, chosen)
    return step_table(steps, available_bytes(chosen), str(chosen))


def _settings_file(out: Path | None, preset_name: str | None, config_file: Path | None) -> Path | None:
    """The settings file: the named one, or that of the run if one is resumed without a preset."""
    if config_file is None and preset_name is None and out is not None and is_run(out / "config.toml"):
        return out / "config.toml"
    return config_file


@cli.command()
@_JSON
def networks(as_json: bool) -> None:
    """List the networks that can be trained.

    The table has the parameters, the multiply-adds for each LR pixel, and the padding of each size.

    \b
    Examples:
      d2c networks
      d2c networks --json
    """
    from d2c.console import sizes_table
    from d2c.networks.base.count import size_rows

    rows = [row for name in NETWORKS for row in size_rows(find(name))]
    echo(json_text(rows) if as_json else sizes_table(rows))


@cli.command("eval", layouts=_LAYOUTS, epilog=_LIST)
@option_panel("Pairs", options=["data", "split", "trust_pairs", "convert_profile"])
@option_panel("Measurement", options=["protocols", "self_ensemble", "csv_file", "as_json"])
@click.argument("checkpoint", type=FILE)
@click.option("--data", type=FILE, required=True, help="The pairs.")
@click.option(
    "--split",
    type=click.Choice(["auto", "test", "train", "all"]),
    default="auto",
    show_default=True,
    help="Which pairs are measured. auto: the test split if there is one, otherwise all pairs.",
)
@click.option(
    "--protocol",
    "protocols",
    type=click.Choice(["basicsr-y", "d2c-released", "lpips", "dists"]),
    multiple=True,
    default=["basicsr-y"],
    show_default=True,
    help="How quality is measured. May be repeated. lpips and dists need torchmetrics, torchvision and their weights.",
)
@_ENSEMBLE
@_TRUST
@_CONVERT
@click.option("--csv", "csv_file", type=FILE, help="Also write the table to this CSV file.")
@_JSON
@_NETWORK
@_DEVICE
@_PRECISION
def evaluate(
    checkpoint: Path,
    data: Path,
    split: str,
    protocols: tuple[Any, ...],
    csv_file: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure a checkpoint on pairs.

    CHECKPOINT is a file, or the folder of a run. All outputs of the network are measured, and bicubic interpolation for
    comparison.

    \b
    Examples:
      d2c eval runs/tiny --data pairs/
      d2c eval runs/tiny --data RealSR/Canon/Test/4 --csv figures.csv
    """
    from d2c.console import quality_tables
    from d2c.evaluation.evaluate import EvalOptions, check_csv, evaluate_files, means, write_csv
    from d2c.inference.failures import Failures
    from d2c.training.runfolder import RunFolder

    model = _model(checkpoint, options.pop("device"), options.pop("network"))
    if csv_file is not None:
        check_csv(csv_file, [checkpoint, data])
    reporter = _reporter()
    precision = options["precision"] = _precision(options["precision"], model, reporter)
    failures = Failures(reporter)
    run = RunFolder(checkpoint if checkpoint.is_dir() else checkpoint.parent)
    rows = evaluate_files(model, data, split, protocols, reporter, failures, EvalOptions(run=run, **options))
    rows += means(rows)
    if as_json:
        click.echo(json_text([row._asdict() for row in rows]))
    elif rows:
        echo("\n\n".join(quality_tables(rows)))
    if rows and csv_file is not None:  # last, so that the table is printed in any case
        write_csv(csv_file, rows, precision)
    failures.conclude()


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


@cli.command(cls=NetworkCommand, find=_checkpoint_network, added=_figure_options, resumes=True)
@option_panel(
    "Results", options=["checkpoint", "out", "overwrite", "plan_only", "self_ensemble", "grey", "convert_profile"]
)
@option_panel("Memory", options=["max_memory", "spill"])
@option_panel("Figures", options=["box", "hr"])
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILES|FOLDERS…")
@click.option("--checkpoint", type=FILE, required=True, help="A checkpoint, or the folder of a run.")
@click.option("--out", type=FILE, required=True, help="Folder of the results (NAME_xSCALE.png).")
@_DEVICE
@_PRECISION
@_NETWORK
@click.option("--box", metavar="X,Y,W,H", help="Draw this patch (in LR px): LR, bicubic, all outputs and HR.")
@click.option("--hr", type=FILE, help="HR image for the figure of the patch. Only with one file.")
@click.option("--max-memory", metavar="SIZE", help="Memory limit, such as 2GB. The program needs 0.4 GB more.")
@click.option("--spill", type=FILE, help="Folder of temporary files if memory is short.  [default: OUT]")
@_ENSEMBLE
@_CONVERT
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
def upscale(
    files: tuple[Path, ...],
    checkpoint: Path,
    out: Path,
    box: str | None,
    hr: Path | None,
    plan_only: bool,
    **options: Any,
) -> None:
    """Upscale image FILES, and the images directly in FOLDERS. Depth, transparency and orientation are kept.

    Every result records its input and its checkpoint. After an interruption, give the same command again: finished
    results are kept. An image that cannot be read is named and skipped, and the exit code is then 1.

    An image that does not fit into memory is processed in strips, with feature maps in temporary files. The result is
    the same. A result of more than 2^30 pixels becomes a BigTIFF, NAME_xSCALE.tif.

    \b
    Examples:
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
    wanted = Figures(names=names, box=_box(box), hr=hr)
    model = _model(checkpoint, options.pop("device"), options.pop("network"))
    reporter = _reporter()
    precision = options["precision"] = _precision(options["precision"], model, reporter)
    memory, grey = options.pop("max_memory"), options.pop("grey") == "auto"
    limits = Limits(max_memory=None if memory is None else parse_size(memory), grey=grey, **options)
    failures = Failures(reporter)
    if plan_only:
        jobs = [job for job in plan_files(model, files, out, wanted, limits, failures) if job.missing]
        echo(plan_table([(job.source.name, job.plan, seconds_of(model, job.plan, precision)) for job in jobs]))
    else:
        for path in upscale_files(model, files, out, wanted, reporter, limits, failures):
            echo(str(path))
    failures.conclude()


def _box(text: str | None) -> Any:
    from d2c.inference.figures import Box

    if text is None:
        return None
    try:
        return Box(*(int(part) for part in text.split(",")))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"box: got {text!r}, expected four whole numbers x,y,width,height in LR px") from error


@cli.command()
@click.argument("run", type=FILE)
@click.option("--data", type=FILE, multiple=True, help="The pairs.  [default: where they were when the run started]")
@click.option("--out", type=FILE, help="Folder of the report.  [default: RUN/report]")
@_NETWORK
@click.option(
    "--scenes", type=click.IntRange(min=0), metavar="N", default=4, show_default=True, help="Validation scenes to show."
)
@_DEVICE
def report(run: Path, data: tuple[Path, ...], out: Path | None, network: str | None, scenes: int, device: str) -> None:
    """Make a page about a run.

    It shows curves, example crops and settings. RUN is the folder of the run, which may still be training.

    \b
    Examples:
      d2c report runs/tiny
    """
    from d2c.report import report as make

    told = _reporter()
    echo(str(make(run, out=out, data=data, network=network, scenes=scenes, device=device, reporter=told)))


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


cli.add_command(export)


cli.add_command(demo)
