"""Does QA accept bad pairs, and does it reject good ones? Difficult captures of every class, with known truth.

    python -m benchmarks.accuracy.qa --seeds 100..107 --jobs 2 --cache qa-scenes --out benchmarks/results/qa
    python -m benchmarks.accuracy.qa --class occlusion --class glare --seeds 0..15 --cache qa-scenes
    python -m benchmarks.accuracy.qa --rejudge benchmarks/results/qa-scenes.csv

Bad: wrong scene, or worst point over the crop > 1 HR px, or > 2 % of the crop whose content differs, or one connected
place of 36 HR px or more that differs by .15 of full scale. Good: not bad and mean error < .3 HR px. Smooth: good ones
rejected for hr_not_sharper alone whose card itself has less than 3 % of its power beyond LR's Nyquist frequency, by the
simulator's noiseless picture of it; they are not counted in "% of good". true/predicted: of the good pairs accepted,
rms true error over rms predicted standard error.
Every scene is aligned once. --rejudge applies the present rules and thresholds to the statistics of an earlier run,
which takes no time.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import click

from benchmarks.program import FILE, Run, over_scenes, program, with_cache, with_jobs, with_seeds, with_size, with_small
from benchmarks.result_tables import Row, read_csv, text_table
from benchmarks.scenes import CLASSES, PLAIN, captures_and_detail
from benchmarks.smooth_cards import SMOOTH
from d2crealsr.align import align_pair
from d2crealsr.errors import SettingsError
from d2crealsr.quality import verdict
from d2crealsr.settings import AlignSettings
from d2crealsr.types import AlignmentFailure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.scenes import BenchScene

Judged: TypeAlias = Literal["good", "bad", "between", "failed"]

WORST_OF_BAD_HR_PX = 1.0
DIFFERING_OF_BAD = 0.02
PLACE_OF_BAD_HR_PX = 36.0
MEAN_OF_GOOD_HR_PX = 0.3

_SETTINGS = {field.name for field in dataclasses.fields(AlignSettings)}

_FACTS = (
    *("class", "seed", "kind", "judged", "status", "reasons"),
    *("error_mean", "error_p95", "error_max", "differs", "place_hr_px", "beyond"),
)
"""Columns that are no statistics, in this order, and the seconds."""


_SWITCH = {"true": True, "false": False}


def judged(*, same_scene: bool, worst: float, mean: float, differs: float, place: float = 0.0) -> Judged:
    """What a published estimate is, by the truth (design, section 9); ``place`` is in HR px."""
    if not same_scene or not worst <= WORST_OF_BAD_HR_PX:
        return "bad"
    if differs > DIFFERING_OF_BAD or place >= PLACE_OF_BAD_HR_PX:
        return "bad"
    return "good" if mean < MEAN_OF_GOOD_HR_PX else "between"


def measure(scene: BenchScene, cache: Path | None, settings: AlignSettings) -> Row:
    """Align one scene: its true error, QA's verdict, and all statistics QA could look at."""
    hr, lr, beyond = captures_and_detail(scene, cache)
    start = time.perf_counter()
    found = align_pair(hr, lr, settings=settings)
    facts: Row = {"class": scene.nuisance, "seed": scene.seed, "kind": scene.kind}
    seconds = {"seconds": round(time.perf_counter() - start, 2)}
    differs = scene.truth.content_differs_fraction
    if isinstance(found, AlignmentFailure):
        facts |= {"judged": "failed", "status": "failed", "reasons": found.reason, "differs": differs, "beyond": beyond}
        return facts | seconds | _numbers(found.statistics)
    error = scene.error_of(found.estimate.placement.mapping, scene.crop_of(found))
    same = scene.truth.session.same_scene
    place = scene.differing_hr_px if 0 < differs <= DIFFERING_OF_BAD else 0.0  # more is bad anyway
    facts |= {
        "judged": judged(same_scene=same, worst=error.maximum, mean=error.mean, differs=differs, place=place),
        "status": "accepted" if found.accepted else "rejected",
        "reasons": ";".join(found.reasons),
        "error_mean": error.mean,
        "error_p95": error.p95,
        "error_max": error.maximum,
        "differs": differs,
        "place_hr_px": place,
        "beyond": beyond,
    }
    return facts | seconds | _numbers(found.statistics)


def _numbers(statistics: Any) -> Row:
    return {name: float(value) for name, value in statistics.items()}


def rejudged(row: dict[str, str], settings: AlignSettings) -> Row:
    """A row of an earlier run with the verdict that its statistics get today; failures stay what they were."""
    facts: Row = {name: row.get(name, "") for name in _FACTS}
    numbers = {name: float(value) for name, value in row.items() if name not in _FACTS}
    facts |= {name: float(facts[name]) for name in _FACTS[6:] if facts[name]}
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
    smooth = [row for row in rejected_good if _is_smooth(row)]
    sharp, sharp_rejected = count["good"] - len(smooth), [row for row in rejected_good if not _is_smooth(row)]
    reasons = [reason for row in sharp_rejected for reason in row["reasons"].split(";")]
    spelled = (f"{reason} {reasons.count(reason)}" for reason in dict.fromkeys(reasons))
    return {
        "class": name,
        "scenes": len(rows),
        "bad": count["bad"],
        "accepted bad": accepted_bad,
        "good": count["good"],
        "rejected good": len(rejected_good),
        "smooth": len(smooth),
        "% of good": 100 * len(sharp_rejected) / sharp if sharp else math.nan,
        "between": count["between"],
        "failed": count["failed"],
        "true/predicted": _true_over_predicted(rows),
        "why good ones were rejected": ", ".join(spelled),
    }


def _is_smooth(row: Row) -> bool:
    """Whether a good pair that was rejected shows a card without detail to be seen in HR alone."""
    return bool(row["reasons"] == "hr_not_sharper" and row.get("beyond", "") != "" and row["beyond"] < SMOOTH)


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


def told(row: Row) -> str:
    error = f"mean {row['error_mean']:.3f} max {row['error_max']:.3f}" if "error_mean" in row else ""
    verdict = f"{row['class']} {row['seed']} {row['judged']} {row['status']} {row['reasons']}"
    return f"{verdict} {error} {row['seconds']:.1f} s"


def _changed(settings: AlignSettings, changes: Sequence[str]) -> AlignSettings:
    """Settings with ``name=value`` applied, values read as the field's own type."""
    values: dict[str, Any] = {}
    for change in changes:
        name, _, text = change.partition("=")
        if name not in _SETTINGS or not text:
            raise SettingsError(f"set: got {change!r}, expected NAME=VALUE with NAME a setting of align; change --set")
        values[name] = _value(name, text, getattr(settings, name))
    return AlignSettings(**values)


def _value(name: str, text: str, default: Any) -> Any:
    """A value of a setting, of the type of its default."""
    kind = type(default)
    if kind is bool:
        if text.lower() not in _SWITCH:
            raise SettingsError(f"set: got {name}={text}, expected {name}=true or {name}=false; change --set")
        return _SWITCH[text.lower()]
    try:
        return kind(text)
    except ValueError as error:
        expected = "a whole number" if kind is int else "a number"
        raise SettingsError(f"set: got {name}={text}, expected {expected}; change --set") from error


@program(__doc__)
@over_scenes(
    *(with_seeds("0..7"), with_size("half"), with_jobs, with_cache),
    with_small("A few mini scenes", classes=(PLAIN, "wrong-scene", "low-texture"), seeds="0..1", size="mini"),
)
@click.option("--class", "classes", multiple=True, type=click.Choice(CLASSES), help="Only this class; repeatable.")
@click.option("--set", "changes", multiple=True, help="A setting of align, NAME=VALUE; repeatable.")
@click.option("--rejudge", type=FILE, help="Judge an earlier run's CSV again.")
def main(run: Run, classes: tuple[str, ...], changes: tuple[str, ...], rejudge: Path | None) -> None:
    settings = _changed(AlignSettings(), changes)
    if rejudge:
        rows = [rejudged(row, settings) for row in read_csv(rejudge) if not classes or row["class"] in classes]
    else:
        scenes = [scene for name in classes or CLASSES for scene in run.scenes(nuisance=name)]
        rows = run.each(functools.partial(measure, cache=run.cache, settings=settings), scenes, told=told)
    about = f"{rejudge.name} judged again" if rejudge else run.about
    wrong = wrong_verdicts(rows) or ["no bad pair accepted, no good pair rejected"]
    run.store(f"QA on stress captures: {about}\n\n{text_table(summarise(rows), digits=0)}", rows)
    click.echo("\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
