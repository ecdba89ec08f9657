"""Does QA see small objects that only one of the two shots shows, and does it see none where there are none?

    python -m benchmarks.accuracy.foreign_objects --seeds 100..199 --out benchmarks/results/foreign-objects
    python -m benchmarks.accuracy.foreign_objects --honest --seeds 100..111

Each plain scene is aligned once. Then objects are painted into its HR or its LR, one at a time, at a random place of
the crop, and the pair is compared again under the same mapping. Discs are brighter or darker than what they cover by
the contrast given (in each channel, encoded, of full scale), or differ from it in colour at equal luma. A date is drawn
in seven segments. A sliver is a black strip along the left side of the crop. In LR an object is as blurred as the card.

--honest aligns scenes without objects of every class of stress captures that is not bad by what it is, and counts the
good ones that are rejected because of a place.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import click
import numpy as np

from benchmarks.accuracy import qa
from benchmarks.program import Run, over_scenes, program, with_cache, with_jobs, with_seeds, with_size, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.scenes import CLASSES, captures_of
from d2crealsr import opencv
from d2crealsr.align import Alignment, align_pair
from d2crealsr.imaging import degrade, photometry
from d2crealsr.imaging.comparison import LrCrop
from d2crealsr.quality.place import largest_place
from d2crealsr.settings import AlignSettings
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.scenes import BenchScene
    from d2crealsr.types import Array, Image

Kind: TypeAlias = Literal["disc", "disc of equal luma", "date", "sliver"]
Side: TypeAlias = Literal["HR", "LR"]

DISC_SIZES_HR_PX = (24, 36, 48, 72)
CONTRASTS = (0.1, 0.15, 0.2, 0.3)
DATE_HEIGHTS_HR_PX = (40, 64, 96)
SLIVER_WIDTHS_HR_PX = (8, 12, 16, 24)

ALWAYS_BAD = ("occlusion", "glare", "wrong-scene", "small-object")
"""Classes whose captures show different content."""

_PSF_LR_PX = 0.9
_OVERSAMPLING = {"HR": 2, "LR": 8}
_DATE = "261127"
_SEGMENTS = {"1": "bc", "2": "abged", "6": "afgedc", "7": "abc"}
"""Lit segments of a digit, named as usual: a above, then clockwise to f, g in the middle."""
_STRIPS = {
    "a": (0, 0, 1, 0), "b": (1, 0, 1, 1), "c": (1, 1, 1, 2), "d": (0, 2, 1, 2),
    "e": (0, 1, 0, 2), "f": (0, 0, 0, 1), "g": (0, 1, 1, 1),
}  # fmt: skip
"""Left, top, right and bottom of the segments, in half heights of a digit."""


class Thing(NamedTuple):
    """An object: its kind, its diameter, height or width in HR px, its contrast (0: opaque), and the shot it is in."""

    kind: Kind
    hr_px: int
    contrast: float
    side: Side


THINGS = [
    *(Thing("disc", d, c, side) for d in DISC_SIZES_HR_PX for c in CONTRASTS for side in ("HR", "LR")),
    *(Thing("disc of equal luma", d, c, side) for d in DISC_SIZES_HR_PX for c in CONTRASTS for side in ("HR", "LR")),
    *(Thing("date", h, 0, side) for h in DATE_HEIGHTS_HR_PX for side in ("HR", "LR")),
    *(Thing("sliver", w, 0, side) for w in SLIVER_WIDTHS_HR_PX for side in ("HR", "LR")),
]


def _extent(thing: Thing) -> tuple[float, float]:
    """Width and height of an object, in HR px."""
    if thing.kind == "date":
        return len(_DATE) * 0.8 * thing.hr_px, thing.hr_px
    return (thing.hr_px, 20 * thing.hr_px) if thing.kind == "sliver" else (thing.hr_px, thing.hr_px)


def _covered(thing: Thing, x: Array, y: Array) -> Array:
    """Whether the object covers positions, in HR px from its upper left corner."""
    width, height = _extent(thing)
    if thing.kind == "sliver":
        return np.asarray((x >= 0) & (x <= width) & (y >= 0) & (y <= height))
    if thing.kind != "date":
        return np.asarray(np.hypot(x - width / 2, y - height / 2) <= width / 2)
    thick, half = height / 8, height / 2 - height / 16
    lit = np.zeros(np.broadcast(x, y).shape, np.bool_)
    for number, digit in enumerate(_DATE):
        for left, top, right, bottom in (_STRIPS[segment] for segment in _SEGMENTS[digit]):
            from_x, from_y = number * 0.8 * height + left * half, top * half
            inside_x = (x >= from_x) & (x <= from_x + (right - left) * half + thick)
            lit |= inside_x & (y >= from_y) & (y <= from_y + (bottom - top) * half + thick)
    return lit


def _colour(thing: Thing, below: Array, rng: np.random.Generator) -> Array:
    """What an object adds to the encoded colour of what it covers, (3,); for an opaque one its own colour."""
    if thing.kind == "date":
        return np.array([1.0, 0.55, 0.1])
    if thing.kind == "sliver":
        return np.full(3, 0.03)
    if thing.kind == "disc":
        return np.full(3, thing.contrast if below.mean() < 0.5 else -thing.contrast)
    luma = photometry.JPEG_LUMA.astype(np.float64)
    drawn = rng.normal(size=3)
    drawn -= (drawn @ luma) / (luma @ luma) * luma
    coloured: Array = thing.contrast * drawn / np.abs(drawn).max()
    return coloured


def painted(image: Image, thing: Thing, corner: Array, px_per_hr_px: float, rng: np.random.Generator) -> Image:
    """A copy of a capture with an object whose upper left corner is at a position (x, y) of the capture."""
    fine = _OVERSAMPLING[thing.side]
    left, top = (int(v) for v in np.maximum(np.floor(corner) - 4, 0))
    width, height = (int(np.ceil(side * px_per_hr_px)) + 10 for side in _extent(thing))
    part = image[top : top + height, left : left + width]
    height, width = part.shape[:2]
    x, y = ((np.arange(n * fine) + 0.5) / fine - 0.5 for n in (width, height))
    covered = _covered(thing, *np.meshgrid((x + left - corner[0]) / px_per_hr_px, (y + top - corner[1]) / px_per_hr_px))
    mask = covered.astype(np.float32)
    if thing.side == "LR":
        mask = opencv.blur(mask, _PSF_LR_PX * fine)
    mask = opencv.resize(mask, Size(width, height), "area")[..., None]
    below = part / np.float32(255)
    colour = _colour(thing, (below * mask).sum(axis=(0, 1)) / mask.sum(), rng).astype(np.float32)
    above = colour if thing.contrast == 0 else below + colour
    seen = image.copy()
    seen[top : top + height, left : left + width] = np.rint(255 * np.clip(below + mask * (above - below), 0, 1))
    return seen


def measure(scene: BenchScene, cache: Path | None) -> list[Row]:
    """How far across the largest place is with each object, one row an object; empty where the scene is rejected."""
    hr, lr = captures_of(scene, cache)
    found = align_pair(hr, lr, scale=scene.scale)
    if not isinstance(found, Alignment) or not found.accepted:
        return []
    rng = np.random.default_rng(scene.seed)
    facts = {"seed": scene.seed, "kind": scene.kind}
    honest: Row = {**facts, "object": "none", "hr_px": 0, "contrast": 0, "in": ""}
    rows = [honest | {"differing_hr_px": found.statistics["differing_hr_px"]}]
    for thing in THINGS:
        about: Row = {"object": thing.kind, "hr_px": thing.hr_px, "contrast": thing.contrast, "in": thing.side}
        rows.append({**facts, **about, "differing_hr_px": _seen(found, hr, lr, thing, rng)})
    return rows


def _seen(found: Alignment, hr: Image, lr: Image, thing: Thing, rng: np.random.Generator) -> float:
    placement, tone = found.estimate.placement, found.estimate.light.tone
    crop, scale, mapping = placement.crop, placement.scale, placement.mapping
    width, height = (side / scale for side in _extent(thing))
    free = np.maximum([crop.width - width - 2, crop.height - height - 2], 0)
    at_lr = np.array([crop.x, crop.y]) + 0.5 + rng.uniform(size=2) * free
    if thing.kind == "sliver":
        at_lr[0] = crop.x - 0.5
    if thing.side == "LR":
        lr = painted(lr, thing, at_lr, 1 / scale, rng)
    else:
        hr = painted(hr, thing, mapping.lr_to_hr(at_lr[None])[0], placement.shrink, rng)
    lr_crop = LrCrop.of(lr, crop, tone, scale=scale)
    look = lr_crop.look(degrade.reduced(hr, scale, tone), mapping)
    return largest_place(lr_crop, lr_crop.shown(look, mapping)).hr_px


def summarise(rows: Sequence[Row], limit: float) -> list[Row]:
    """One row an object and contrast: how many are rejected in HR and in LR, in %, and the median size measured."""
    table: list[Row] = []
    for about in dict.fromkeys((row["object"], row["hr_px"], row["contrast"]) for row in rows):
        of = [row for row in rows if (row["object"], row["hr_px"], row["contrast"]) == about]
        line: Row = dict(zip(("object", "hr_px", "contrast"), about, strict=True)) | {"tried": len(of)}
        for side in ("HR", "LR"):
            over = [row["differing_hr_px"] > limit for row in of if row["in"] in (side, "")]
            line[f"rejected in {side}, %"] = 100 * float(np.mean(over))
        table.append(line | {"median measured, HR px": float(np.median([row["differing_hr_px"] for row in of]))})
    return table


def summarise_honest(rows: Sequence[Row], limit: float) -> list[Row]:
    """One row a class: its good captures, those rejected because of a place, and those rejected for nothing else."""
    table: list[Row] = []
    good = [row for row in rows if row["judged"] == "good"]
    for name in (*dict.fromkeys(row["class"] for row in rows), "ALL"):
        of = [row for row in good if name in (row["class"], "ALL")]
        over = [row for row in of if row.get("differing_hr_px", 0) > limit]
        only = [row for row in over if _other_reasons(row) == ()]
        share = 100 * len(over) / len(of) if of else float("nan")
        table.append({"class": name, "good": len(of), "place": len(over), "%": share, "nothing else": len(only)})
    return table


def _other_reasons(row: Row) -> tuple[str, ...]:
    statistics = {name: value for name, value in row.items() if isinstance(value, float)}
    return qa.verdict.judge(statistics | {"differing_hr_px": 0.0}, AlignSettings())


@program(__doc__)
@over_scenes(
    *(with_seeds("0..4"), with_size("mini"), with_jobs, with_cache),
    with_small("Two mini scenes", seeds="0..1", size="mini"),
)
@click.option("--honest", is_flag=True, help="Scenes without objects, of every class that is not bad by what it is.")
def main(run: Run, honest: bool) -> None:
    settings = AlignSettings()
    limit = settings.max_differing_place
    about = f"{run.about}; rejected above {limit:g} HR px"
    if honest:
        classes = [run.scenes(nuisance=name) for name in CLASSES if name not in ALWAYS_BAD]
        scenes = [scene for of_seed in zip(*classes, strict=True) for scene in of_seed]
        rows = run.each(functools.partial(qa.measure, cache=run.cache, settings=settings), scenes, told=qa.told)
        text = f"Honest captures rejected for a place: {about}\n\n{text_table(summarise_honest(rows, limit), digits=1)}"
    else:
        each = run.each(
            functools.partial(measure, cache=run.cache), run.scenes(), told=lambda found: f"{len(found)} objects"
        )
        rows = [row for found in each for row in found]
        used = f"{sum(bool(found) for found in each)} accepted scenes"
        text = f"Objects in one shot: {used}, {about}\n\n{text_table(summarise(rows, limit), digits=2)}"
    run.store(text, rows)


if __name__ == "__main__":
    main()
