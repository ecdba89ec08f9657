"""How accurate is the alignment? Methods from OpenCV alone to ours, on simulated captures with exact truth.

    python -m benchmarks.accuracy.alignment --seeds 100..124 --jobs 2 --out benchmarks/results/alignment
    python -m benchmarks.accuracy.alignment --size full --scenes 5 --seed 100 --only ours
    python -m benchmarks.accuracy.alignment --nuisance distortion-0.5 --seeds 100..109
    python -m benchmarks.accuracy.alignment --small

The true error is the distance, in HR px, between the place that a published pixel comes from and the place that it
should come from, at 19x13 points of the LR crop. mean: over scenes; p95: of the scenes' means; worst: median over the
scenes' worst points; failures: scenes without an estimate or with a mean above one LR px, which are left out of the
other columns. Every method starts from the two captures. The predicted standard error is compared with the true error
by root mean squares. from and to are the 95 % interval of their ratio, by resampling the scenes; the rank correlation
is Spearman's, within the group.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
from click.core import ParameterSource

from benchmarks.accuracy import cramer_rao
from benchmarks.accuracy.error_bars import error_bars
from benchmarks.peers import opencv_recipes, tools
from benchmarks.program import print_and_store, program, with_cache, with_jobs, with_out, with_size, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.scenes import CLASSES, PLAIN, BenchScene, captures_of, side_by_side
from benchmarks.seeds import parse_seeds, purpose_of
from d2crealsr.align import align_pair
from d2crealsr.jobs import threads
from d2crealsr.types import AlignmentFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.simulate.settings import SizeName
    from d2crealsr.types import Crop, Image

OURS: dict[str, dict[str, Any]] = {
    "ours: rough": {"iters": 1, "refine": "none"},
    "ours: SIFT, 2 iterations": {"iters": 2, "refine": "none"},
    "ours: SIFT, 3 iterations": {"iters": 3, "refine": "none"},
    "ours: + direct, homography": {"refine": "homography"},
    "ours: + direct, radial (default)": {"refine": "radial"},
}
"""Our own methods as settings of align; the last one is what everybody gets."""

DEFAULT = list(OURS)[-1]
BOUND = "Cramér–Rao bound"
GROSS_LR_PX = 1.0
"""A mean error beyond this is a failure, not a figure."""


class Found(NamedTuple):
    """What a method found: where HR lies in LR, what it would publish, and how sure it says it is."""

    mapping: CaptureMapping
    crop: Crop
    sigma: float = float("nan")
    status: str = ""


def _ours(scene: BenchScene, hr: Image, lr: Image, settings: dict[str, Any]) -> Found | None:
    found = align_pair(hr, lr, scale=scene.scale, **settings)
    if isinstance(found, AlignmentFailure):
        return None
    return Found(
        found.estimate.placement.mapping,
        scene.crop_of(found),
        found.statistics.get("sigma_hr_px", float("nan")),
        "accepted" if found.accepted else "rejected",
    )


def _of_homography(scene: BenchScene, H_hr_to_lr: Any) -> Found | None:
    return None if H_hr_to_lr is None else Found(scene.mapping(H_hr_to_lr), scene.true_crop)


def measure(scene: BenchScene, *, cache: Path | None, only: str, with_peers: bool) -> list[Row]:
    """A row for each method on one scene."""
    threads.use_one_thread()
    hr, lr = captures_of(scene, cache)
    methods: dict[str, Callable[[], Found | None]] = {}
    if only != "opencv":
        ours = {DEFAULT: OURS[DEFAULT]} if only == "default" else OURS
        methods |= {n: lambda s=s: _ours(scene, hr, lr, s) for n, s in ours.items()}  # type: ignore[misc]
    if only in ("all", "opencv"):
        recipes = opencv_recipes.RECIPES
        methods |= {n: lambda f=f: _of_homography(scene, f(hr, lr, scene.scale)) for n, f in recipes.items()}  # type: ignore[misc]
    rows = [_row(scene, name, method) for name, method in methods.items()]
    if with_peers:
        rows += [_peer_row(scene, peer, hr, lr) for peer in tools.PEERS]
    if only != "opencv":
        bound = cramer_rao.bound(hr, scene.truth.session, scene.true_mapping, scene.true_crop)
        rows.append(_facts(scene, BOUND) | {"rms": bound})
    return rows


def _facts(scene: BenchScene, method: str) -> Row:
    return {"method": method, "seed": scene.seed, "kind": scene.kind, "nuisance": scene.nuisance}


def _row(scene: BenchScene, name: str, method: Callable[[], Found | None]) -> Row:
    start = time.perf_counter()
    found = method()
    seconds = time.perf_counter() - start
    if found is None:
        return _facts(scene, name) | {"failed": "no estimate", "seconds": round(seconds, 2)}
    error = scene.error_of(found.mapping, found.crop)
    gross = not error.mean < GROSS_LR_PX * scene.scale
    return _facts(scene, name) | {
        "failed": "gross" if gross else "",
        "mean": error.mean,
        "p95": error.p95,
        "worst": error.maximum,
        "rms": error.rms,
        "sigma_hr_px": found.sigma,
        "status": found.status,
        "seconds": round(seconds, 2),
    }


def _peer_row(scene: BenchScene, peer: tools.Peer, hr: Image, lr: Image) -> Row:
    lacking = peer.lacking()
    if lacking:
        return _facts(scene, peer.name) | {"failed": f"not installed: {lacking}"}
    return _row(scene, peer.name, lambda: _of_homography(scene, peer.align(hr, lr, scene.scale)))


def summarise(rows: Sequence[Row]) -> list[Row]:
    """One row a method: the columns of the ladder."""
    return [_summary(name, [row for row in rows if row["method"] == name]) for name in _methods(rows)]


def _methods(rows: Sequence[Row]) -> list[str]:
    return [name for name in dict.fromkeys(row["method"] for row in rows) if name != BOUND]


def _summary(name: str, rows: Sequence[Row]) -> Row:
    lacking = next((row["failed"] for row in rows if row["failed"].startswith("not installed")), "")
    if lacking:
        return {"method": name, "note": lacking}
    good = [row for row in rows if not row["failed"]]
    summary: Row = {"method": name}
    if good:
        means = [row["mean"] for row in good]
        summary |= {"mean": float(np.mean(means)), "p95": float(np.percentile(means, 95))}
        summary |= {"worst": float(np.median([row["worst"] for row in good]))}
    summary |= {"failures": len(rows) - len(good), "seconds": float(np.mean([row["seconds"] for row in rows]))}
    return summary


def by_kind(rows: Sequence[Row]) -> list[Row]:
    """Mean error of each method on each kind of card."""
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    table = []
    for name in _methods(rows):
        good = [row for row in rows if row["method"] == name and not row["failed"]]
        means = {kind: [row["mean"] for row in good if row["kind"] == kind] for kind in kinds}
        table.append({"method": name} | {k: float(np.mean(v)) if v else float("nan") for k, v in means.items()})
    return table


def error_bars_of_default(rows: Sequence[Row]) -> list[Row]:
    """Predicted against true standard error of the default method."""
    ours = [row for row in rows if row["method"] == DEFAULT and not row["failed"] and row["sigma_hr_px"] > 0]
    bounds = {row["seed"]: row["rms"] for row in rows if row["method"] == BOUND}
    return error_bars(ours, bounds)


def report(rows: Sequence[Row], title: str) -> str:
    """All tables of a run."""
    parts = [title, text_table(summarise(rows), ("method", "mean", "p95", "worst", "failures", "seconds", "note"))]
    parts += ["Mean error by kind of card", text_table(by_kind(rows))]
    bars = error_bars_of_default(rows)
    if bars:
        parts += [f"Predicted against true standard error ({DEFAULT})", text_table(bars)]
    return "\n\n".join(parts)


def _told(rows: Sequence[Row]) -> str:
    """The line about one scene: what became of the default method, else of the first."""
    row = next((row for row in rows if row["method"] == DEFAULT), rows[0])
    error = row["failed"] or f"mean {row['mean']:.3f} worst {row['worst']:.3f}"
    return f"{row['seed']} {row['kind']} {row['method']}: {error}"


def _seeds(seeds: str | None, count: int | None, first: int) -> str:
    """The seeds by --seeds, or by --scenes and --seed, which are another way to say the same."""
    source = click.get_current_context().get_parameter_source
    given = {name: source(name) is ParameterSource.COMMANDLINE for name in ("seeds", "count", "seed")}
    if given["seeds"] and (given["count"] or given["seed"]):
        raise click.UsageError("--seeds and --scenes or --seed say the same in two ways; give one of them")
    if given["seed"] and not count:
        raise click.UsageError("--seed is the first seed of --scenes, which is not given; add --scenes, or use --seeds")
    return f"{first}..{first + count - 1}" if count else seeds or "100..124"


@program(__doc__)
@click.option("--seeds", help="A..B, B included; a seed is a scene. Default 100..124.")
@click.option("--scenes", "count", type=click.IntRange(min=1), help="Number of scenes from --seed on, for --seeds.")
@click.option("--seed", type=int, default=100, show_default=True, help="First seed of --scenes.")
@with_size("half")
@click.option("--nuisance", type=click.Choice(CLASSES), default=PLAIN, show_default=True)
@click.option("--only", type=click.Choice(["all", "ours", "default", "opencv"]), default="all", show_default=True)
@click.option("--peers", "with_peers", is_flag=True, help="Also other tools, each in its environment under .peers/.")
@with_jobs
@with_cache
@with_out
@with_small("Two mini scenes", seeds="0..1", size="mini")
def main(
    seeds: str | None,
    count: int | None,
    seed: int,
    size: SizeName,
    nuisance: str,
    jobs: int,
    out: Path | None,
    **options: Any,
) -> None:
    text = _seeds(seeds, count, seed)
    wanted = parse_seeds(text)
    title = f"Alignment, {size} size, {purpose_of(wanted)} seeds {text}, nuisance: {nuisance}. Errors in HR px."
    scenes = [BenchScene(seed=s, size=size, nuisance=nuisance) for s in wanted]
    found = side_by_side(functools.partial(measure, **options), scenes, jobs=jobs, told=_told)
    rows = [row for of_scene in found for row in of_scene]
    print_and_store(report(rows, title), out, {"-scenes": rows})


if __name__ == "__main__":
    main()
