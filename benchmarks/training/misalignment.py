"""When does alignment stop mattering? PSNR against the misalignment of training pairs and of test pairs.

    python -m benchmarks.training.misalignment --work WORK --photos PHOTOS

At ×8 the pairs are simulated postcards; at ×2, where such photographs of prints are too soft (`hr_not_sharper`), they
are of the five kinds of card. HR is warped once by the true mapping and a shift, also where the shift is 0. The causes
are kept apart: each training pair is shifted in a direction of its own (evenly spaced, so that their mean is zero); all
training pairs are shifted in one direction; the same, but each pair is used in its eight flips and turns, as most
networks are trained; the test pairs are shifted, each in a direction of its own, and the training pairs are not.

What is trained is the best linear filter of 9×9 LR px from LR to HR, which least squares determine exactly, so that no
seed and no number of steps matters. A network that was trained at four of the points (`misaligned_network`) loses more
to random shifts of the training pairs, and equally much to the others.

Losses are of PSNR-Y, in dB, relative to shifts of 0: the mean over the test pairs, and that of their pooled error.
``without_shift`` is what remains of the loss after one shift of the whole output has been undone: its opposite, as
known from the experiment. The half-widths are those of 95 % intervals over the test pairs. ``kept_F`` is the share of
HR's amplitude that the output keeps at F cycles per LR px, after that shift has been undone: what is lost there is
detail, not position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import click
import numpy as np

from benchmarks.intervals import half_width
from benchmarks.program import print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.training.least_squares import filtered, fitted
from benchmarks.training.shifted_scenes import CAUSES, RECIPES, Cause, scenes_at, shifts_of, with_scenes
from benchmarks.training.spectra import kept_amplitude
from d2crealsr.truth.shift import fourier_shift

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.training.shifted_scenes import Scene

    Plane: TypeAlias = NDArray[np.floating]

SHIFTS = {8: (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0), 2: (0.0, 0.125, 0.25, 0.5, 1.0, 2.0)}
"""Shifts in HR px, by scale."""

FREQUENCIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.75)
"""Frequencies in cycles per LR px; LR's Nyquist frequency is .5."""

_BAND = 0.05


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a filter's outputs on the test pairs lose against those of the filter of unshifted training pairs.

    Attributes
    ----------
    lost, left : list of float
        PSNR lost by each test pair, and what of it remains without the shift, in dB.
    pooled : float
        The loss by the error of all test pairs together, in dB.
    kept : list of float
        The share of HR's amplitude in the outputs without the shift, by :data:`FREQUENCIES`.
    """

    lost: list[float]
    left: list[float]
    pooled: float
    kept: list[float]


def filters_of(train: Sequence[Scene], scale: int, cause: Cause, length: float) -> NDArray[np.float64]:
    """The best filters of the training pairs with these shifts."""
    moved = shifts_of(cause, length, len(train))
    pairs = ((scene.lr_luma, scene.warped(by)) for scene, by in zip(train, moved, strict=True))
    return fitted(pairs, scale, turned=cause == "turned")


def losses(
    train: Sequence[Scene], test: Sequence[Scene], scale: int, cause: Cause, length: float, exact: NDArray[np.float64]
) -> Outcome:
    """What a shift costs.

    Parameters
    ----------
    exact : ndarray
        The filters of training pairs that are not shifted.
    """
    filters = filters_of(train, scale, cause, length) if cause != "test" and length else exact
    border = scale + int(max(SHIFTS[scale]))
    inner = (slice(border, -border), slice(border, -border))
    errors, images = [], []
    for scene, by in zip(test, shifts_of(cause, length, len(test)), strict=True):
        lr, still = scene.lr_luma, scene.warped()
        target = scene.warped(by) if cause == "test" else still
        output = filtered(lr, filters, scale)
        undone = {"constant": (-by[0], -by[1]), "test": by}.get(cause, (0.0, 0.0))
        back = fourier_shift(np.asarray(output, np.float32), undone)
        compared = ((filtered(lr, exact, scale), still), (output, target), (back, target))
        errors.append([_squared_error(image[inner], hr[inner]) for image, hr in compared])
        images.append((back[inner], target[inner]))
    before, raw, without = np.array(errors).T
    return Outcome(
        lost=list(10 * np.log10(raw / before)),
        left=list(10 * np.log10(without / before)),
        pooled=float(10 * np.log10(raw.mean() / before.mean())),
        kept=kept_amplitude(images, [frequency / scale for frequency in FREQUENCIES], _BAND / scale),
    )


def _squared_error(image: Plane, hr: Plane) -> float:
    return float(((image - hr) ** 2).mean())


def row_of(scale: int, cause: Cause, length: float, found: Outcome) -> Row:
    """One line of the table."""
    lost = found.lost
    return {
        "scale": scale,
        "cards": RECIPES[scale] or "five kinds",
        "shifted": CAUSES[cause],
        "hr_px": length,
        "lr_px": length / scale,
        "loss_db": float(np.mean(lost)),
        "half_width_db": half_width(lost),
        "pooled_loss_db": found.pooled,
        "without_shift_db": float(np.mean(found.left)),
        **{f"kept_{frequency}": share for frequency, share in zip(FREQUENCIES, found.kept, strict=True)},
        "test_pairs": len(lost),
    }


@program(__doc__)
@with_scenes(6)
@click.option("--scale", "scales", type=click.Choice(list(SHIFTS)), multiple=True, default=list(SHIFTS))
@with_small("Six scenes at one scale", scenes=6, scales=[8])
@with_out
def main(work: Path, photos: Path | None, scales: tuple[int, ...], scenes: int, out: Path | None) -> None:
    rows: list[Row] = []
    for scale in scales:
        train, tested = scenes_at(scale, work, scenes, photos)
        plain, turned = (filters_of(train, scale, cause, 0.0) for cause in ("random", "turned"))
        for cause in CAUSES:
            exact = turned if cause == "turned" else plain
            for length in SHIFTS[scale]:
                rows.append(row_of(scale, cause, length, losses(train, tested, scale, cause, length, exact)))
                click.echo(text_table(rows[-1:]), err=True)
    said = (
        "PSNR-Y lost to shifts, by the best linear filter of 9x9 LR px\n"
        "loss_db: mean over the test pairs; half_width_db: of its 95 % interval over them\n"
        "pooled_loss_db: loss by the error of all test pairs together\n"
        "without_shift_db: loss that remains after the output has been shifted back as a whole\n"
        "kept_F: share of HR's amplitude that the output, shifted back, keeps at F cycles per LR px"
    )
    print_and_store(f"{said}\n\n{text_table(rows)}", out, {"": rows})


if __name__ == "__main__":
    main()
