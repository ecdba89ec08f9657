"""The commands that show what a model is worth: ``eval`` and ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import rich_click
from rich_click import option_panel

from d2c.command.options import (
    CONVERT,
    DEVICE,
    ENSEMBLE,
    FILE,
    JSON,
    LAYOUTS,
    LIST,
    NETWORK,
    PRECISION,
    SAMPLES,
    TEMPERATURE,
    TRUST,
    check_draws,
    given,
    model_of,
    new_reporter,
    note_equal_samples,
    precision_of,
)
from d2crealsr.ui.json_text import json_text
from d2crealsr.ui.program import Command
from d2crealsr.ui.terminal import echo

__all__ = ["evaluate", "report"]


@rich_click.command("eval", cls=Command, layouts=LAYOUTS, epilog=LIST)
@option_panel("Pairs", options=["data", "split", "trust_pairs", "convert_profile"])
@option_panel("Measurement", options=["protocols", "self_ensemble", "temperature", "samples", "csv_file", "as_json"])
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
@ENSEMBLE
@TEMPERATURE
@SAMPLES
@TRUST
@CONVERT
@click.option("--csv", "csv_file", type=FILE, help="Also write the table to this CSV file.")
@JSON
@NETWORK
@DEVICE
@PRECISION
def evaluate(
    checkpoint: Path,
    data: Path,
    split: str,
    protocols: tuple[Any, ...],
    csv_file: Path | None,
    as_json: bool,
    temperature: float | None,
    samples: int | None,
    **options: Any,
) -> None:
    """Measure a checkpoint on pairs.

    CHECKPOINT is a file, the folder of a run, or builtin:x8. All outputs of the network are measured, and bicubic
    interpolation for comparison. Of a network that draws samples they are the result, which is not drawn, and samples
    (by default one, at a temperature of 0.9).

    \b
    Examples:
      d2c eval runs/tiny --data pairs/
      d2c eval runs/tiny --data RealSR/Canon/Test/4 --csv figures.csv
    """
    from d2c.checkpoints.native import checkpoint_path
    from d2c.console import quality_tables
    from d2c.evaluation.evaluate import EvalOptions, evaluate_files, means
    from d2c.evaluation.table import check_csv, write_csv
    from d2c.inference.failures import Failures
    from d2c.networks.base.sampling import Sampling
    from d2c.training.runfolder import RunFolder

    model = model_of(checkpoint, options.pop("device"), options.pop("network"))
    ensemble = options["self_ensemble"]
    network, config = check_draws(model, self_ensemble=ensemble, temperature=temperature, samples=samples)
    if network.sampling is not None:
        wanted = Sampling(samples=0 if ensemble else samples or 1, **given(temperature=temperature))
        network.sampled(wanted).note(model, config)
    if csv_file is not None:
        check_csv(csv_file, [checkpoint, data])
    reporter = new_reporter()
    note_equal_samples(temperature, samples, reporter)
    precision = options["precision"] = precision_of(options["precision"], model, reporter)
    failures, protocols = Failures(reporter), tuple(dict.fromkeys(protocols))
    run = RunFolder(checkpoint_path(checkpoint).parent)
    rows = evaluate_files(model, data, split, protocols, reporter, failures, EvalOptions(run=run, **options))
    rows += means(rows)
    if as_json:
        click.echo(json_text([row._asdict() for row in rows]))
    elif rows:
        echo("\n\n".join(quality_tables(rows)))
    if rows and csv_file is not None:  # last, so that the table is printed in any case
        write_csv(csv_file, rows, precision)
    failures.conclude()


@rich_click.command(cls=Command)
@click.argument("run", type=FILE)
@click.option("--data", type=FILE, multiple=True, help="The pairs.  [default: where they were when the run started]")
@click.option("--out", type=FILE, help="Folder of the report.  [default: RUN/report]")
@NETWORK
@click.option(
    "--scenes", type=click.IntRange(min=0), metavar="N", default=4, show_default=True, help="Validation scenes to show."
)
@DEVICE
@PRECISION
def report(run: Path, data: tuple[Path, ...], out: Path | None, **options: Any) -> None:
    """Make a page about a run.

    It shows curves, example crops and settings. RUN is the folder of the run, which may still be training.

    \b
    Examples:
      d2c report runs/tiny
    """
    from d2c.report import report as make

    echo(str(make(run, out=out, data=data, reporter=new_reporter(), **options)))
