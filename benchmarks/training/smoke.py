"""Whether each network of the table learns: its size `tiny`, trained for a few minutes on simulated ×8 pairs.

    python -m benchmarks.training.smoke --work WORK

A network passes if its images of the test scenes end at most .5 dB (srflow: 1 dB) below bicubic interpolation, and at
least 1 dB above those of its first, untrained weights (.1 dB for networks that begin with an interpolated image).
Minutes on a CPU say nothing about which network is better: no ranking can be drawn from this table.

The pairs are made in --work. Networks that were trained there before are not trained again. The exit code is 1 if a
network does not pass.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import TYPE_CHECKING

import click
import torch

from benchmarks.program import PATH, print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, read_csv, text_table, write_csv
from benchmarks.training.training_sets import TEST, simulated
from d2c.evaluation.evaluate import evaluate_files, means
from d2c.networks import NETWORKS, find
from d2c.networks.base.count import parameters
from d2c.training.train import Request, train
from d2crealsr.ui.progress import Reporter

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

SEED = 900
"""Seed of the simulated scenes; it is in neither range of seeds.py, as nothing is chosen or reported on them."""
BELOW_BICUBIC_DB = 0.5
FLOW_BELOW_BICUBIC_DB = 1.0
"""For srflow, which is trained by likelihood and not by the differences of pixels."""
GAIN_DB = 1.0
GAIN_FROM_INTERPOLATION_DB = 0.1
INTERPOLATING = ("srresnet", "lpkpn")
"""Networks that are made to begin with an interpolated image."""


def psnr(model: nn.Module, data: Path) -> dict[str, float]:
    """PSNR-Y in dB, mean over the test scenes, by method."""
    found = means(evaluate_files(model.eval(), data, "test", ["basicsr-y"], Reporter()))
    return {row.method: row.psnr_db for row in found}


def measured(name: str, data: Path, runs: Path, steps: int) -> Row:
    """Train the tiny size of a network, and compare it with its untrained weights and with bicubic interpolation.

    All stages together have these steps, shared as in the preset.
    """
    network = find(name)
    preset = network.preset("tiny")
    config = dataclasses.replace(preset.model, scale=8)
    lengths = {kind.lengths[0] for kind in network.stages(preset.train)}
    total = sum(getattr(preset.train, length) for length in lengths)
    given = {length: max(1, round(steps * getattr(preset.train, length) / total)) for length in lengths}
    settings = dataclasses.replace(preset.train, validation=0.0, validate_every=0, **given)
    torch.manual_seed(settings.seed)
    before = psnr(network.make(config), data)
    start = time.process_time()
    request = Request(
        network=name,
        data=data,
        out=runs / name,
        model=config,
        train=settings,
        device="cpu",
        cache=runs / "cache",
        threads=1,
    )
    model = train(request)
    seconds = time.process_time() - start
    after = psnr(model, data)
    return {
        "network": name,
        "parameters": parameters(network, config),
        "steps": sum(given.values()),
        "cpu_s": round(seconds),
        "bicubic_db": after["bicubic"],
        "untrained_db": before[network.main],
        "trained_db": after[network.main],
        "gain_db": after[network.main] - before[network.main],
        "over_bicubic_db": after[network.main] - after["bicubic"],
        "learns": "yes" if passes(name, before[network.main], after[network.main], after["bicubic"]) else "no",
    }


def passes(name: str, untrained_db: float, trained_db: float, bicubic_db: float) -> bool:
    """Whether a network has learnt enough."""
    needed = GAIN_FROM_INTERPOLATION_DB if name in INTERPOLATING else GAIN_DB
    below = FLOW_BELOW_BICUBIC_DB if name == "srflow" else BELOW_BICUBIC_DB
    return trained_db >= bicubic_db - below and trained_db - untrained_db >= needed


def stored(name: str, data: Path, runs: Path, steps: int) -> Row:
    """The row of a network, which is made if it is not there yet."""
    file = runs / f"{name}.csv"
    if not file.exists():
        write_csv(file, [measured(name, data, runs, steps)])
    row = read_csv(file)[0]
    numbers = {key: float(value) for key, value in row.items() if key not in ("network", "learns")}
    return row | {key: value if key.endswith("_db") else int(value) for key, value in numbers.items()}


@program(__doc__)
@click.option("--work", type=PATH, required=True, help="Holds the pairs and the runs.")
@click.option(
    "--steps", type=click.IntRange(1), default=600, show_default=True, help="Steps of a network, all stages together."
)
@click.option("--scenes", type=click.IntRange(8), default=16, show_default=True, help="Simulated scenes.")
@click.option("--only", multiple=True, type=click.Choice(list(NETWORKS)), help="A network; by default all.")
@with_small("Two steps on eight scenes", steps=2, scenes=8)
@with_out
def main(work: Path, steps: int, scenes: int, only: tuple[str, ...], out: Path | None) -> None:
    torch.set_num_threads(1)
    data = simulated(
        work / f"data-{scenes}", scale=8, size="mini", scenes=scenes, seed=SEED, test=scenes // TEST
    ).folder
    rows = []
    for name in only or NETWORKS:
        rows.append(stored(name, data, work / f"runs-{scenes}-{steps}", steps))
        click.echo(text_table(rows[-1:], digits=2), err=True)
    said = (
        "A smoke test: whether each network learns within minutes on one CPU thread. It gives no ranking.\n"
        "steps: of all stages together, with the batch and the patch of the preset tiny\n"
        f"learns: trained at most {BELOW_BICUBIC_DB} dB below bicubic ({FLOW_BELOW_BICUBIC_DB} dB for srflow), and at "
        f"least {GAIN_DB} dB above untrained "
        f"({GAIN_FROM_INTERPOLATION_DB} dB for {' and '.join(INTERPOLATING)}, which begin with an interpolated image)\n"
        "PSNR-Y in dB (basicsr-y), mean over the test scenes of simulated x8 pairs"
    )
    print_and_store(f"{said}\n\n{text_table(rows, digits=2)}", out, {"": rows})
    if any(row["learns"] == "no" for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
