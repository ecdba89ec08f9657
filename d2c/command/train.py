"""The command ``train``."""

from __future__ import annotations

import dataclasses
import os
import sys
from typing import TYPE_CHECKING, Any

import click
import rich_click
from rich_click import option_panel

from d2c.command.options import CONVERT, DEVICE, FILE, LAYOUTS, LIST, TRUST, new_reporter
from d2c.errors import ConfigError
from d2c.networks import DEFAULT, default_out, find, network_in, stored
from d2c.networks.base.options import NetworkCommand, setting_options
from d2c.settings import toml
from d2crealsr.store.ownership import is_run
from d2crealsr.ui.interrupts import Interrupts
from d2crealsr.ui.json_text import json_text
from d2crealsr.ui.options import Switch
from d2crealsr.ui.terminal import echo, plain

if TYPE_CHECKING:
    from pathlib import Path

    from d2c.networks import Network, NetworkConfig, TrainSettings

__all__ = ["train"]


def _train_network(given: dict[str, Any]) -> Network:
    """The network to train: the named one, that of the settings file or of the resumed run, or else D2C-SR."""
    file = _settings_file(given["out"], given["preset_name"], given["config_file"])
    if given["network"] is not None or file is None:
        return find(DEFAULT if given["network"] is None else given["network"])
    return stored(network_in(toml.read(file)), None, str(file))


def _train_options(network: Network) -> list[click.Option]:
    """The options for a network: its sizes and its settings."""
    sizes = click.Choice(list(network.sizes()))
    told = "A named size and its schedule.  [default: paper]"
    return [click.Option(["--preset", "preset_name"], type=sizes, help=told), *setting_options(network)]


@rich_click.command(
    cls=NetworkCommand, find=_train_network, added=_train_options, layouts=LAYOUTS, epilog=LIST, resumes=True
)
@option_panel("Pairs", options=["data", "data_weight", "validate_on", "trust_pairs", "convert_profile", "cache"])
@option_panel(
    "Run",
    options=["network", "preset_name", "config_file", "out", "stage", "weights", "plan_only", "as_json", "tensorboard"],
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
@click.option(
    "--out",
    type=FILE,
    help="Folder of the run. A run in it is resumed.  [default: runs/PRESET for D2C-SR, else runs/NETWORK-PRESET]",
)
@click.option("--config", "config_file", type=FILE, help="A TOML file of settings, such as a run's config.toml.")
@click.option("--stage", metavar="[N|all]", default="all", show_default=True, help="Number of the stage to train.")
@DEVICE
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Threads on a CPU. The weights do not depend on it, except for rounding. Where other programs keep the cores "
    "busy, 1 is faster.  [default: that of the resumed run, or one for each physical core that may be used]",
)
@click.option("--cache", type=FILE, help="Folder of decoded images.  [default: in the run's folder]")
@click.option("--weights", type=FILE, help="Start from the weights of this checkpoint, or of builtin:x8.")
@click.option("--tensorboard", is_flag=True, help="Also write a log for TensorBoard.")
@click.option(
    "--cuda-graph/--no-cuda-graph",
    cls=Switch,
    default=True,
    help="Launch the operators of a step on CUDA as one graph, or one by one.  [default: one graph]",
)
@TRUST
@CONVERT
@click.option("--plan", "plan_only", is_flag=True, help="Print the memory that a step needs. Train nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --plan: print JSON, for programs.")
@click.pass_obj
def train(
    chosen: Network,
    /,
    network: str | None,
    out: Path | None,
    preset_name: str | None,
    config_file: Path | None,
    plan_only: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network on pairs, one stage after the other.

    Settings come from the preset, then from the TOML file, then from the options. The options under Network and below
    it are those of D2C-SR; d2c train --network NAME --help shows those of another network. Several GPUs or nodes:
    torchrun --nproc-per-node N -m d2c train …

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
        click.echo(_step_plan(chosen, model, settings, run_options, as_json=as_json))
        return
    if as_json:
        raise ConfigError("json: is the table of --plan for programs; give --plan, or leave out --json")
    places = {field.name: getattr(datasets, field.name) for field in dataclasses.fields(datasets)}
    request = Request(
        **places, out=out, model=model, train=settings, network=chosen.name, command=command, **run_options
    )
    with Interrupts() as interrupts:
        run(request, new_reporter(), interrupts)
    if os.environ.get("RANK", "0") == "0":  # of several processes one says it
        echo(f"{out / 'last.safetensors'}")


def _step_plan(
    network: Network, model: NetworkConfig, settings: TrainSettings, run: dict[str, Any], *, as_json: bool
) -> str:
    """The memory that a step of each stage would need, and the free memory, as a table or as JSON in bytes."""
    from d2c.console import step_table
    from d2c.device import available_bytes, pick_device
    from d2c.training.memory import step_memories

    device = pick_device(run["device"])
    steps, free = step_memories(network, model, settings, run["stage"], device), available_bytes(device)
    if not as_json:
        return plain(step_table(steps, free, str(device)))
    stages = {stage: memory._asdict() for stage, memory in steps.items()}
    return json_text({"device": str(device), "free_bytes": free, "bytes_of_a_step": stages})


def _settings_file(out: Path | None, preset_name: str | None, config_file: Path | None) -> Path | None:
    """The settings file: the named one, or that of the run if one is resumed without a preset."""
    if config_file is None and preset_name is None and out is not None and is_run(out / "config.toml"):
        return out / "config.toml"
    return config_file
