"""Whether each network of the table learns: its tiny size, trained for a few minutes on simulated ×8 pairs.

    python -m benchmarks.training.smoke --work WORK

A network passes if its images of the test scenes end at most .5 dB below bicubic interpolation, and at least 1 dB above
those of its first, untrained weights (.1 dB for networks that begin with an interpolated image). Minutes on a CPU say
nothing about which network is better: no ranking can be drawn from this table. What is in --work is not done again.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import TYPE_CHECKING

import click
import torch

from benchmarks.program import PATH, print_and_store, program, with_out
from benchmarks.result_tables import Row, text_table
from benchmarks.training.training_sets import simulated_x8
from d2c.evaluation.evaluate import evaluate_files, means
from d2c.networks import NETWORKS, find
from d2c.training.train import Request, train
from d2crealsr.ui.progress import Reporter

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

SEED = 900
"""Seed of the scenes; no other table uses them."""
BELOW_BICUBIC_DB = 0.5
GAIN_DB = 1.0
GAIN_FROM_INTERPOLATION_DB = 0.1
INTERPOLATING = ("srresnet", "lpkpn")
"""Networks whose untrained weights give about an interpolated image."""


def psnr(model: nn.Module, data: Path) -> dict[str, float]:
    """PSNR-Y over the test scenes by method."""
    found = means(evaluate_files(model.eval(), data, "test", ["basicsr-y"], Reporter()))
    return {row.method: row.psnr_db for row in found}


def measured(name: str, data: Path, work: Path, steps: int) -> Row:
    """Train the tiny size of a network, and compare it with its untrained weights and with bicubic interpolation."""
    network = find(name)
    preset = network.preset("tiny")
    config = dataclasses.replace(preset.model, scale=8)
    settings = dataclasses.replace(preset.train, steps=steps, validation=0.0, validate_every=0)
    torch.manual_seed(settings.seed)
    before = psnr(network.make(config), data)
    start = time.process_time()
    model = train(Request(data=data, out=work / name, model=config, train=settings, device="cpu"), Reporter())
    seconds = time.process_time() - start
    after = psnr(model, data)
    gain = after[network.main] - before[network.main]
    needed = GAIN_FROM_INTERPOLATION_DB if name in INTERPOLATING else GAIN_DB
    passed = after[network.main] >= after["bicubic"] - BELOW_BICUBIC_DB and gain >= needed
    return {
        "network": name,
        "steps": steps,
        "cpu_s": round(seconds),
        "bicubic_db": round(after["bicubic"], 2),
        "untrained_db": round(before[network.main], 2),
        "trained_db": round(after[network.main], 2),
        "learns": "yes" if passed else "no",
    }


@program(__doc__)
@click.option("--work", type=PATH, required=True, help="Holds the pairs and the runs.")
@click.option("--steps", type=int, default=600, show_default=True, help="Optimiser steps of a network.")
@click.option(
    "--scenes", type=int, default=16, show_default=True, help="Simulated scenes, a quarter of them for testing."
)
@click.option("--only", multiple=True, type=click.Choice(list(NETWORKS)), help="Networks; by default all.")
@with_out
def main(work: Path, steps: int, scenes: int, only: tuple[str, ...], out: Path | None) -> None:
    data = simulated_x8(work / "data", size="mini", scenes=scenes, seed=SEED, test=scenes // 4).folder
    rows = []
    for name in only or NETWORKS:
        rows.append(measured(name, data, work / "runs", steps))
        click.echo(text_table(rows[-1:]))
    print_and_store(text_table(rows), out, {"": rows})
    if any(row["learns"] == "no" for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
