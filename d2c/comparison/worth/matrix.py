"""The matrix: arms by seeds, a row for each milestone and test set, written as soon as it is measured.

First, each arm is trained at every rate with a seed that no row has, and keeps the rate that is best on the validation
pairs. ``trials.csv`` and ``rows.csv`` are complete after every row, and what stands in them is never done again. So a
matrix can be cut at any time. A training is removed when all that needs it is written; ``weights`` keeps those of each
arm and seed after the most steps.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from d2c.comparison.cells import REMEDY, differing, training_pairs
from d2c.comparison.rates import best_rate
from d2c.comparison.test_sets import pairs_digest
from d2c.comparison.worth.arms import MAIN, arms_of
from d2c.comparison.worth.course import Course
from d2c.comparison.worth.measures import COLUMNS
from d2c.errors import ConfigError, DataError, MemoryNeedError, MemoryRanOutError, TrainingError
from d2crealsr.store import files
from d2crealsr.store.tables import csv_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from d2c.comparison.cells import Work
    from d2c.comparison.test_sets import TestSet
    from d2c.comparison.worth.arms import Arm, Size

__all__ = ["KEY", "TRIAL_SEED", "Matrix", "Table"]

TRIAL_SEED = 1_000
"""Seed of the trials of rates. Rows are of seeds below it."""

KEY = ("arm", "seed", "test", "steps")
_COSTS = ("rate", "blocks", "parameters", "multiply_adds", "multiply_adds_layer_by_layer", "crops", "seconds")
_TRIAL_KEY = ("arm", "rate")


class Table:
    """Rows in a CSV file, which is complete after every row. No two have the same key."""

    def __init__(self, path: Path, key: Sequence[str], values: Sequence[str]) -> None:
        self.path, self.key, self.names = path, key, [*key, *values]
        self.rows: list[dict[str, str]] = []
        if path.exists():
            names, *lines = csv.reader(io.StringIO(files.read_text(path), newline=""))
            if names != self.names or any(len(line) != len(names) for line in lines):
                raise DataError(f"{path}: is not the table of this program; move it away, or give another --out")
            self.rows = [dict(zip(names, line, strict=True)) for line in lines]

    def find(self, *key: Any) -> dict[str, str] | None:
        """The row of a key."""
        wanted = [str(part) for part in key]
        return next((row for row in self.rows if [row[name] for name in self.key] == wanted), None)

    def add(self, key: Sequence[Any], values: dict[str, Any]) -> None:
        """Write one more row. Values that it lacks are empty."""
        row = dict(zip(self.key, key, strict=True)) | values
        cells = {
            name: f"{value:.6g}" if isinstance(value := row.get(name, ""), float) else value for name in self.names
        }
        self.rows.append({name: str(value) for name, value in cells.items()})
        files.write_text(self.path, csv_rows([self.names, *(list(line.values()) for line in self.rows)]))


@dataclass(kw_only=True)
class Matrix:
    """All trainings of the question at one size.

    Attributes
    ----------
    only : sequence of str
        Names of arms; all if there are none.
    failures : list of str
        A sentence for each arm that diverges at every rate or does not fit into memory, and for each arm and seed that
        could not be trained.
    """

    work: Work
    tests: Sequence[TestSet]
    size: Size
    seeds: Sequence[int]
    only: Sequence[str] = ()
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.every = arms_of(self.size, self.work.scale)
        names = [arm.name for arm in self.every]
        if unknown := [name for name in self.only if name not in names]:
            raise ConfigError(f"arm: got {unknown[0]!r}, expected some of {', '.join(names)}; change --only")
        if self.seeds and max(self.seeds) >= TRIAL_SEED:
            raise ConfigError(f"seeds: got {len(self.seeds)}, at most {TRIAL_SEED}; lower --seeds")
        self._check_same()
        self.rows = Table(self.work.out / "rows.csv", KEY, (*_COSTS, *COLUMNS))
        self.trials = Table(self.work.out / "trials.csv", _TRIAL_KEY, ("steps", "psnr_db"))

    @property
    def arms(self) -> list[Arm]:
        """The wanted arms."""
        return [arm for arm in self.every if not self.only or arm.name in self.only]

    @property
    def wanted(self) -> int:
        """Number of rows of a finished matrix."""
        return len(self.arms) * len(self.seeds) * len(self.tests) * len(self.size.milestones)

    @property
    def done(self) -> int:
        """Number of these rows that there are."""
        every = itertools.product(self.arms, self.seeds, self.tests, self.size.milestones)
        return sum(self.rows.find(arm.name, seed, t.name, steps) is not None for arm, seed, t, steps in every)

    def run(self) -> None:
        """Do what is missing, the main arms first. An interruption passes through."""
        for group in (
            [arm for arm in self.arms if arm.name in MAIN],
            [arm for arm in self.arms if arm.name not in MAIN],
        ):
            too_large = self._try_rates(group)
            rates = self._rates([arm for arm in group if arm.name not in too_large])
            for seed in self.seeds:
                for family in self._families([arm for arm in group if arm.name in rates]):
                    for rate in dict.fromkeys(rates[arm.name] for arm in family):
                        self._measure([arm for arm in family if rates[arm.name] == rate], rate, seed)

    def _try_rates(self, group: Sequence[Arm]) -> set[str]:
        """A trial of each rate for each arm. One that diverges has no PSNR.

        Returns the names of the arms that do not fit into memory. Their trials are left for another run, perhaps with
        more memory.
        """
        last, too_large = self.size.milestones[-1], set[str]()
        for family in self._families(group):
            for rate in self.size.rates:
                left = [arm for arm in family if arm.name not in too_large]
                if not (missing := [arm for arm in left if not self.trials.find(arm.name, rate)]):
                    continue
                course = self._course(family[0], rate, TRIAL_SEED)
                for arm in missing:
                    try:
                        self._try(course, arm, last)
                    except (MemoryNeedError, MemoryRanOutError) as error:
                        too_large.add(arm.name)
                        self._fail(f"{arm.name}, rate {rate:g}: {error}")
                course.remove(family, self.size.milestones)
        return too_large

    def _try(self, course: Course, arm: Arm, steps: int) -> None:
        """Write the trial of an arm at the rate of a course."""
        found: dict[str, Any] = {"steps": steps}
        try:
            found["psnr_db"] = course.validated(arm, steps)
        except TrainingError as error:
            self.work.reporter.note(f"{arm.name}, rate {course.rate:g}: {error}")
        self.trials.add((arm.name, course.rate), found)

    def _rates(self, group: Sequence[Arm]) -> dict[str, float]:
        """The best rate of each arm; an arm that diverges at every rate has none, and is a failure."""
        found = {}
        for arm in group:
            try:
                found[arm.name] = self._rate(arm)
            except TrainingError as error:
                self._fail(f"{arm.name}: {error}")
        return found

    def _fail(self, why: str) -> None:
        self.failures.append(why)
        self.work.reporter.note(why)

    def _rate(self, arm: Arm) -> float:
        def score(rate: float) -> float | None:
            row = self.trials.find(arm.name, rate)
            return float(row["psnr_db"]) if row and row["psnr_db"] else None

        remedy = "--size gives the rates, so leave it out by --only"
        return best_rate(arm.method.label, self.size.rates, score, self.work.reporter.note, remedy)

    def _measure(self, arms: Sequence[Arm], rate: float, seed: int) -> None:
        """The missing rows of arms that share stage 1 and their rate."""
        course, failed = self._course(arms[0], rate, seed), len(self.failures)
        for arm in arms:
            try:
                self._measure_arm(course, arm)
            except (TrainingError, MemoryNeedError, MemoryRanOutError) as error:
                self._fail(f"{arm.name}, seed {seed}: {error}")
        if len(self.failures) == failed:
            course.remove(arms, self.size.milestones)

    def _measure_arm(self, course: Course, arm: Arm) -> None:
        last, seed = self.size.milestones[-1], course.seed
        for steps, tested in itertools.product(self.size.milestones, self.tests):
            key = (arm.name, seed, tested.name, steps)
            if self.rows.find(*key):
                continue
            found = course.row(arm, steps, tested)
            if steps == last:
                course.keep(arm, last, self.work.out / "weights" / f"{arm.name}-seed{seed}.safetensors")
            self.rows.add(key, {"rate": course.rate, "crops": steps * self.size.train.batch, **found})
            self.work.reporter.note(f"{arm.name}, seed {seed}, {steps} steps: {found['result']:.3f} dB")

    def _course(self, arm: Arm, rate: float, seed: int) -> Course:
        family = [other for other in self.every if other.trunk.name == arm.trunk.name]
        return Course(self.work, family, self.size.milestones, rate, seed)

    @staticmethod
    def _families(group: Sequence[Arm]) -> Iterator[list[Arm]]:
        """The arms of a group by their stage 1."""
        for name in dict.fromkeys(arm.trunk.name for arm in group):
            yield [arm for arm in group if arm.trunk.name == name]

    def _check_same(self) -> None:
        """Raise :class:`ConfigError` if the rows in the folder are of other pairs, or of another size."""
        path, work = self.work.out / "asked.json", self.work
        asked = {
            "scale": work.scale,
            "precision": work.precision or "fp32",
            "milestones": list(self.size.milestones),
            "features": self.size.model.features,
            "trained on": pairs_digest(training_pairs(work)),
            "measured on": {tested.name: tested.fingerprint for tested in self.tests},
        }
        if not path.exists():
            files.write_text(path, json.dumps(asked, indent=2) + "\n")
        elif (before := json.loads(files.read_text(path))) != asked:
            raise ConfigError(f"{path}: was begun with {differing(before, asked)}; {REMEDY}")
