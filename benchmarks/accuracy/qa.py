"""Does QA let bad pairs through, and does it throw good ones away? Stress captures of every class, with known truth.

    python -m benchmarks.accuracy.qa --seeds 100..107 --jobs 2 --cache qa-scenes --out benchmarks/results/qa
    python -m benchmarks.accuracy.qa --class occlusion --class glare --seeds 0..15 --cache qa-scenes
    python -m benchmarks.accuracy.qa --rejudge benchmarks/results/qa-scenes.csv

Bad: wrong scene, or worst point over the crop > 1 HR px, or > 2 % of the crop whose content differs. Good: not bad and
mean error < .3 HR px. true/predicted: of the good pairs accepted, rms true error over rms predicted standard error.
Every scene is aligned once; --rejudge applies today's rules and thresholds to the statistics of an earlier run, in no
time.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import click
import joblib

from benchmarks.result_tables import Row, provenance, read_csv, text_table, write_csv
from benchmarks.scenes import PLAIN, BenchScene, captures_of
from benchmarks.seeds import parse_seeds, purpose_of
from d2crealsr.align import align_pair
from d2crealsr.errors import D2CRealSRError, SettingsError
from d2crealsr.imaging.crop import MIN_SIDE
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.jobs import threads
from d2crealsr.quality import verdict
from d2crealsr.settings import AlignSettings
from d2crealsr.simulate import NUISANCES, SIZES
from d2crealsr.store.files import write_text
from d2crealsr.types import AlignmentFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.simulate.settings import SizeName

Judged: TypeAlias = Literal["good", "bad", "between", "failed"]

WORST_OF_BAD_HR_PX = 1.0
DIFFERING_OF_BAD = 0.02
MEAN_OF_GOOD_HR_PX = 0.3

CLASSES = (PLAIN, *NUISANCES)

_FACTS = ("class", "seed", "kind", "judged", "status", "reasons", "error_mean", "error_p95", "error_max", "differs")
"""Columns that are no statistics, in this order, and the seconds."""


def judged(*, same_scene: bool, worst: float, mean: float, differs: float) -> Judged:
    """What a published estimate is, by the truth (design, section 9)."""
    if not same_scene or not worst <= WORST_OF_BAD_HR_PX or differs > DIFFERING_OF_BAD:
        return "bad"
    return "good" if mean < MEAN_OF_GOOD_HR_PX else "between"


def measure(scene: BenchScene, cache: Path | None, settings: AlignSettings) -> Row:
    """Align one scene: its true error, QA's verdict, and all statistics QA could look at."""
    threads.use_one_thread()
    hr, lr = captures_of(scene, cache)
    start = time.perf_counter()
    found = align_pair(hr, lr, settings=settings)
    facts: Row = {"class": scene.nuisance, "seed": scene.seed, "kind": scene.kind}
    seconds = {"seconds": round(time.perf_counter() - start, 2)}
    differs = scene.truth.content_differs_fraction
    if isinstance(found, AlignmentFailure):
        facts |= {"judged": "failed", "status": "failed", "reasons": found.reason, "differs": differs}
        return facts | seconds | _numbers(found.statistics)
    mapping = CaptureMapping(
        H_hr_to_lr=found.H_hr_to_lr,
        hr_size=scene.truth.session.size,
        lr_size=scene.truth.session.size,
        k1_hr=found.k1_hr,
        k1_lr=found.k1_lr,
    )
    publishable = min(found.crop.width, found.crop.height) >= MIN_SIDE
    error = scene.error_of(mapping, found.crop if publishable else scene.true_crop)
    same = scene.truth.session.same_scene
    facts |= {
        "judged": judged(same_scene=same, worst=error.maximum, mean=error.mean, differs=differs),
        "status": "accepted" if found.accepted else "rejected",
        "reasons": ";".join(found.reasons),
        "error_mean": error.mean,
        "error_p95": error.p95,
        "error_max": error.maximum,
        "differs": differs,
    }
    return facts | seconds | _numbers(found.statistics)


def _numbers(statistics: Any) -> Row:
    return {name: float(value) for name, value in statistics.items()}


def rejudged(row: dict[str, str], settings: AlignSettings) -> Row:
    """A row of an earlier run with the verdict that its statistics get today; failures stay what they were."""
    facts: Row = {name: row.get(name, "") for name in _FACTS}
    numbers = {name: float(value) for name, value in row.items() if name not in _FACTS}
    facts |= {name: float(facts[name]) for name in ("error_mean", "error_p95", "error_max", "differs") if facts[name]}
    if facts["status"] != "failed":
        statistics = {name: value for name, value in numbers.items() if name != "seconds"}
        reasons = verdict.judge(statistics, settings)
        facts |= {"status": "rejected" if reasons else "accepted", "reasons": ";".join(reasons)}
    return facts | numbers


def summarise(rows: Sequence[Row]) -> list[Row]:
    """One row a class, then all of them together."""
    classes = list(dict.fromkeys(row["class"] for row in rows))
    table = [_summary(name, [row for row in rows if row["class"] == name]) for name in classes]
    return [*table, _summary("ALL", rows)] if len(classes) > 1 else table


def _summary(name: str, rows: Sequence[Row]) -> Row:
    count = {kind: sum(row["judged"] == kind for row in rows) for kind in ("bad", "good", "between", "failed")}
    accepted_bad = sum(row["judged"] == "bad" and row["status"] == "accepted" for row in rows)
    rejected_good = [row for row in rows if row["judged"] == "good" and row["status"] == "rejected"]
    reasons = [reason for row in rejected_good for reason in row["reasons"].split(";")]
    spelled = (f"{reason} {reasons.count(reason)}" for reason in dict.fromkeys(reasons))
    return {
        "class": name,
        "scenes": len(rows),
        "bad": count["bad"],
        "accepted bad": accepted_bad,
        "good": count["good"],
        "rejected good": len(rejected_good),
        "% of good": 100 * len(rejected_good) / count["good"] if count["good"] else math.nan,
        "between": count["between"],
        "failed": count["failed"],
        "true/predicted": _true_over_predicted(rows),
        "why good ones were rejected": ", ".join(spelled),
    }


def _true_over_predicted(rows: Sequence[Row]) -> str:
    """Rms true mean error over rms sigma_hr_px of the good pairs that were accepted."""
    known = [row for row in rows if row["judged"] == "good" and row["status"] == "accepted" and "sigma_hr_px" in row]
    predicted = sum(row["sigma_hr_px"] ** 2 for row in known)
    return f"{math.sqrt(sum(row['error_mean'] ** 2 for row in known) / predicted):.2f}" if predicted else ""


def wrong_verdicts(rows: Sequence[Row]) -> list[str]:
    """A line with every statistic for each bad pair that was let through and each good one that was not."""
    lines = []
    for row in rows:
        kind = (row["judged"], row["status"])
        if kind not in (("bad", "accepted"), ("good", "rejected")):
            continue
        numbers = " ".join(f"{n}={v:.4g}" for n, v in row.items() if n not in (*_FACTS, "seconds"))
        true = f"true mean {row['error_mean']:.3f} max {row['error_max']:.3f} differs {row['differs']:.3f}"
        lines.append(
            f"{kind[1]} {kind[0]}: {row['class']} {row['seed']} {row['kind']} [{row['reasons']}] {true} | {numbers}"
        )
    return lines


def run(scenes: Sequence[BenchScene], *, cache: Path | None, settings: AlignSettings, jobs: int) -> list[Row]:
    """Measure scenes side by side; told on standard error as they come."""
    work = (joblib.delayed(measure)(scene, cache, settings) for scene in scenes)
    rows: list[Row] = []
    for row in joblib.Parallel(n_jobs=jobs or -1, return_as="generator")(work):
        error = f"mean {row['error_mean']:.3f} max {row['error_max']:.3f}" if "error_mean" in row else ""
        told = f"[{len(rows) + 1}/{len(scenes)}] {row['class']} {row['seed']} {row['judged']} {row['status']}"
        click.echo(f"{told} {row['reasons']} {error} {row['seconds']:.1f} s", err=True)
        rows.append(row)
    return rows


def _changed(settings: AlignSettings, changes: Sequence[str]) -> AlignSettings:
    """Settings with ``name=value`` applied, values read as the field's own type."""
    values: dict[str, Any] = {}
    for change in changes:
        name, _, text = change.partition("=")
        if not hasattr(settings, name) or not text:
            raise SettingsError(f"set: got {change!r}, expected NAME=VALUE with NAME a setting of align; change --set")
        kind = type(getattr(settings, name))
        values[name] = text.lower() == "true" if kind is bool else kind(text)
    return AlignSettings(**values)


@click.command(help=(__doc__ or "").replace("\n\n    ", "\n\n\b\n    "))
@click.option("--class", "classes", multiple=True, type=click.Choice(CLASSES), help="Only this class; repeatable.")
@click.option("--seeds", default="0..7", show_default=True, help="A..B, B included: scenes of every class.")
@click.option("--size", type=click.Choice(list(SIZES)), default="half", show_default=True, help="Capture size.")
@click.option("--jobs", type=int, default=1, show_default=True, help="Scenes at a time; 0: one a core.")
@click.option("--cache", type=click.Path(path_type=Path), help="Keep the simulated captures here (3 MB a half scene).")
@click.option("--set", "changes", multiple=True, help="A setting of align, NAME=VALUE; repeatable.")
@click.option("--rejudge", type=click.Path(path_type=Path, exists=True), help="Judge an earlier run's CSV again.")
@click.option("--out", type=click.Path(path_type=Path), help="Write OUT.txt and OUT-scenes.csv (all statistics).")
@click.option("--small", is_flag=True, help="A few mini scenes, to see that it works.")
def main(
    classes: tuple[str, ...],
    seeds: str,
    size: SizeName,
    jobs: int,
    cache: Path | None,
    changes: tuple[str, ...],
    rejudge: Path | None,
    out: Path | None,
    small: bool,
) -> None:
    settings = _changed(AlignSettings(), changes)
    if rejudge:
        rows = [rejudged(row, settings) for row in read_csv(rejudge) if not classes or row["class"] in classes]
        about = f"{rejudge} judged again"
    else:
        if small:
            classes, seeds, size = classes or (PLAIN, "wrong-scene", "low-texture"), "0..1", "mini"
        wanted = parse_seeds(seeds)
        about = f"{size} size, {purpose_of(wanted)} seeds {seeds}"
        scenes = [BenchScene(seed=s, size=size, nuisance=n) for n in classes or CLASSES for s in wanted]
        rows = run(scenes, cache=cache, settings=settings, jobs=jobs)
    text = "\n".join([f"QA on stress captures: {about}", "", text_table(summarise(rows), digits=0)])
    print(text)
    print("\n" + "\n".join(wrong_verdicts(rows) or ["no bad pair accepted, no good pair rejected"]))
    if out:
        write_csv(out.with_name(out.name + "-scenes.csv"), rows)
        write_text(out.with_name(out.name + ".txt"), f"{text}\n\n{provenance(sys.argv)}\n")


if __name__ == "__main__":
    try:
        main()
    except D2CRealSRError as error:
        sys.exit(f"Error: {error}")
