"""How close must clicks be? Scenes that SIFT does not find, aligned from corresponding points with known errors.

    python -m benchmarks.accuracy.clicks --seeds 100..109 --size mini --out benchmarks/results/clicks.txt

Classes: repetition (one pattern over and over, at ×4) and lr-psf (LR out of focus, at ×8). Only scenes that fail
without points count. The points lie near the corners of the HR frame, or near corners and middles of its sides. Each
coordinate is off by a normal error of σ LR px in LR, and of 5/8·scale·σ HR px in HR. A scene is right if its true error
over the crop is below 1 HR px, and wrong and accepted if it is not and QA accepts it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.program import Run, over_scenes, program, with_cache, with_jobs, with_seeds, with_size, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.scenes import captures_of
from d2crealsr.align import Alignment, align_pair
from d2crealsr.types import AlignmentFailure

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.scenes import BenchScene
    from d2crealsr.types import Array

CLASSES = {"repetition": 4, "lr-psf": 8}
"""Scale of the scenes by nuisance."""
SIGMAS_LR_PX = (0.5, 1.0, 2.0, 3.0)
COUNTS = (4, 8)
_RIGHT_HR_PX = 1.0
_HR_SHARE = 5 / 8
"""Error of a click in HR px, over scale × its error in LR px: HR is seen sharper."""

_CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [0, -1], [1, 0], [0, 1], [-1, 0]])


class Trial(NamedTuple):
    """The outcome of one set of clicks."""

    count: int
    sigma_lr_px: float
    right: bool
    accepted: bool


def clicked(scene: BenchScene, count: int, sigma_lr_px: float) -> Array:
    """Points as a person might click them, (count, 4)."""
    rng, mapping = np.random.default_rng([scene.seed, count]), scene.true_mapping
    half = (np.array(mapping.hr_size) - 1) / 2
    hr = half + half * (0.8 * _CORNERS[:count] + rng.uniform(-0.1, 0.1, (count, 2)))
    errors = rng.standard_normal((count, 4)) * sigma_lr_px
    errors[:, :2] *= _HR_SHARE * scene.scale
    return np.hstack([hr, mapping.hr_to_lr(hr)]) + errors


def tried(scene: BenchScene, *, cache: Path | None) -> tuple[BenchScene, list[Trial]]:
    """A scene and its trials; none if SIFT finds it."""
    captures = captures_of(scene, cache)
    if not isinstance(align_pair(*captures, scale=scene.scale), AlignmentFailure):
        return scene, []
    trials = []
    for count in COUNTS:
        for sigma in SIGMAS_LR_PX:
            points = tuple(map(tuple, clicked(scene, count, sigma).tolist()))
            found = align_pair(*captures, scale=scene.scale, points=points)
            right = accepted = False
            if isinstance(found, Alignment):
                error = scene.error_of(found.estimate.placement.mapping, scene.crop_of(found)).mean
                right, accepted = error < _RIGHT_HR_PX, found.accepted
            trials.append(Trial(count, sigma, right, accepted))
    return scene, trials


def table(results: list[tuple[BenchScene, list[Trial]]]) -> list[Row]:
    """One row for each class and number of points: how many scenes are right, and wrong and accepted."""
    rows: list[Row] = []
    for nuisance in CLASSES:
        scenes = [trials for scene, trials in results if scene.nuisance == nuisance and trials]
        for count in COUNTS:
            row: Row = {"class": nuisance, "points": count, "scenes": len(scenes)}
            for sigma in SIGMAS_LR_PX:
                mine = [t for trials in scenes for t in trials if (t.count, t.sigma_lr_px) == (count, sigma)]
                wrong = sum(t.accepted and not t.right for t in mine)
                row[f"σ {sigma:g}"] = f"{sum(t.right for t in mine)} ({wrong})"
            rows.append(row)
    return rows


@program(__doc__)
@over_scenes(
    *(with_seeds("100..109"), with_size("mini"), with_jobs, with_cache),
    with_small("One mini scene of each class", seeds="0..0", size="mini"),
)
def main(run: Run) -> None:
    results = run.each(
        functools.partial(tried, cache=run.cache),
        [scene for name, scale in CLASSES.items() for scene in run.scenes(nuisance=name, scale=scale)],
        told=lambda result: f"{result[0].name}: {sum(t.right for t in result[1])} of {len(result[1])} trials right",
    )
    about = f"{run.about}; σ is the error of a click in LR px"
    told = f"Scenes that are right from clicks, and in brackets: wrong and accepted\n{about}\n\n"
    run.store(told + text_table(table(results), digits=0))


if __name__ == "__main__":
    main()
