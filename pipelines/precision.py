"""Decide in which precision presets are trained: whether a faster one loses less than .05 dB against fp32.

    python pipelines/precision.py --train pairs --out precision --budget steps=20000 --seeds 8

D2C-SR is trained in fp32 and in each precision that the device has, from the same seeds and on the same patches, with a
rate that falls to zero along a cosine, so that the last steps add little noise. All are measured in fp32. A precision
is not inferior if the upper 95 % limit of its mean loss of PSNR-Y, over at least eight paired seeds, is below .05 dB.
Otherwise it is undecided, or inferior if the lower limit is above .05 dB. The images are taken as given; other pairs
may answer otherwise. Each precision and seed is a cell under OUT/cells, which is trained and measured once: stop the
program at any time and give the same command again. It writes precision.csv and precision.md.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from d2c.comparison.compare import compare
from d2c.comparison.front import begin, check_trained, conclude, program, run_program, with_front
from d2c.comparison.methods import Method
from d2c.comparison.not_inferior import loss_of
from d2c.comparison.pages import markdown_table
from d2c.d2csr.presets import PRESETS
from d2c.device import pick_device
from d2c.errors import ConfigError
from d2c.precision import PRECISIONS, available_precision
from d2crealsr.store.files import write_text
from d2crealsr.ui.interrupts import Interrupts

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from d2c.comparison.compare import Comparison
    from d2c.comparison.front import Front
    from d2c.comparison.test_sets import TestSet
    from d2c.settings.config import Precision
    from d2c.settings.presets import Preset

REFERENCE = "fp32"
PROTOCOL = "basicsr-y"


def offered(device: torch.device) -> list[Precision]:
    """The precisions that a device has, fp32 first."""
    found: list[Precision] = []
    for precision in PRECISIONS:
        try:
            found.append(available_precision(precision, device))
        except ConfigError:  # it does not have this one
            continue
    return list(dict.fromkeys(found))


def methods(preset: Preset, precisions: list[Precision]) -> list[Method]:
    """A training in each precision."""
    train: Any = dataclasses.replace(preset.train, schedule="cosine", tf32=False)
    return [
        Method(
            name=name,
            label=name,
            network="d2csr",
            model=preset.model,
            train=dataclasses.replace(train, precision=name),
        )
        for name in precisions
    ]


def page(found: Comparison, tested: TestSet, names: list[Precision]) -> str:
    """The losses on one test set in Markdown."""
    rows = found.rows[(found.rows["test"] == tested.name) & (found.rows["protocol"] == PROTOCOL)]
    lines = []
    for output in ("fused", "mean"):
        grids = {name: _grid(rows[(rows["method"] == name) & (rows["output"] == output)]) for name in names}
        for name in names[1:]:
            paired = grids[REFERENCE].index.intersection(grids[name].index)  # seeds that both were trained from
            loss = "no seed was trained in both"
            if len(paired):
                loss = str(loss_of(grids[REFERENCE].loc[paired].to_numpy(), grids[name].loc[paired].to_numpy()))
            psnr = "not trained" if grids[name].empty else f"{grids[name].to_numpy().mean():.3f}"
            lines.append([output, name, psnr, loss])
    head = ["output", "precision", "PSNR-Y dB", "loss against fp32, lower and upper 95 % limit"]
    return f"## {tested.name} ×{tested.scale}, {len(tested.pairs)} images\n\n{markdown_table(head, lines)}"


def _grid(rows: pd.DataFrame) -> pd.DataFrame:
    """PSNR by seed and image."""
    return rows.pivot_table(index="seed", columns="image", values="psnr_db")


@program(__doc__)
@with_front(list(PRESETS))
def main(front: Front, size: str) -> None:
    """Connect the steps, each of which is a function of the library."""
    if front.precision:
        raise ConfigError(f"precision: got {front.precision}, but all are compared here; leave --precision out")
    names = offered(pick_device(front.device))
    if unknown := [name for name in front.only if name not in names]:
        raise ConfigError(f"only: got {unknown[0]!r}, expected some of {', '.join(names)}; change --only")
    names = [name for name in names if not front.only or name in (REFERENCE, *front.only)]
    preset = PRESETS[size]
    with Interrupts() as interrupts:
        work, tests = begin(front, interrupts)
        trained = methods(preset._replace(model=dataclasses.replace(preset.model, scale=work.scale)), names)
        found = compare(work, trained, range(front.seeds), tests)
    check_trained(found)
    write_text(front.out / "precision.csv", found.rows.to_csv(index=False, float_format="%.6f"))
    pages = [page(found, tested, names) for tested in tests]
    text = "\n\n".join(["# Precision of training", *pages, *found.failures]) + "\n"
    write_text(front.out / "precision.md", text)
    click.echo(text)
    conclude(found)


if __name__ == "__main__":
    run_program(main, "precision")
