"""What a grey value of `d2c upscale --confidence` means: the error of builtin:x8 where its results change so quickly.

    python -m benchmarks.training.confidence_levels --work WORK --out confidence_levels

WORK has the pairs of `benchmarks.training.builtin_x8 data`. The error of Y is compared with the gradient of the result,
both as root mean squares over one LR px, without the LR px at the border. The LR px of all validation pairs are
divided into twenty parts of equal size by their gradient. The one constant of the map, the gradient at which a grey
value is half of 255, is fitted to the error of these parts, so that a tenth of the grey value is the error. The table
has what a tenth of the grey value says, and what the error was, between the same gradients also on pairs of photographs
that were neither trained on nor fitted to. Below are AUSE (0 is perfect) and rank correlation within each image, as
means over the images with half-widths of 95 % intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np
import torch
from scipy.optimize import minimize_scalar

from benchmarks.intervals import half_width
from benchmarks.program import FOLDER, print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.training.builtin_data import SCALE, kept_pairs, pairs_of
from benchmarks.training.sparsification import ause, block_rms, rank_correlation
from d2c.checkpoints.native import load
from d2c.evaluation.evaluate import FilePairs
from d2c.inference.confidence import HALF, changes
from d2c.inference.run import upscale
from d2c.metrics import to_uint8, y_basicsr

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from d2c.data.layouts import Pair

    Plane = NDArray[np.floating]

PARTS = 20


class Seen(NamedTuple):
    """Gradient and error of one image for each LR px but those at the border, in 8-bit levels."""

    gradient: Plane
    error: Plane


def seen(model: nn.Module, pairs: Iterable[Pair]) -> list[Seen]:
    """What the results for these pairs have."""
    found = []
    for pair in FilePairs(list(pairs)):
        result = to_uint8(upscale(model, np.asarray(pair.lr), name=pair.name).sr)
        error = y_basicsr(result) - y_basicsr(np.asarray(pair.hr))
        inner = (slice(1, -1), slice(1, -1))
        found.append(Seen(changes(result, SCALE)[inner], block_rms(error, SCALE)[inner]))
    return found


def said(gradient: Plane, half: float) -> Plane:
    """A tenth of the grey value for a gradient."""
    return np.asarray(25.5 * gradient / (gradient + half))


def parts(images: Sequence[Seen], limits: NDArray[np.floating]) -> tuple[Plane, Plane]:
    """Mean gradient, and root mean square error, of the LR px of all images between limits of the gradient."""
    gradient, error = (np.concatenate([getattr(one, name).ravel() for one in images]) for name in Seen._fields)
    part = np.clip(np.searchsorted(limits, gradient, side="right") - 1, 0, PARTS - 1)
    of = [part == k for k in range(PARTS)]
    squares = np.array([(error[one] ** 2).mean() for one in of])
    return np.array([gradient[one].mean() for one in of]), np.sqrt(squares)


def fitted_half(gradient: Plane, error: Plane) -> float:
    """The constant with which a tenth of the grey value is nearest to the error of the parts, by least squares."""
    return float(minimize_scalar(lambda half: ((said(gradient, half) - error) ** 2).sum(), bounds=(1, 200)).x)


def summary_row(name: str, images: Sequence[Seen]) -> Row:
    """How well the gradient orders the error within each image."""
    areas = [ause(one.gradient, one.error) for one in images]
    ranks = [rank_correlation(one.gradient, one.error) for one in images]
    return {
        "pairs": name,
        "images": len(images),
        "ause": float(np.mean(areas)),
        "ause_half_width": half_width(areas),
        "rank": float(np.mean(ranks)),
        "rank_half_width": half_width(ranks),
    }


@program(__doc__)
@click.option("--work", type=FOLDER, required=True, help="Pairs made by benchmarks.training.builtin_x8 data.")
@click.option("--images", type=click.IntRange(2), help="Use only so many pairs of each part.")
@with_small("Two pairs of each part", images=2)
@with_out
def main(work: Path, images: int | None, out: Path | None) -> None:
    torch.set_num_threads(1)
    model = load("builtin:x8")
    pairs = {name: pairs_of(work / name / "pairs") for name in ("validation", "test")} | {"wheel": kept_pairs(work)}
    found = {name: seen(model, chosen[:images]) for name, chosen in pairs.items()}
    limits = np.quantile(
        np.concatenate([one.gradient.ravel() for one in found["validation"]]), np.linspace(0, 1, PARTS + 1)
    )
    fit = fitted_half(*parts(found["validation"], limits))
    rows: list[Row] = []
    for k in range(PARTS):
        row: Row = {"gradient_from": float(limits[k])}
        for name, of in found.items():
            gradient, error = parts(of, limits)
            row |= {f"{name}_said": float(said(gradient, HALF)[k]), f"{name}_error": float(error[k])}
        rows.append(row)
    summary = [summary_row(name, of) for name, of in found.items()]
    text = (
        "d2c upscale --confidence with builtin:x8: what a tenth of the grey value says, and the error of Y, in levels\n"
        f"gradient in 8-bit levels per LR px; half of 255 at {HALF:g}, fitted to the validation pairs: {fit:.2f}\n"
        "wheel: the pairs kept for the demo"
    )
    print_and_store(f"{text}\n\n{text_table(rows)}\n\n{text_table(summary)}", out, {"": rows, "-images": summary})


if __name__ == "__main__":
    main()
