"""What can be regained where a quarter of the training pairs is misaligned?

    python -m benchmarks.training.bad_quarter --work WORK --photos PHOTOS

Two remedies have been proposed. Crops may be weighed by the error of their pair; and each pair may be registered again
during training, by a sub-pixel shift against its prediction (training-time alignment, arXiv:2410.05410). Here the best
linear filter of 9×9 LR px is trained, which least squares determine exactly, on the pairs of `misalignment`. A quarter
of the training pairs is shifted, all in one direction or each in its own.

none: nothing is done. left out: the shifted pairs have the weight 0, which no rule can better that knows only errors.
others left out: as many pairs without a shift, drawn at random within the same kind of card, have the weight 0; the
mean over several draws. realigned: all pairs, by shifts that are estimated against the filter's own output in three
rounds; nothing is known about which pairs are shifted. ``loss_db`` is relative to training pairs of which none is
shifted, in PSNR-Y over the test pairs, and ``half_width_db`` that of its 95 % interval. ``drift_hr_px`` is the mean
shift of the training pairs after the remedy, which the output follows; ``left_hr_px`` the root mean square of their
shifts. ``returned_db`` is the loss without a remedy minus that with it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import click
import numpy as np
from scipy import stats
from skimage.registration import phase_cross_correlation

from benchmarks.program import PATH, print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.training.least_squares import filtered, fitted
from benchmarks.training.misalignment import RECIPES, SEED, psnr, scenes_of, shifts_of
from benchmarks.training.training_sets import TEST, simulated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.training.misalignment import Scene

    Filters: TypeAlias = NDArray[np.float64]

Shift: TypeAlias = tuple[float, float]

SHIFTS = {8: (2.0, 4.0, 8.0), 2: (0.5, 1.0, 2.0)}
"""Shifts in HR px, by scale."""

_ROUNDS = 3
_DRAWS = 5
_FINENESS = 50
"""Shifts are estimated to one in so many HR px."""
_BORDER = 8


def fit(scenes: Sequence[Scene], shifts: Sequence[Shift], scale: int, kept: Sequence[bool] | None = None) -> Filters:
    """The filters of the scenes that are kept, with HR shifted."""
    kept = [True] * len(scenes) if kept is None else kept
    chosen = ((scene, by) for scene, by, keep in zip(scenes, shifts, kept, strict=True) if keep)
    return fitted(((scene.lr, scene.warped(by)) for scene, by in chosen), scale)


def realigned(scenes: Sequence[Scene], shifts: Sequence[Shift], scale: int) -> list[Shift]:
    """The shifts that remain after every pair has been registered against its prediction, over and over."""
    left = list(shifts)
    for _ in range(_ROUNDS):
        filters = fit(scenes, left, scale)
        for k, scene in enumerate(scenes):
            hr, sr = scene.warped(left[k]), filtered(scene.lr, filters, scale)
            inner = (slice(_BORDER, -_BORDER), slice(_BORDER, -_BORDER))
            (dy, dx), _, _ = phase_cross_correlation(
                sr[inner], hr[inner], upsample_factor=_FINENESS, normalization=None
            )
            left[k] = (left[k][0] + float(dx), left[k][1] + float(dy))
    return left


class Quarter:
    """Training pairs of which every fourth is shifted, and test pairs."""

    def __init__(self, train: Sequence[Scene], test: Sequence[Scene], scale: int) -> None:
        self.train, self.test, self.scale = train, test, scale
        self.bad = [k % 4 == 0 for k in range(len(train))]
        self.none: list[Shift] = [(0.0, 0.0)] * len(train)
        self.best = self.scores(fit(train, self.none, scale))

    def scores(self, filters: Filters) -> NDArray[np.float64]:
        """PSNR-Y of every test pair."""
        border = self.scale + _BORDER
        return np.array([psnr(filtered(s.lr, filters, self.scale), s.warped(), border) for s in self.test])

    def rows(self, direction: str, length: float) -> list[Row]:
        """A row for each remedy."""
        moved = iter(shifts_of("constant" if direction == "one" else "random", length, sum(self.bad)))
        shifts = [next(moved) if bad else (0.0, 0.0) for bad in self.bad]
        start = self.best - self.scores(fit(self.train, shifts, self.scale))
        good = [not bad for bad in self.bad]
        again = realigned(self.train, shifts, self.scale)
        remedies = {
            "none": (start, shifts),
            "left out": (self.best - self.scores(fit(self.train, shifts, self.scale, good)), self.none),
            "others left out": (self._others(shifts), shifts),
            "realigned": (self.best - self.scores(fit(self.train, again, self.scale)), again),
        }
        rows = []
        for remedy, (lost, left) in remedies.items():
            known = {"scale": self.scale, "direction": direction, "hr_px": length, "remedy": remedy}
            rows.append({**known, **_figures(lost, start, left)})
        return rows

    def unshifted(self) -> Row:
        """What realignment does where there is nothing to realign."""
        again = realigned(self.train, self.none, self.scale)
        lost = self.best - self.scores(fit(self.train, again, self.scale))
        known = {"scale": self.scale, "direction": "", "hr_px": 0.0, "remedy": "realigned"}
        return {**known, **_figures(lost, np.zeros_like(lost), again)}

    def _others(self, shifts: Sequence[Shift]) -> NDArray[np.float64]:
        """Loss where as many good pairs are left out, mean over draws: one of the three that follow each bad pair."""
        draws = []
        for seed in range(_DRAWS):
            kept = [True] * len(self.train)
            places = np.random.default_rng(seed).integers(1, 4, len(self.train))
            for k, bad in enumerate(self.bad):
                if bad and k + places[k] < len(kept):
                    kept[k + int(places[k])] = False
            draws.append(self.best - self.scores(fit(self.train, shifts, self.scale, kept)))
        return np.asarray(np.mean(draws, 0))


def _figures(lost: NDArray[np.float64], start: NDArray[np.float64], left: Sequence[Shift]) -> Row:
    def half(values: NDArray[np.float64]) -> float:
        return float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))

    returned = start - lost
    return {
        "loss_db": float(lost.mean()),
        "half_width_db": half(lost),
        "returned_db": float(returned.mean()),
        "returned_half_width_db": half(returned),
        "drift_hr_px": float(np.hypot(*np.mean(left, 0))),
        "left_hr_px": float(np.sqrt(np.mean(np.sum(np.square(left), 1)))),
        "test_pairs": len(lost),
    }


@program(__doc__)
@click.option("--work", type=PATH, required=True, help="Holds the captures and the pairs, as of `misalignment`.")
@click.option("--photos", type=PATH, help="Folder of photographs to print.  [default: those in scikit-image]")
@click.option("--scale", "scales", type=click.Choice(list(SHIFTS)), multiple=True, default=list(SHIFTS))
@click.option("--scenes", type=click.IntRange(6), default=45, show_default=True, help="Simulated scenes.")
@with_small("Six scenes at one scale", scenes=6, scales=[8])
@with_out
def main(work: Path, photos: Path | None, scales: tuple[int, ...], scenes: int, out: Path | None) -> None:
    rows: list[Row] = []
    for scale in scales:
        where = work / f"x{scale}-{scenes}"
        made = simulated(
            where,
            scale=scale,
            size="mini",
            scenes=scenes,
            seed=SEED,
            test=max(2, scenes // TEST),
            photos=photos,
            recipe=RECIPES[scale],
        )
        quarter = Quarter(*(scenes_of(made.folder, where / "raw", split) for split in ("train", "test")), scale)
        rows.append(quarter.unshifted())
        for direction in ("one", "own"):
            for length in SHIFTS[scale]:
                found = quarter.rows(direction, length)
                click.echo(text_table(found), err=True)
                rows += found
    print_and_store(text_table(rows), out, {"": rows})


if __name__ == "__main__":
    main()
