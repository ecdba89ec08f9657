"""What can be regained where a quarter of the training pairs is misaligned: the answer for a small network.

    python -m benchmarks.training.bad_quarter_network --work WORK --photos PHOTOS

The pairs are the ×8 postcards of `training.bad_quarter`, and the same quarter of the training pairs is shifted by 8 or
4 HR px: each in its own direction, or all in one direction; the latter with random flips and turns in training, as d2c
trains by default, too. The network is that of `training.luma_network`. It is trained for a fixed number of steps, and
nothing is chosen on the test pairs, which are exact.

none: nothing is done. left out: the shifted pairs have the weight 0, as if their errors were known exactly. others left
out: as many pairs without a shift have the weight 0, drawn anew for each seed. realigned by the filter: all pairs, by
the shifts that `training.bad_quarter` estimates against the best linear filter. realigned by the network: all pairs, by
shifts that are estimated once against the output of the network of the arm none, and a new network is trained. Neither
realignment knows which pairs are shifted.

A seed gives the same first weights to all arms. Differences are taken within a seed; intervals are over seeds (95 %,
paired). Every finished run is kept in --work: an interrupted program goes on where it was. Runs are made seed by seed,
and only seeds with all arms are compared.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np
import torch

from benchmarks.asked import photographs_said
from benchmarks.intervals import half_width, resolved
from benchmarks.program import print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.training.bad_quarter import Quarter, bad_of, registered, shifts_of_quarter, without_others
from benchmarks.training.kept_rows import kept_rows, with_minutes
from benchmarks.training.luma_network import LumaNetwork, Schedule, train_luma
from benchmarks.training.shifted_scenes import scenes_at, with_scenes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.training.bad_quarter import Shift
    from benchmarks.training.luma_network import Result
    from benchmarks.training.shifted_scenes import Cause, Scene

SCALE = 8
SHIFTS = (8.0, 4.0)
"""Shifts of the quarter in HR px, the larger one first."""

CAUSES: dict[Cause, str] = {
    "random": "each in its own direction",
    "constant": "in one direction",
    "turned": "in one direction, trained on flips and turns",
}

EXACT = "exact pairs"
REMEDIES = ("none", "left out", "others left out", "realigned by the filter", "realigned by the network")
UNSHIFTED = (EXACT, "left out")
"""Arms in which no pair with a shift is used, so that they are the same for every shift."""

_NETWORK = {"features": 16, "blocks": 2}
_RATE = 2e-3
_PATCH = 16


class Arm(NamedTuple):
    """What a run is trained on."""

    cause: Cause
    hr_px: float
    remedy: str

    @property
    def run(self) -> Arm:
        """The arm whose run this one uses: those without shifts differ in flips and turns only."""
        if self.remedy not in UNSHIFTED:
            return self
        return Arm("turned" if self.cause == "turned" else "constant", 0.0, self.remedy)


def arms(hr_px: float) -> list[Arm]:
    """All arms at a shift."""
    return [Arm(cause, hr_px, remedy) for cause in CAUSES for remedy in (EXACT, *REMEDIES)]


def tasks(seeds: int) -> Iterator[tuple[Arm, int]]:
    """Arm and seed of each run: all arms of the first seed, then of the second; the next shift after the last seed."""
    done = set()
    for hr_px in SHIFTS:
        for seed in range(seeds):
            for arm in arms(hr_px):
                if (arm.run, seed) not in done:
                    done.add((arm.run, seed))
                    yield arm.run, seed


class Bench:
    """Trains and tests the arms."""

    def __init__(self, train: Sequence[Scene], test: Sequence[Scene], steps: int) -> None:
        self.train, self.steps = train, steps
        self.tested = [(scene.lr_luma, scene.warped()) for scene in test]
        self.quarters = {cause: Quarter(train, test, SCALE, cause) for cause in CAUSES}
        self.realigned: dict[Arm, list[Shift]] = {}
        self.last: dict[tuple[Arm, int], Result] = {}

    def row(self, arm: Arm, seed: int) -> Row:
        """Train an arm with a seed, and test it."""
        start = time.process_time()
        shifts = self._shifts(arm, seed)
        found = self._trained(arm, seed, shifts)
        if arm.remedy == "none":
            self.last = {(arm, seed): found}
        row = {"shifted": CAUSES[arm.cause], "hr_px": arm.hr_px, "remedy": arm.remedy, "seed": seed}
        return row | {
            "test_db": found.validation_db,
            "drift_hr_px": float(np.hypot(*np.mean(shifts, 0))),
            "left_hr_px": float(np.sqrt(np.mean(np.sum(np.square(shifts), 1)))),
            "steps": self.steps,
            "cpu_s": round(time.process_time() - start, 1),
        }

    def _trained(self, arm: Arm, seed: int, shifts: Sequence[Shift]) -> Result:
        """The network after its last step, with its PSNR-Y on the test pairs."""
        count = len(self.train)
        kept = [True] * count
        if arm.remedy == "left out":
            kept = [not bad for bad in bad_of(count)]
        elif arm.remedy == "others left out":
            kept = without_others(count, seed)
        chosen = [(scene, by) for scene, by, keep in zip(self.train, shifts, kept, strict=True) if keep]
        pairs = [(scene.lr_luma, scene.warped(by)) for scene, by in chosen]
        schedule = Schedule(
            steps=self.steps, rate=_RATE, validate_every=self.steps, patch=_PATCH, turned=arm.cause == "turned"
        )
        torch.manual_seed(seed)
        return train_luma(LumaNetwork(SCALE, **_NETWORK), pairs, self.tested, schedule, seed)

    def _shifts(self, arm: Arm, seed: int) -> list[Shift]:
        """The shifts of the training pairs that an arm is trained on."""
        shifts = shifts_of_quarter(arm.cause, arm.hr_px, len(self.train))
        if arm.remedy == "realigned by the filter":
            if arm not in self.realigned:
                self.realigned[arm] = self.quarters[arm.cause].realigned(shifts)
            return self.realigned[arm]
        if arm.remedy == "realigned by the network":
            start = arm._replace(remedy="none")
            found = self.last.get((start, seed)) or self._trained(start, seed, shifts)
            predicted = (found.network.image(scene.lr_luma) for scene in self.train)
            return [registered(*each) for each in zip(self.train, shifts, predicted, strict=True)]
        return shifts


def _key(row: Row) -> tuple[Arm, int]:
    causes = {said: cause for cause, said in CAUSES.items()}
    return Arm(causes[row["shifted"]], row["hr_px"], row["remedy"]), row["seed"]


def summary(rows: Sequence[Row]) -> list[Row]:
    """A line for each remedy at each shift, over the seeds that have all arms at this shift."""
    runs = {_key(row): row for row in rows}
    every, lines = {seed for _, seed in runs}, []
    for hr_px in SHIFTS:
        seeds = sorted(seed for seed in every if all((arm.run, seed) in runs for arm in arms(hr_px)))
        for cause in CAUSES if seeds else ():
            psnr = {
                arm.remedy: np.array([runs[arm.run, seed]["test_db"] for seed in seeds])
                for arm in arms(hr_px)
                if arm.cause == cause
            }
            for remedy in REMEDIES:
                own = [runs[Arm(cause, hr_px, remedy).run, seed] for seed in seeds]
                lost, back = psnr[EXACT] - psnr[remedy], psnr[remedy] - psnr["none"]
                line: Row = {"shifted": CAUSES[cause], "hr_px": hr_px, "remedy": remedy}
                line |= {"loss_db": float(lost.mean()), "half_width_db": half_width(lost)}
                if remedy != "none":
                    line |= {"returned_db": float(back.mean()), "returned_half_width_db": half_width(back)}
                    line |= {"resolved": resolved(back)}
                for name in ("drift_hr_px", "left_hr_px"):
                    line[name] = float(np.mean([row[name] for row in own]))
                lines.append(line | {"seeds": len(seeds)})
    return lines


@program(__doc__)
@with_scenes(10)
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Seeds of each arm.")
@click.option("--steps", type=click.IntRange(1), default=400, show_default=True, help="Steps of a run.")
@with_minutes
@with_small("One seed of two steps on ten scenes", seeds=1, steps=2, scenes=10)
@with_out
def main(
    work: Path, photos: Path | None, seeds: int, steps: int, scenes: int, minutes: float, out: Path | None
) -> None:
    torch.set_num_threads(1)
    train, test = scenes_at(SCALE, work, scenes, photos)
    bench = Bench(train, test, steps)
    path = work / f"rows-{scenes}-{steps}.csv"
    asked = {"scenes": scenes, "steps": steps, "photographs": photographs_said(photos)}
    rows = kept_rows(path, tasks(seeds), _key, lambda task: bench.row(*task), minutes, asked)
    lines = summary(rows)
    said = (
        f"PSNR-Y at x{SCALE} where {sum(bad_of(len(train)))} of {len(train)} training pairs are shifted, by a small "
        f"network after {steps} steps, on {len(test)} test pairs\n"
        "loss_db: against the network of the same seed trained on exact pairs, mean over seeds; half_width_db: of its "
        "paired 95 % interval over the seeds\n"
        "returned_db: loss without a remedy minus that with it, paired too; resolved: whether its interval excludes 0\n"
        "drift_hr_px: mean shift of the training pairs after the remedy; left_hr_px: root mean square of their shifts"
    )
    text = f"{said}\n\n{text_table(lines)}\n\nevery run\n{text_table(rows)}"
    print_and_store(text, out, {"": lines, "-runs": rows})


if __name__ == "__main__":
    main()
