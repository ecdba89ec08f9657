"""What can be regained where a quarter of the training pairs is misaligned?

    python -m benchmarks.training.bad_quarter --work WORK --photos PHOTOS

Two remedies have been proposed. Crops may be weighed by the error of their pair; and each pair may be registered again
during training, by a sub-pixel shift against its prediction (training-time alignment, arXiv:2410.05410). Here the best
linear filter of 9×9 LR px is trained, which least squares determine exactly, on the pairs of `misalignment`. A quarter
of the training pairs is shifted: each in its own direction; all in one direction; or all in one direction, where the
filter is trained on the eight flips and turns of each pair, as d2c trains networks.

none: nothing is done. left out: the shifted pairs have the weight 0, as if their errors were known exactly. others left
out: as many pairs without a shift have the weight 0, drawn from the three that follow each shifted one; the mean over
several draws. realigned: all pairs, by shifts that are estimated against the filter's own output in three rounds;
nothing is known about which pairs are shifted. In the rows with the shift 0 no pair was shifted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import click
import numpy as np
from skimage.registration import phase_cross_correlation

from benchmarks.intervals import half_width
from benchmarks.program import print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.training.least_squares import filtered, fitted
from benchmarks.training.shifted_scenes import Cause, scenes_at, shifts_of, with_scenes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.training.shifted_scenes import Scene

    Filters: TypeAlias = NDArray[np.float64]

Shift: TypeAlias = tuple[float, float]

SHIFTS = {8: (2.0, 4.0, 8.0), 2: (0.5, 1.0, 2.0)}
"""Shifts in HR px, by scale."""

_SHIFTED: dict[Cause, str] = {
    "random": "each in its own direction",
    "constant": "in one direction",
    "turned": "in one direction, trained on flips and turns",
}
ROUNDS = 3
"""How often every pair is registered against its prediction."""

_DRAWS = 5
_FINENESS = 50
"""Shifts are estimated to one in so many HR px."""
_BORDER = 8


def bad_of(count: int) -> list[bool]:
    """Which of ``count`` training pairs are shifted: every fourth."""
    return [k % 4 == 0 for k in range(count)]


def shifts_of_quarter(cause: Cause, length: float, count: int) -> list[Shift]:
    """The shift of each of ``count`` training pairs in HR px; it is zero for three of four."""
    bad = bad_of(count)
    moved = iter(shifts_of(cause, length, sum(bad)))
    return [next(moved) if each else (0.0, 0.0) for each in bad]


def without_others(count: int, seed: int) -> list[bool]:
    """Which pairs are kept where, for each shifted one, one of the three that follow it is left out at random."""
    bad, kept = bad_of(count), [True] * count
    for place, after in enumerate(np.random.default_rng(seed).integers(1, 4, count)):
        if bad[place] and place + after < count:
            kept[place + int(after)] = False
    return kept


def registered(scene: Scene, shift: Shift, predicted: NDArray[np.floating]) -> Shift:
    """The shift of HR after it has been registered against a prediction."""
    inner = (slice(_BORDER, -_BORDER), slice(_BORDER, -_BORDER))
    (dy, dx), _, _ = phase_cross_correlation(
        predicted[inner], scene.warped(shift)[inner], upsample_factor=_FINENESS, normalization=None
    )
    return shift[0] + float(dx), shift[1] + float(dy)


class Quarter:
    """Training pairs of which every fourth is shifted for a ``cause``, and test pairs."""

    def __init__(self, train: Sequence[Scene], test: Sequence[Scene], scale: int, cause: Cause) -> None:
        self.train, self.test, self.scale, self.cause = train, test, scale, cause
        self.none: list[Shift] = [(0.0, 0.0)] * len(train)
        self.best = self._scores(self._fit(self.none))

    def rows(self, length: float) -> list[Row]:
        """A row for each remedy."""
        shifts = shifts_of_quarter(self.cause, length, len(self.train))
        good = [not bad for bad in bad_of(len(self.train))]
        again = self.realigned(shifts)
        remedies = {
            "none": (self._lost(shifts), shifts),
            "left out": (self._lost(shifts, good), self.none),
            "others left out": (self._others(shifts), shifts),
            "realigned": (self._lost(again), again),
        }
        start, _ = remedies["none"]
        return [self._row(length, remedy, lost, start, left) for remedy, (lost, left) in remedies.items()]

    def unshifted(self) -> Row:
        """What realignment does where there is nothing to realign."""
        again = self.realigned(self.none)
        return self._row(0.0, "realigned", self._lost(again), np.zeros(len(self.test)), again)

    def realigned(self, shifts: Sequence[Shift]) -> list[Shift]:
        """The shifts that remain after every pair has been registered against its prediction, over and over."""
        left = list(shifts)
        for _ in range(ROUNDS):
            filters = self._fit(left)
            left = [
                registered(scene, by, filtered(scene.lr_luma, filters, self.scale))
                for scene, by in zip(self.train, left, strict=True)
            ]
        return left

    def _fit(self, shifts: Sequence[Shift], kept: Sequence[bool] | None = None) -> Filters:
        """The filters of the pairs that are kept, with HR shifted."""
        kept = [True] * len(self.train) if kept is None else kept
        chosen = ((scene, by) for scene, by, keep in zip(self.train, shifts, kept, strict=True) if keep)
        pairs = ((scene.lr_luma, scene.warped(by)) for scene, by in chosen)
        return fitted(pairs, self.scale, turned=self.cause == "turned")

    def _scores(self, filters: Filters) -> NDArray[np.float64]:
        """PSNR-Y of every test pair."""
        border = self.scale + _BORDER
        inner = (slice(border, -border), slice(border, -border))
        errors = [((filtered(s.lr_luma, filters, self.scale) - s.warped())[inner] ** 2).mean() for s in self.test]
        return np.asarray(10 * np.log10(255**2 / np.array(errors)))

    def _lost(self, shifts: Sequence[Shift], kept: Sequence[bool] | None = None) -> NDArray[np.float64]:
        return self.best - self._scores(self._fit(shifts, kept))

    def _others(self, shifts: Sequence[Shift]) -> NDArray[np.float64]:
        """Loss where as many good pairs are left out, as the mean over draws."""
        draws = [self._lost(shifts, without_others(len(self.train), seed)) for seed in range(_DRAWS)]
        return np.asarray(np.mean(draws, 0))

    def _row(
        self,
        length: float,
        remedy: str,
        lost: NDArray[np.float64],
        start: NDArray[np.float64],
        left: Sequence[Shift],
    ) -> Row:
        returned = start - lost
        return {
            "scale": self.scale,
            "shifted": _SHIFTED[self.cause],
            "hr_px": length,
            "remedy": remedy,
            "loss_db": float(lost.mean()),
            "half_width_db": half_width(lost),
            "returned_db": float(returned.mean()),
            "returned_half_width_db": half_width(returned),
            "drift_hr_px": float(np.hypot(*np.mean(left, 0))),
            "left_hr_px": float(np.sqrt(np.mean(np.sum(np.square(left), 1)))),
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
        for cause in _SHIFTED:
            quarter = Quarter(train, tested, scale, cause)
            rows.append(quarter.unshifted())
            for length in SHIFTS[scale]:
                found = quarter.rows(length)
                click.echo(text_table(found), err=True)
                rows += found
    said = (
        "PSNR-Y where a quarter of the training pairs is shifted, by the best linear filter of 9x9 LR px\n"
        "loss_db: against training pairs of which none is shifted, mean over the test pairs; half_width_db: of its "
        "95 % interval\n"
        "returned_db: loss without a remedy minus that with it\n"
        "drift_hr_px: mean shift of the training pairs after the remedy; left_hr_px: root mean square of their shifts"
    )
    print_and_store(f"{said}\n\n{text_table(rows)}", out, {"": rows})


if __name__ == "__main__":
    main()
