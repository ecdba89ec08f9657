"""Which errors of a mapping would QA see? Known displacements put on the residual fields of accepted pairs.

    python -m benchmarks.accuracy.qa_injected --seeds 100..119 --cache scenes --out benchmarks/results/qa-injected.txt

Registration is hardly ever wrong by a pixel, so errors are added: each pair is aligned once, and its residual field is
changed as an error of the mapping of a known kind and size would change it. Then the rules judge it. This assumes that
a larger shift of a block is measured as well as a small one.

Kinds of errors: a shift of the whole crop; scale, rotation, shear, perspective and lens distortion about the crop's
centre, whose largest displacement, in a corner, has the stated size; a bump (a Gaussian, with a tenth of the crop above
half of its height), as if a part of the card were lifted; and a curl, as if one edge were bent up, with the square of
the distance over the last quarter.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from benchmarks.program import Run, over_scenes, program, with_cache, with_jobs, with_seeds, with_size, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.scenes import captures_of
from d2crealsr.align import Alignment, align_pair
from d2crealsr.quality import evidence, verdict
from d2crealsr.quality.shape import name_shape
from d2crealsr.settings import AlignSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.scenes import BenchScene
    from d2crealsr.types import Array

    Kind: TypeAlias = Callable[[Array, Array, np.random.Generator], Array]

SIZES_HR_PX = (0.7, 1.1, 1.3, 1.6, 2.0, 3.0)

LOCAL = ("max_residual_local", "max_residual_side", "max_residual_worst")
"""Rules that look for errors in one place of the crop."""

_BUMP_SHARE = 0.1
_CURL_FROM = 0.5
"""Of the way from the crop's centre to the side that curls."""


def _direction(rng: np.random.Generator) -> Array:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def _bump(p: Array, half: Array, rng: np.random.Generator) -> Array:
    centre, direction = rng.uniform(-0.8, 0.8, 2) * half, _direction(rng)
    variance = _BUMP_SHARE * 4 * half[0] * half[1] / (2 * np.pi * np.log(2))
    return np.exp(-np.sum((p - centre) ** 2, axis=1, keepdims=True) / (2 * variance)) * direction


def _curl(p: Array, half: Array, rng: np.random.Generator) -> Array:
    side, sign = int(rng.integers(2)), rng.choice([-1, 1])
    beyond = np.clip(sign * p[:, side] / half[side] - _CURL_FROM, 0, None) / (1 - _CURL_FROM)
    return beyond[:, None] ** 2 * np.eye(2)[side] * -sign


KINDS: dict[str, Kind] = {
    "shift": lambda p, half, rng: np.tile(_direction(rng), (len(p), 1)),
    "scale": lambda p, half, rng: p / np.hypot(*half),
    "rotation": lambda p, half, rng: p[:, ::-1] * [-1, 1] / np.hypot(*half),
    "shear": lambda p, half, rng: p[:, 1:] / half[1] * [1, 0],
    "perspective": lambda p, half, rng: p * p[:, :1] / (half[0] * np.hypot(*half)),
    "lens": lambda p, half, rng: p * np.sum(p**2, axis=1, keepdims=True) / np.hypot(*half) ** 3,
    "bump": _bump,
    "curl": _curl,
}
"""Displacement at positions from the crop's centre, (N, 2), of a crop of the half sides given, largest length 1."""


def moved(found: Alignment, kind: str, hr_px: float, seed: int) -> dict[str, float]:
    """The statistics of a pair whose mapping had this error."""
    crop, field = found.crop, found.residuals
    half = np.array([crop.width - 1, crop.height - 1]) / 2
    error = KINDS[kind](field.points_lr - half - [crop.x, crop.y], half, np.random.default_rng(seed))
    field = dataclasses.replace(field, shifts_hr_px=field.shifts_hr_px + hr_px * error)
    shape = name_shape(field, crop, found.estimate.placement.mapping.hr_centre_in_lr)
    return dict(found.statistics) | evidence.displacement(field, shape)


def judged(pairs: Sequence[tuple[int, Alignment]], settings: dict[str, AlignSettings]) -> list[Row]:
    """One row a kind of error: the share of pairs that each set of rules rejects at each size, in per cent."""
    rows: list[Row] = []
    for kind in KINDS:
        for name, rules in settings.items():
            row: Row = {"error": kind, "rules": name}
            for hr_px in SIZES_HR_PX:
                rejected = [bool(verdict.judge(moved(f, kind, hr_px, s), rules)) for s, f in pairs]
                row[f"{hr_px:g} px"] = 100 * float(np.mean(rejected))
            rows.append(row)
    return rows


def _aligned(scene: BenchScene, *, cache: Path | None) -> tuple[BenchScene, Alignment | None]:
    """A scene and its estimate, if that is accepted."""
    found = align_pair(*captures_of(scene, cache))
    return scene, found if isinstance(found, Alignment) and found.accepted else None


@program(__doc__)
@over_scenes(
    *(with_seeds("100..119"), with_size("half"), with_jobs, with_cache),
    with_small("Two mini scenes", seeds="0..1", size="mini"),
)
def main(run: Run) -> None:
    aligned = run.each(
        functools.partial(_aligned, cache=run.cache),
        run.scenes(),
        told=lambda result: f"{result[0].name} {result[0].kind}: {'accepted' if result[1] else 'left out'}",
    )
    pairs = [(s.seed, f) for s, f in aligned if f]
    nowhere = 1e9
    settings = {
        "median and p95": AlignSettings(**dict.fromkeys(LOCAL, nowhere)),
        "default": AlignSettings(),
        "strict": AlignSettings(qa_profile="strict"),
    }
    about = f"{len(pairs)} accepted plain pairs, {run.about}"
    told = f"Rejected, in % of pairs, by the error's largest displacement in HR px\n{about}\n\n"
    run.store(told + text_table(judged(pairs, settings), digits=0))


if __name__ == "__main__":
    main()
