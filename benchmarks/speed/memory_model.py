"""Memory of upscaling: what `d2c upscale --plan` predicts, compared with what is measured.

    python -m benchmarks.speed.memory_model --out benchmarks/results/memory_model

Each configuration runs in a separate process on a CPU. The measured figure is the peak resident memory of the process,
less its memory before the file, when the libraries are loaded, the weights are made and one tiny image has been
upscaled, so that the kernels are loaded. Temporary files count as far as their pages are resident.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.measuring import alone, begin_peak, peak_bytes
from benchmarks.program import print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from d2c.d2csr.config import D2CConfig
from d2c.d2csr.network import D2CSR
from d2c.inference.files import Figures, Limits, plan_files, upscale_files
from d2crealsr.store.images import write_image


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What is upscaled by what."""

    model: D2CConfig
    size: tuple[int, int]
    max_memory: int | None = None
    figures: bool = False


PAPER = D2CConfig()
MIDDLE = D2CConfig(scale=4, features=32, blocks=1, convergence_features=32)
TINY = D2CConfig(scale=2, features=16, groups=1, blocks=1, convergence_features=16)

CONFIGURATIONS = {
    "paper x8, 432x288": Configuration(model=PAPER, size=(432, 288)),
    "paper x8, 432x288, in files": Configuration(model=PAPER, size=(432, 288), max_memory=200_000_000),
    "paper x8, 216x144, with figures": Configuration(model=PAPER, size=(216, 144), figures=True),
    "middle x4, 1152x768": Configuration(model=MIDDLE, size=(1152, 768)),
    "tiny x2, 3000x2000": Configuration(model=TINY, size=(3000, 2000)),
}

SMALL = {
    "tiny x2, 96x64": Configuration(model=TINY, size=(96, 64)),
    "tiny x2, 96x64, in files": Configuration(model=TINY, size=(96, 64), max_memory=2_000_000),
}


def measure(configuration: Configuration) -> Row:
    """Predicted and measured peak of one configuration, in bytes; runs in a new process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = D2CSR(configuration.model).eval()
    model.to(memory_format=torch.channels_last)
    wanted, limits = (
        Figures(names=("branches",) if configuration.figures else ()),
        Limits(max_memory=configuration.max_memory),
    )
    with tempfile.TemporaryDirectory() as temporary:
        paths = []
        for name, (width, height) in {"tiny": (32, 16), "image": configuration.size}.items():
            paths.append(Path(temporary) / f"{name}.png")
            noise = np.random.default_rng(0).integers(0, 256, (height, width, 3))
            write_image(paths[-1], noise.astype(np.uint8))
        upscale_files(model, paths[:1], Path(temporary), wanted)
        (job,) = plan_files(model, paths[1:], Path(temporary), wanted, limits)
        before = begin_peak()
        upscale_files(model, paths[1:], Path(temporary), wanted, limits=limits)
        peak = peak_bytes() - before
    plan = job.plan
    return {"strip": plan.strip, "band": plan.band, "files": plan.spill, "predicted": plan.memory, "measured": peak}


def rows_of(configurations: dict[str, Configuration]) -> list[Row]:
    """A row for each configuration, each from a process of its own."""
    rows: list[Row] = []
    for name, configuration in configurations.items():
        found = alone(measure, configuration)
        predicted, peak = found["predicted"], found["measured"]
        sizes: Row = {"predicted MB": predicted / 1e6, "measured MB": peak / 1e6}
        ways: Row = {key: str(found[key]) for key in ("strip", "band", "files")}
        rows.append({"configuration": name, **ways, **sizes, "predicted / measured": predicted / peak})
        click.echo(f"{name}: done", err=True)
    return rows


@program(__doc__)
@with_out
@with_small("Two tiny images", exposed=True)
def main(out: Path | None, small: bool) -> None:
    rows = rows_of(SMALL if small else CONFIGURATIONS)
    title = "Peak memory of `d2c upscale` over what the process had before, CPU, one thread"
    print_and_store(f"{title}\n\n{text_table(rows, digits=2)}", out, {"": rows})


if __name__ == "__main__":
    main()
