"""Peak memory of training steps, predicted and measured, each in a separate process.

    python -m benchmarks.speed.memory_train --out benchmarks/results/memory_train
    python -m benchmarks.speed.memory_train --small

The measured figure is what two steps add to the peak memory of the process, on one CPU thread. The batch is random.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click
import torch

from benchmarks.measuring import alone, begin_peak, peak_bytes
from benchmarks.program import print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from d2c.d2csr import stages
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.memory import Kind, step_memory
from d2c.d2csr.network import D2CSR
from d2c.d2csr.presets import PRESETS
from d2c.data.patches import Batch
from d2c.training.engine import Engine

if TYPE_CHECKING:
    from pathlib import Path

UNSEEN = frozenset(
    {
        "paper, x4, stage 1, batch 1",
        "released, x8, joint, batch 1",
        "small, x4, stage 2, batch 16",
        "tiny, x2, stage 1, patch 64",
    }
)
"""Configurations that the model's constants were not chosen on."""


def configurations() -> dict[str, tuple[D2CConfig, TrainConfig, Kind]]:
    """What is measured, by name: presets, with fewer patches where a preset would need a GPU."""

    def of(name: str, kind: Kind, scale: int, **changes: int) -> tuple[D2CConfig, TrainConfig, Kind]:
        chosen = PRESETS[name]
        model, train = (
            dataclasses.replace(chosen.model, scale=scale, borders="exact"),
            dataclasses.replace(chosen.train, ema=0.0, **changes),
        )
        return model, train, kind

    return {
        "paper, x8, stage 1, batch 2": of("paper", "stage 1", 8, batch=2),
        "paper, x8, stage 2, batch 4": of("paper", "stage 2", 8),
        "released, x4, joint, batch 2": of("released", "joint", 4, batch=2),
        "small, x8, stage 1": of("small", "stage 1", 8),
        "small, x2, joint, patch 96": of("small", "joint", 2, patch=96),
        "tiny, x4, stage 1": of("tiny", "stage 1", 4),
        "tiny, x8, joint, batch 16": of("tiny", "joint", 8, batch=16),
        "small, x8, together, batch 2": of("small", "together", 8, batch=2),
        "tiny, x4, together": of("tiny", "together", 4),
        "paper, x4, stage 1, batch 1": of("paper", "stage 1", 4, batch=1),
        "released, x8, joint, batch 1": of("released", "joint", 8, batch=1),
        "small, x4, stage 2, batch 16": of("small", "stage 2", 4, batch=16),
        "tiny, x2, stage 1, patch 64": of("tiny", "stage 1", 2, patch=64),
    }


def measure(model: D2CConfig, train: TrainConfig, kind: Kind) -> float:
    """Bytes that two steps add to this process's peak, from where `d2c train` asks whether they fit."""
    torch.set_num_threads(1)
    step_memory(model, train, kind, torch.device("cpu"))
    before = begin_peak()
    trained = (stages.DivergenceStage, stages.ConvergenceStage, stages.JointStage, stages.TogetherStage)
    stage = next(chosen for chosen in trained if chosen.kind == kind)
    engine = Engine(stage(D2CSR(model), train), train)
    sides = (train.patch, train.patch * model.scale)
    batch = Batch(*(torch.rand(train.batch, 3, side, side) for side in sides))
    for _ in range(2):
        engine.update(batch, train.lr, {"alpha": train.alpha})
    return float(peak_bytes() - before)


@program(__doc__)
@with_out
@with_small("The smallest configuration only", exposed=True)
def main(out: Path | None, small: bool) -> None:
    """Print the table, and store it."""
    chosen = configurations()
    if small:
        chosen = {"tiny, x4, stage 1": chosen["tiny, x4, stage 1"]}
    rows: list[Row] = []
    for name, (model, train, kind) in chosen.items():
        predicted = step_memory(model, train, kind, torch.device("cpu"))
        measured = alone(measure, model, train, kind)
        parts = {f"{part}_gb": round(value / 1e9, 4) for part, value in predicted._asdict().items() if part != "total"}
        ratio = round(predicted.total / measured, 3)
        sizes = {"predicted_gb": round(predicted.total / 1e9, 3), "measured_gb": round(measured / 1e9, 3)}
        seen = "no" if name in UNSEEN else "yes"
        rows.append(
            {"configuration": name, "constants_chosen_on_it": seen, **sizes, "predicted_over_measured": ratio, **parts}
        )
        click.echo(f"{name}: done", err=True)
    print_and_store(text_table(rows), out, {"": rows})


if __name__ == "__main__":
    main()
