"""What is each step of the paper's supplement B worth, for registration by SIFT alone?

    python -m benchmarks.accuracy.supplement_b --seeds 100..119 --jobs 2 --out benchmarks/results/supplement-b

Supplement B names four steps: HR is blurred before keypoints are matched, the brightness of both captures is adjusted,
only the central area counts after each alignment, and the alignment is repeated. Here each scene is registered with all
of them, and without one of them at a time, by one to four registrations of which the first is the rough one. There is
no direct refinement, so the figures are those of `align --refine none`, which does not restrict itself to the central
area. Each scene is made twice: with a perfect HR lens, and with one that distorts by .5 % at the frame's corner.

error: mean true error over the default crop in HR px, as in accuracy.alignment, over the scenes that every way has
found; cost: its mean increase against all steps with four registrations on the same scenes, and the interval of 95 %;
failures: scenes without an estimate or with a mean error above one LR px.

* without blur: HR is only averaged over half an LR pixel, as it is read;
* without brightness: the captures are not stretched to their own darkest and brightest parts;
* without the centre: keypoints count wherever HR covers LR.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.intervals import mean_of
from benchmarks.program import Run, over_scenes, program, with_cache, with_jobs, with_seeds, with_size, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.scenes import PLAIN, BenchScene, captures_of
from d2crealsr.imaging import degrade, geometry
from d2crealsr.imaging.degrade import LinearReduced
from d2crealsr.registration.sift import register
from d2crealsr.types import AlignmentFailure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d2crealsr.types import Array, Image

Float32 = NDArray[np.float32]

ALL_STEPS = "all steps"
REGISTRATIONS = 4
LENSES = {"perfect lens": PLAIN, "distortion .5 %": "distortion-0.5"}
CENTRAL = 0.576
"""Share of HR's sides that the default crop publishes."""


class Way(NamedTuple):
    """Which of the steps are taken."""

    blur: bool = True
    brightness: bool = True
    centre: bool = True


WAYS = {
    ALL_STEPS: Way(),
    "without blur": Way(blur=False),
    "without brightness": Way(brightness=False),
    "without the centre": Way(centre=False),
    "without the three": Way(blur=False, brightness=False, centre=False),
}


@dataclasses.dataclass(frozen=True)
class Altered(LinearReduced):
    """HR for a registration that leaves steps out."""

    way: Way = Way()

    @classmethod
    def of(cls, hr: LinearReduced, way: Way) -> Altered:
        """The same HR."""
        return cls(**{field.name: getattr(hr, field.name) for field in dataclasses.fields(hr)}, way=way)

    def blurred(self, channel: Float32, sigma_hr_px: float) -> Float32:
        """A channel, blurred if that is one of the steps."""
        return super().blurred(channel, sigma_hr_px) if self.way.blur else channel

    def holds(self, p_hr: Array, *, margin_hr_px: float) -> NDArray[np.bool_]:
        """Whether keypoints at these positions count."""
        held = super().holds(p_hr, margin_hr_px=margin_hr_px)
        if not self.way.centre:
            return held
        off = np.abs(p_hr - geometry.frame_centre(self.full_size))
        return held & (off <= CENTRAL / 2 * np.array(self.full_size)).all(axis=-1)


def errors(scene: BenchScene, hr: LinearReduced, lr: Image, way: Way) -> list[float]:
    """Mean error in HR px after each registration; nan without an estimate. One that has converged keeps its error."""
    # Detection stretches each capture to its percentiles; [0, 1] leaves it as it is.
    as_shot = mock.patch.object(np, "percentile", return_value=(0.0, 1.0))
    with contextlib.nullcontext() if way.brightness else as_shot:
        found = register(Altered.of(hr, way), lr, scale=scene.scale, iters=REGISTRATIONS, tone="srgb")
    if isinstance(found, AlignmentFailure):
        return [float("nan")] * REGISTRATIONS
    after = [stage.H_hr_to_lr for stage in found.stages if stage.H_hr_to_lr is not None]
    means = [float(scene.error_of(scene.mapping(H), scene.true_crop).mean) for H in after]
    return means + means[-1:] * (REGISTRATIONS - len(means))


def measure(task: tuple[BenchScene, Path | None]) -> list[Row]:
    """A row for each way and each number of registrations of one scene."""
    scene, cache = task
    hr, lr = captures_of(scene, cache)
    reduced = degrade.reduced(hr, scale=scene.scale, tone="srgb")
    facts = {"seed": scene.seed, "kind": scene.kind, "nuisance": scene.nuisance}
    return [
        facts | {"way": name, "registrations": number, "mean": error}
        for name, way in WAYS.items()
        for number, error in enumerate(errors(scene, reduced, lr, way), 1)
    ]


def summarise(rows: Sequence[Row], scale: int = 8) -> list[Row]:
    """A row for each way and number of registrations: what they cost against all steps on the same scenes."""
    cells = {(row["seed"], row["way"], row["registrations"]): row for row in rows}
    seeds = sorted({row["seed"] for row in rows})
    each = [(way, number) for way in WAYS for number in range(1, REGISTRATIONS + 1)]
    failed = {key for key, row in cells.items() if not row["mean"] < scale}
    everywhere = [seed for seed in seeds if not any((seed, *key) in failed for key in each)]
    table = []
    for way, number in each:
        line: Row = {"way": way, "registrations": number, "scenes": len(everywhere)}
        line["failures"] = sum((seed, way, number) in failed for seed in seeds)
        if everywhere:
            of_all = [cells[seed, ALL_STEPS, REGISTRATIONS]["mean"] for seed in everywhere]
            means = np.array([cells[seed, way, number]["mean"] for seed in everywhere])
            cost = mean_of(means - np.array(of_all))
            line |= {"error": float(means.mean()), "cost": cost.mean, "low": cost.low, "high": cost.high}
        table.append(line)
    return table


def by_kind(rows: Sequence[Row]) -> list[Row]:
    """Cost of each way with all registrations, by kind of card, with half the width of its interval."""
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    table: dict[str, Row] = {}
    for kind in kinds:
        for line in summarise([row for row in rows if row["kind"] == kind]):
            if line["registrations"] == REGISTRATIONS and line["way"] != ALL_STEPS:
                cells = table.setdefault(line["way"], {"way": line["way"]})
                cells[kind] = f"{line['cost']:.3f} ± {line['high'] - line['cost']:.3f}" if "cost" in line else ""
    return list(table.values())


def _told(rows: Sequence[Row]) -> str:
    last = (f"{row['way']} {row['mean']:.3f}" for row in rows if row["registrations"] == REGISTRATIONS)
    return f"{rows[0]['nuisance']} {rows[0]['seed']} {rows[0]['kind']}: {'; '.join(last)}"


@program(__doc__)
@over_scenes(
    with_seeds("100..119"),
    with_size("half"),
    with_cache,
    with_jobs,
    with_small("One mini scene", seeds="0", size="mini"),
)
def main(run: Run) -> None:
    tasks = [(scene, run.cache) for lens in LENSES.values() for scene in run.scenes(nuisance=lens)]
    rows = [row for of_scene in run.each(measure, tasks, told=_told) for row in of_scene]
    parts = [f"Steps of supplement B for SIFT alone, {run.about}. Errors in HR px."]
    for lens, nuisance in LENSES.items():
        some = [row for row in rows if row["nuisance"] == nuisance]
        parts += [lens[0].upper() + lens[1:], text_table(summarise(some))]
        parts += [f"Cost with {REGISTRATIONS} registrations by kind of card, {lens}", text_table(by_kind(some))]
    run.store("\n\n".join(parts), rows)


if __name__ == "__main__":
    main()
