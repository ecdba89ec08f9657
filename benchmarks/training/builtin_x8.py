"""How the checkpoint `builtin:x8` is made: its pairs, its training, its file, and the table of its quality.

    python -m benchmarks.training.builtin_x8 data --work WORK --photos PHOTOS    # minutes
    python -m benchmarks.training.builtin_x8 train --work WORK --minutes 60      # writes WORK/x8.safetensors
    python -m benchmarks.training.builtin_x8 table --work WORK --out builtin_x8  # on photographs not trained on

The photographs are dealt to a part for training, one for validation and one for testing before any card is made.
`train` first trains two networks of about equal cost for equally many steps: the tree of D2C-SR, and one path. It goes
on with the weights of the one that is better on the validation part, or of the tree if that is at most .05 dB behind.
It uses one thread, and ends after so many minutes of wall time, whatever else the machine does: the rate is constant
for nearly half of them, and then falls along a cosine twice, at last without collages, whose photographs have white
rims. The last weights are exported. They are not the same in every run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import torch

from benchmarks.program import FOLDER, PATH, print_and_store, program, with_out, with_small
from benchmarks.result_tables import read_csv, text_table, write_csv
from benchmarks.training.builtin_data import SCALE, make, training_data
from benchmarks.training.builtin_table import fitted_filter, image_rows, mean_rows, test_sets
from d2c.checkpoints.native import load, provenance
from d2c.comparison.deadline import Deadline, TimeIsUp
from d2c.evaluation.evaluate import evaluate_files, means
from d2c.export.write import export
from d2c.networks import find
from d2c.training.train import Request, train
from d2crealsr.ui.progress import ConsoleReporter, Reporter

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.result_tables import Row

TRIAL_STEPS = 200
NEAR_DB = 0.05
"""The tree is taken if it is at most so far behind."""
CONSTANT, WITH_COLLAGES = 0.45, 0.7
"""Shares of the time after the trials at which the constant rate ends, and the training on collages."""
PATCH, LATER_PATCH = 32, 48
LAST_RATE = 8e-4
"""Learning rate at the start of the training without collages."""
OFTEN: dict[str, Any] = {"ema": 0.998, "save_every": 250, "validate_every": 1000}
"""Settings of all runs after the trials."""
PARTS = ("constant", "cosine", "rimless")
"""Those runs, in their order."""

COMMON: dict[str, Any] = {
    "patch": PATCH,
    "batch": 4,
    "lr": 1e-3,
    "warmup": 50,
    "precision": "bf16",
    "log_every": 25,
    "validate_every": 0,
}


class Arm(NamedTuple):
    """A network that may become the checkpoint: its structure, and its settings of the trial and of what follows."""

    network: str
    model: dict[str, Any]
    trial: dict[str, Any]
    constant: dict[str, Any]
    cosine: dict[str, Any]


ARMS = {
    "tree": Arm(
        "d2csr",
        {"features": 16, "groups": 1, "blocks": 1, "borders": "composed"},
        {"steps": TRIAL_STEPS * 4 // 5, "steps_convergence": TRIAL_STEPS // 5, "alpha": 0.01},
        {"steps_convergence": 1},
        {},
    ),
    "path": Arm(
        "edsr",
        {"features": 32, "blocks": 8, "residual_scale": 1.0},
        {"steps": TRIAL_STEPS, "loss": "l1"},
        {},
        {"loss": "l2"},
    ),
}


def request(work: Path, arm: Arm, out: str, **changes: Any) -> Request:
    """A run on the pairs of the training part."""
    preset = find(arm.network).preset("tiny")
    return Request(
        network=arm.network,
        data=training_data(work),
        validate_on=work / "validation" / "pairs",
        out=work / out,
        cache=work / "cache",
        model=dataclasses.replace(preset.model, scale=SCALE, **arm.model),
        train=dataclasses.replace(preset.train, **{**COMMON, **arm.trial, **changes}),
        device="cpu",
        threads=1,
    )


def choose(work: Path) -> str:
    """Train both arms for equally many steps; the better one on the validation part, or the tree if it is near."""
    rows = []
    for name, arm in ARMS.items():
        began = time.process_time()
        train(request(work, arm, f"trial-{name}", schedule="cosine", ema=0.99), ConsoleReporter())
        spent = time.process_time() - began
        measured = evaluate_files(
            load(work / f"trial-{name}"), work / "validation" / "pairs", "all", ["basicsr-y"], Reporter()
        )
        found = {row.method: row.psnr_db for row in means(measured)}
        rows.append({"arm": name, "cpu_s": round(spent), "main_db": found[find(arm.network).main], **found})
        click.echo(text_table(rows[-1:]))
    write_csv(work / "trials.csv", rows)
    tree, path = (row["main_db"] for row in rows)
    return "tree" if tree >= path - NEAR_DB else "path"


def until(run: Request, end: float) -> None:
    """Train, or resume, until a time of the wall clock."""
    with contextlib.suppress(TimeIsUp), Deadline((end - time.time()) / 60) as stop:
        train(run, ConsoleReporter(), stop)


def go_on(work: Path, chosen: str, end: float) -> None:
    """Train the chosen arm from the weights of its trial: at a constant rate, then along a cosine, twice."""
    began, arm = time.time(), ARMS[chosen]
    change = began + WITH_COLLAGES * (end - began)
    constant = request(work, arm, "constant", steps=10**6, lr_halve_epochs=0, **OFTEN, **arm.constant)
    trial = work / f"trial-{chosen}" / "last.safetensors"
    until(dataclasses.replace(constant, weights=trial), began + CONSTANT * (end - began))
    pace = (time.time() - began) / provenance(work / "constant")["step"] * (LATER_PATCH / PATCH) ** 2
    _along_cosine(request(work, arm, "cosine", seed=1, **arm.cosine), work / "constant", pace, change)
    rimless = request(work, arm, "rimless", seed=3, **{**arm.cosine, "lr": LAST_RATE})
    _along_cosine(dataclasses.replace(rimless, data=training_data(work, collages=False)), work / "cosine", pace, end)


def _along_cosine(run: Request, after: Path, pace: float, end: float) -> None:
    """Train from the weights of another run along a cosine that ends in time, at ``pace`` seconds a step."""
    steps = max(2, int(0.94 * (end - time.time()) / pace))
    click.echo(f"{pace:.3f} s a step; {steps} steps along a cosine")
    lengths = {"steps": steps}
    if hasattr(run.train, "steps_convergence"):
        lengths = {"steps": steps * 5 // 6, "steps_convergence": max(1, steps // 6)}
    settings = dataclasses.replace(run.train, patch=LATER_PATCH, schedule="cosine", **OFTEN, **lengths)
    until(dataclasses.replace(run, train=settings, weights=after / "last.safetensors"), end)


def table(work: Path, checkpoint: str, out: Path | None) -> None:
    """Measure a checkpoint on the photographs that were not trained on."""
    model, linear, rows = load(checkpoint), fitted_filter(work), []
    for name, pairs in test_sets(work).items():
        rows += image_rows(model, linear, name, pairs)
    said = (
        f"{checkpoint} on simulated x8 captures of photographs that it was not trained on, means over the images\n"
        "filter: the linear filter of 9x9 LR px in all colours that least squares fit to the training pairs\n"
        "over_filter_db: PSNR above the filter's, mean and smallest over the images"
    )
    tables = {"-images": rows, "-trials": read_csv(work / "trials.csv"), "-validation": validations(work)}
    print_and_store(f"{said}\n\n{text_table(mean_rows(rows))}", out, tables)


def validations(work: Path) -> list[Row]:
    """What the validation part had in the course of the training."""
    rows = [{"part": part, **row} for part in PARTS for row in read_csv(work / part / "log.csv")]
    kept = ("part", "stage", "step")
    measured = [row for row in rows if any(name.startswith("val_") for name in row)]
    return [{k: v for k, v in row.items() if k in kept or k.startswith("val_")} for row in measured]


@program(__doc__)
@click.argument("what", type=click.Choice(["data", "train", "table"]))
@click.option("--work", type=PATH, required=True, help="Holds the pairs, the runs and the file of weights.")
@click.option("--photos", type=FOLDER, help="Folder of sixty photographs (*.jpg) or more; needed for data.")
@click.option("--minutes", type=float, default=60, show_default=True, help="Wall time of the training.")
@click.option("--checkpoint", default="builtin:x8", show_default=True, help="What the table measures.")
@click.option("--scenes", type=click.IntRange(2), help="Captures of each part.  [default: 80, 12, 24 and 18]")
@with_small("Three captures of each part, or a minute of training", scenes=3, minutes=1)
@with_out
def main(
    what: str, work: Path, photos: Path | None, minutes: float, checkpoint: str, scenes: int | None, out: Path | None
) -> None:
    torch.set_num_threads(1)
    end = time.time() + 60 * minutes
    if what == "data":
        if photos is None:
            raise click.UsageError("data: needs photographs to print on the cards; give their folder with --photos")
        make(work, photos, click.echo, scenes)
    elif what == "train":
        go_on(work, choose(work), end)
        last = work / PARTS[-1] / "last.safetensors"
        written = export(last, "safetensors", work / "x8.safetensors", precision="fp16")
        click.echo(f"{written.path}: {written.bytes} bytes")
    else:
        table(work, checkpoint, out)


if __name__ == "__main__":
    main()
