"""The command ``d2c``: it parses, calls and prints; the work is done by functions anyone can call."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from d2c.errors import ConfigError
from d2c.settings.config import D2CConfig, TrainConfig
from d2c.settings.presets import PRESETS, preset
from d2crealsr.store.ownership import is_run
from d2crealsr.ui.interrupts import Interrupts
from d2crealsr.ui.program import Program
from d2crealsr.ui.terminal import echo
from d2crealsr.ui.versions import version

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2c.settings.presets import Preset

__all__ = ["cli", "main"]

F = TypeVar("F", bound="Callable[..., Any]")
FILE = click.Path(path_type=Path)

_LAYOUTS = "d2crealsr.store.layouts:PAIR_LAYOUTS"
_LIST = "--data may also be a text file, one pair a line: LR path, a tab, HR path."

_CONVERT = "Convert images of another colour profile to sRGB, do not refuse."
_TRUST = "Do not look whether HR and LR of each pair show one scene."


def main() -> None:
    """Entry point of the script; without torch it says so in one line."""
    if importlib.util.find_spec("torch") is None:
        click.echo("d2c needs PyTorch, which is not installed; run: pip install 'd2crealsr[train]'", err=True)
        sys.exit(1)
    cli()


def _settings_options(kind: type[D2CConfig] | type[TrainConfig]) -> Callable[[F], F]:
    """Options for every field of a settings class; an option left out keeps the preset's or the file's value."""

    def decorate(function: F) -> F:
        for f in reversed(dataclasses.fields(kind)):
            name, kinds = (
                f.name.replace("_", "-"),
                {"int": int, "float": float, "float | None": float, "str | None": str},
            )
            unit = f", in {f.metadata['unit']}" if f.metadata["unit"] else ""
            text = f"{f.metadata['doc']}{unit}" + ("" if f.default is None else f"  [paper: {f.default}]")
            if f.type == "bool":
                option = click.option(f"--{name}/--no-{name}", f.name, default=None, help=text)
            else:
                choices = f.metadata["choices"]
                value: Any = click.Choice(choices) if choices else kinds[str(f.type)]
                option = click.option(f"--{name}", f.name, type=value, default=None, help=text)
            function = option(function)
        return function

    return decorate


@click.group(
    cls=Program,
    error_prefix="d2c",
    memory_advice="take smaller images or a larger machine (in training a smaller --batch or --patch)",
)
@click.version_option(version(), prog_name="d2c")
def cli() -> None:
    """Train D2C-SR on pairs, measure it, and upscale images with it."""


@cli.command(layouts=_LAYOUTS, epilog=_LIST)
@click.option("--data", type=FILE, required=True, help="The pairs; their training split is used.")
@click.option("--out", type=FILE, help="The run's folder; a run in it goes on.  [default: runs/PRESET]")
@click.option("--preset", "preset_name", type=click.Choice(list(PRESETS)), help="Named settings.  [default: paper]")
@click.option("--config", "config_file", type=FILE, help="Settings from a TOML file, as a run's config.toml.")
@click.option("--stage", type=click.Choice(["1", "2", "both"]), default="both", show_default=True, help="Which to do.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--cache", type=FILE, help="Where decoded images are kept.  [default: in the run's folder]")
@click.option("--weights", type=FILE, help="A checkpoint to start from.")
@click.option("--tensorboard", is_flag=True, help="Log for TensorBoard too.")
@click.option("--trust-pairs", is_flag=True, help=_TRUST)
@click.option("--convert-profile", is_flag=True, help=_CONVERT)
@click.option("--plan", "plan_only", is_flag=True, help="Print how much memory a step would take; train nothing.")
@_settings_options(D2CConfig)
@_settings_options(TrainConfig)
def train(data: Path, out: Path | None, preset_name: str | None, config_file: Path | None, **options: Any) -> None:
    """Train on pairs: stage 1 divergence, then stage 2 convergence.

    Settings come from the preset, then the TOML file, then the options. Several GPUs or nodes:
    torchrun --nproc-per-node N -m d2c train …
    """
    from d2c.console import ConsoleReporter
    from d2c.training.train import Request
    from d2c.training.train import train as run

    out = out or Path("runs") / (preset_name or "paper")
    plan_only = options.pop("plan_only")
    names = ("stage", "device", "cache", "weights", "tensorboard", "trust_pairs", "convert_profile")
    run_options = {name: options.pop(name) for name in names}
    command = ("d2c", *sys.argv[1:])
    model, settings = _resolve(data, out, preset_name, config_file, options)
    if plan_only:
        echo(_step_plan(model, settings, run_options["stage"], run_options["device"]))
        return
    request = Request(data=data, out=out, model=model, train=settings, command=command, **run_options)
    with Interrupts() as interrupts:
        run(request, ConsoleReporter(), interrupts)
    echo(f"{out / 'last.safetensors'}")


def _step_plan(model: D2CConfig, settings: TrainConfig, stage: str, device: str) -> str:
    """What a step of each stage would take of the memory that is free."""
    from d2c.console import step_table
    from d2c.device import available_bytes, pick_device
    from d2c.training.memory import kinds, step_memory

    chosen = pick_device(device)
    steps: dict[str, Any] = {kind: step_memory(model, settings, kind, chosen) for kind in kinds(settings, stage)}
    return step_table(steps, available_bytes(chosen), str(chosen))


def _resolve(
    data: Path, out: Path, preset_name: str | None, config_file: Path | None, options: dict[str, Any]
) -> tuple[D2CConfig, TrainConfig]:
    """Settings of a run: preset, file, options, each over the one before; a run's own ones where it is gone on with."""
    from d2c.data.layouts import find_pairs
    from d2c.settings import toml

    base: Preset = preset(preset_name or "paper")
    if config_file is None and preset_name is None and is_run(out / "config.toml"):
        config_file = out / "config.toml"
    tables = toml.read(config_file) if config_file else {}
    if unknown := sorted(set(tables) - {"model", "train", "data"}):
        raise ConfigError(f"{config_file}: unknown table [{unknown[0]}], expected [model] and [train]")
    for kind, name in ((D2CConfig, "model"), (TrainConfig, "train")):  # options first: they may mend what a file has
        tables[name] = tables.get(name, {}) | _given(kind, options)
    model = toml.from_table(D2CConfig, tables["model"], base.model, str(config_file))
    settings = toml.from_table(TrainConfig, tables["train"], base.train, str(config_file))
    if "scale" not in tables["model"]:
        model = dataclasses.replace(model, scale=find_pairs(data)[0].scale)
    return model, settings


def _given(kind: type[D2CConfig] | type[TrainConfig], options: dict[str, Any]) -> dict[str, Any]:
    return {f.name: options[f.name] for f in dataclasses.fields(kind) if options[f.name] is not None}


@cli.command("eval", layouts=_LAYOUTS, epilog=_LIST)
@click.argument("checkpoint", type=FILE)
@click.option("--data", type=FILE, required=True, help="The pairs.")
@click.option(
    "--split",
    type=click.Choice(["auto", "test", "train", "all"]),
    default="auto",
    show_default=True,
    help="auto: the test split where there is one, else all.",
)
@click.option(
    "--protocol",
    "protocols",
    type=click.Choice(["basicsr-y", "d2c-released"]),
    multiple=True,
    default=["basicsr-y"],
    show_default=True,
    help="How quality is measured; may be given twice.",
)
@click.option("--trust-pairs", is_flag=True, help=_TRUST)
@click.option("--convert-profile", is_flag=True, help=_CONVERT)
@click.option("--csv", "csv_file", type=FILE, help="Write the table there too.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
def evaluate(
    checkpoint: Path,
    data: Path,
    split: str,
    protocols: tuple[Any, ...],
    trust_pairs: bool,
    convert_profile: bool,
    csv_file: Path | None,
    device: str,
) -> None:
    """Measure CHECKPOINT (a file, or a run's folder) on pairs: bicubic, each branch, their mean, fused, oracle."""
    from d2c.checkpoints.native import load
    from d2c.console import ConsoleReporter, quality_tables
    from d2c.device import pick_device
    from d2c.evaluation.evaluate import check_csv, evaluate_files, means, write_csv
    from d2c.inference.failures import Failures
    from d2c.training.runfolder import RunFolder

    model = load(checkpoint, device=pick_device(device))
    if csv_file is not None:
        check_csv(csv_file, [checkpoint, data])
    reporter = ConsoleReporter()
    failures = Failures(reporter)
    run = RunFolder(checkpoint if checkpoint.is_dir() else checkpoint.parent)
    choices = {"trust_pairs": trust_pairs, "convert_profile": convert_profile}
    rows = evaluate_files(model, data, split, protocols, reporter, failures, run=run, **choices)
    rows += means(rows)
    if rows:
        echo("\n\n".join(quality_tables(rows)))
    if rows and csv_file is not None:  # last: whatever becomes of the file, the table has been printed
        write_csv(csv_file, rows)
    failures.conclude()


@cli.command()
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILES|FOLDERS…")
@click.option("--checkpoint", type=FILE, required=True, help="A checkpoint, or a run's folder.")
@click.option("--out", type=FILE, required=True, help="Folder of the results, NAME_xSCALE.png.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--save-branches", is_flag=True, help="Draw the predictions side by side.")
@click.option("--save-weights", is_flag=True, help="Draw the weight maps.")
@click.option("--box", metavar="X,Y,W,H", help="Draw this patch (LR px): LR, bicubic, branches, fused, HR.")
@click.option("--hr", type=FILE, help="HR image of the patch figure; with one file only.")
@click.option("--max-memory", metavar="SIZE", help="Take no more, such as 2GB; the program's own .4 GB come on top.")
@click.option("--spill", type=FILE, help="Folder of temporary files, where memory is short.  [default: OUT]")
@click.option("--convert-profile", is_flag=True, help=_CONVERT)
@click.option(
    "--grey",
    type=click.Choice(["auto", "off"]),
    default="auto",
    show_default=True,
    help="auto: a picture with equal channels gives one with equal channels; off: what the network makes of it.",
)
@click.option("--overwrite", is_flag=True, help="Replace other files that stand where results go; never an input.")
@click.option("--plan", "plan_only", is_flag=True, help="Print memory, disk and time it would take; write nothing.")
def upscale(
    files: tuple[Path, ...],
    checkpoint: Path,
    out: Path,
    device: str,
    save_branches: bool,
    save_weights: bool,
    box: str | None,
    hr: Path | None,
    max_memory: str | None,
    spill: Path | None,
    convert_profile: bool,
    grey: str,
    overwrite: bool,
    plan_only: bool,
) -> None:
    """Upscale image FILES, and the images directly in FOLDERS; depth, transparency and orientation are kept.

    Every result carries what it was made of. The same command goes on where it was cut: results that are there are
    not made again. An image that cannot be read is named, the others are made, and the exit code is 1.

    What does not fit into memory is worked on in strips, and feature maps go to temporary files: the result is the
    same. A result of more than 2^30 pixels becomes a BigTIFF, NAME_xSCALE.tif.
    """
    from d2c.checkpoints.native import load
    from d2c.console import ConsoleReporter, plan_table
    from d2c.device import pick_device
    from d2c.inference.failures import Failures
    from d2c.inference.files import Figures, Limits, plan_files, seconds_of, upscale_files
    from d2c.inference.plan import parse_size

    if hr is not None and (len(files) != 1 or box is None):
        raise ConfigError("hr: is drawn in the patch figure of one file; give one file and its --box")
    wanted = Figures(branches=save_branches, weights=save_weights, box=_box(box), hr=hr)
    model = load(checkpoint, device=pick_device(device))
    memory = None if max_memory is None else parse_size(max_memory)
    limits = Limits(
        max_memory=memory, spill=spill, convert_profile=convert_profile, grey=grey == "auto", overwrite=overwrite
    )
    reporter = ConsoleReporter()
    failures = Failures(reporter)
    if plan_only:
        jobs = [job for job in plan_files(model, files, out, wanted, limits, failures) if job.missing]
        echo(plan_table([(job.source.name, job.plan, seconds_of(model, job.plan)) for job in jobs]))
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
@click.option("--data", type=FILE, help="The pairs.  [default: where they were when the run was started]")
@click.option("--out", type=FILE, help="Folder of the report.  [default: RUN/report]")
@click.option("--scenes", type=click.IntRange(min=0), default=4, show_default=True, help="Validation scenes to show.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
def report(run: Path, data: Path | None, out: Path | None, scenes: int, device: str) -> None:
    """Make a page of curves, example crops and settings of RUN, the folder of a run; also while it trains."""
    from d2c.console import ConsoleReporter
    from d2c.report import report as make

    echo(str(make(run, out=out, data=data, scenes=scenes, device=device, reporter=ConsoleReporter())))


@cli.command()
@click.argument("source", type=FILE)
@click.argument("target", type=FILE)
def convert(source: Path, target: Path) -> None:
    """Read the released checkpoint SOURCE (MegEngine) and write TARGET (.safetensors). Nothing in SOURCE is run."""
    from d2c.checkpoints.released import convert as run

    config = run(source, target)
    echo(f"{target}: x{config.scale}, {config.groups} groups of {config.blocks} blocks, {config.features} features")
