"""Options that several commands share, and what the commands make of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from d2c.errors import ConfigError
from d2c.settings.config import Precision

if TYPE_CHECKING:
    from torch import nn

    from d2crealsr.ui.progress import Reporter

__all__ = [
    "CONVERT",
    "DEVICE",
    "ENSEMBLE",
    "FILE",
    "JSON",
    "LAYOUTS",
    "LIST",
    "NETWORK",
    "PRECISION",
    "SAMPLES",
    "TEMPERATURE",
    "TRUST",
    "check_draws",
    "given",
    "model_of",
    "new_reporter",
    "note_equal_samples",
    "precision_of",
]


class _Number(click.FloatRange):
    """A number in a range. Click's own type lets nan through, which is below no limit and above none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


FILE = click.Path(path_type=Path)

LAYOUTS = "d2crealsr.store.layouts:PAIR_LAYOUTS"
LIST = "--data may also name a text file with one pair per line: the LR path, a tab and the HR path."

CONVERT = click.option(
    "--convert-profile",
    is_flag=True,
    help="Convert images with another colour profile to sRGB instead of refusing them.",
)
DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
PRECISION = click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    default="fp32",
    show_default=True,
    help="Arithmetic of the network. fp32 is exact also on CUDA; the others are faster there.",
)
ENSEMBLE = click.option(
    "--self-ensemble",
    is_flag=True,
    help="Take the mean over eight flips and transposes of each image (marked +). It takes eight times as long.",
)
TEMPERATURE = click.option(
    "--temperature",
    type=_Number(0, 2),
    metavar="X",
    help="Spread of what a network that draws samples (srflow) draws: 0 for the most probable image.",
)
SAMPLES = click.option(
    "--samples", type=click.IntRange(1, 64), metavar="N", help="Number of samples that such a network draws."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
NETWORK = click.option("--network", help="The checkpoint's network. Give module:NAME if it is one of your own.")
TRUST = click.option(
    "--trust-pairs", is_flag=True, help="Do not check whether HR and LR of each pair show the same scene."
)


def new_reporter() -> Reporter:
    """Progress on the terminal. It is closed when the command ends, also by an error."""
    from d2crealsr.ui.progress import ConsoleReporter

    return click.get_current_context().with_resource(ConsoleReporter())


def model_of(checkpoint: Path, device: str, network: str | None) -> nn.Module:
    """The model of a checkpoint on a device."""
    from d2c.checkpoints.native import load
    from d2c.device import pick_device
    from d2c.inference.run import laid_out

    return laid_out(load(checkpoint, device=pick_device(device), network=network))


def given(**values: Any) -> dict[str, Any]:
    """The values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def check_draws(model: nn.Module, *, self_ensemble: bool, **asked: Any) -> Any:
    """The network of a model and its configuration; raises :class:`ConfigError` if it cannot draw what is asked for.

    ``asked`` are the values of options about samples by name, None where they were not given.
    """
    from d2c.networks import network_of

    network, config = network_of(model)
    if name := next(iter(given(**asked)), None):
        if network.sampling is None:
            raise ConfigError(f"{name}: {network.name} makes one image and draws no samples; leave out --{name}")
        if self_ensemble:
            raise ConfigError(
                f"{name}: --self-ensemble takes the mean of eight images, but samples differ; leave one of them out"
            )
    return network, config


def note_equal_samples(temperature: float | None, samples: int | None, reporter: Reporter) -> None:
    """Say that samples at temperature 0 are not drawn, if any were asked for."""
    if samples and temperature == 0:
        equal = "the sample equals" if samples == 1 else f"all {samples} samples equal"
        reporter.note(f"temperature: at 0 {equal} the result; give --temperature above 0 for different images")


def precision_of(asked: Any, model: nn.Module, reporter: Reporter) -> Any:
    """The precision in which the device of a model computes; says so if it is another than the one asked for."""
    from d2c.networks import network_of
    from d2c.precision import available_precision, check_permitted

    network = network_of(model)[0]
    check_permitted(asked, network.precisions, network.name)
    return available_precision(asked, next(model.parameters()).device, reporter.note)
