"""Are the marks of cards found? By what goes wrong when they are photographed, on pages that `d2crealsr cards` made.

    python -m benchmarks.accuracy.marked_cards --seeds 100..119 --side lr --out benchmarks/results/marked-cards-lr

Each seed is a card: the artwork of a simulated scene becomes a page of cards, is rendered, and is photographed at x4 by
the simulator, which knows nothing of marks; the frames are JPEG files of quality 95. found: frames in which at least
one mark of the right scene is read, with the exact interval of Clopper and Pearson at 95 % of its share, from and to;
marks: the mean number of the four. wrong: marks of other scenes, over all frames. Frames without marks are the same
scenes with their bare artwork. The frames have 1200 px at x4, where a module of a mark has 3.1 LR px (--size half: 7.8,
as in a frame of 6000 px at x8; a blur of 1.5 px here is one of 3.7 px there). seconds: CPU time of a frame without
decoding.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

import click
import numpy as np

from benchmarks.card_pages import artwork_and_page
from benchmarks.intervals import of_share
from benchmarks.program import Run, over_scenes, program, with_jobs, with_seeds, with_size, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.scenes import PLAIN, BenchScene
from d2crealsr import opencv
from d2crealsr.imaging import marks
from d2crealsr.simulate.printing import print_card
from d2crealsr.simulate.recipe import stream
from d2crealsr.simulate.shoot import lay_card, session_for, tele_shot, wide_shot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d2crealsr.simulate import Session
    from d2crealsr.simulate.settings import SizeName
    from d2crealsr.types import Image

SCALE = 4
NO_MARKS = "no marks"
_SCENE = "0001"
Side: TypeAlias = Literal["hr", "lr"]
_SIDES: tuple[Side, ...] = ("hr", "lr")


def _blurred(sigma: float) -> Callable[[Session], Session]:
    """Both shots with a blur of this standard deviation, in px of the sensor."""
    return lambda session: replace(
        session, hr=replace(session.hr, psf_sigma=sigma), lr=replace(session.lr, psf_sigma=sigma)
    )


def _darker(session: Session) -> Session:
    """Four stops less light in both shots."""
    hr, lr = (replace(shot, exposure=shot.exposure / 16) for shot in (session.hr, session.lr))
    return replace(session, hr=hr, lr=lr)


CONDITIONS: dict[str, Callable[[Session], Session]] = {
    "low light (4 stops)": _darker,
    "blur of 1.5 px": _blurred(1.5),
    "blur of 2.5 px": _blurred(2.5),
}
"""Conditions that are no nuisances of the simulator."""

CLASSES = (
    *(PLAIN, "tilt", "rolled", "glare", "occlusion", "lr-exposure-x4", *CONDITIONS),
    *("bowed-card", "halftone-133", "off-centre", "desk-in-frame", NO_MARKS),
)


def frame_of(seed: int, condition: str, size: SizeName, side: Side) -> Image:
    """A frame of a card with marks under a condition, as decoded from its file."""
    nuisance = condition if condition not in (*CONDITIONS, NO_MARKS) else PLAIN
    scene = BenchScene(seed=seed, size=size, nuisance=nuisance, scale=SCALE)
    session = session_for(scene.recipe, scene.settings)
    session = CONDITIONS[condition](session) if condition in CONDITIONS else session
    bare, page = artwork_and_page(BenchScene(seed=seed, size=size, scale=SCALE))
    card = print_card(
        np.asarray(bare if condition == NO_MARKS else page, np.uint8),
        session.card_mm,
        screen=session.screen,
        grain=True,
        rng=stream("print", scene.recipe.texture_seed),
    )
    seeds = (scene.recipe.capture_seed, scene.settings.seed)
    shoot = tele_shot if side == "hr" else wide_shot
    shot = shoot(session, lay_card(card, session, stream("desk", *seeds)), stream(f"noise-{side}", *seeds))
    return opencv.as_image(opencv.decode(opencv.encode_jpeg(shot)))


def measure(task: tuple[int, str], size: SizeName, sides: Sequence[Side]) -> Row:
    """What is found in the frames of a card."""
    seed, condition = task
    row: Row = {"class": condition, "seed": seed}
    for side in sides:
        frame = frame_of(seed, condition, size, side)
        begin = time.process_time()
        found = marks.detect(frame)
        seconds = time.process_time() - begin
        right = 0 if condition == NO_MARKS else sum(mark.scene == _SCENE for mark in found)
        row |= {f"{side}_right": right, f"{side}_wrong": len(found) - right, f"{side}_seconds": seconds}
    return row


def summarise(rows: Sequence[Row], sides: Sequence[Side]) -> list[Row]:
    """A row for each condition."""
    table = []
    for name in CLASSES:
        of = [row for row in rows if row["class"] == name]
        if not of:
            continue
        line: Row = {"class": name, "cards": len(of)}
        for side in sides:
            right = [row[f"{side}_right"] for row in of]
            count = sum(n > 0 for n in right)
            low, high = of_share(count, len(of))
            line |= {f"{side}_found": count, f"{side}_from": low, f"{side}_to": high}
            line[f"{side}_marks"] = float(np.mean(right))
        line["wrong"] = sum(row[f"{side}_wrong"] for row in of for side in sides)
        for side in sides:
            line[f"{side}_seconds"] = float(np.mean([row[f"{side}_seconds"] for row in of]))
        table.append(line)
    return table


def _told(row: Row) -> str:
    found = ", ".join(f"{row[f'{side}_right']} in {side.upper()}" for side in _SIDES if f"{side}_right" in row)
    return f"{row['class']} {row['seed']}: {found}"


@program(__doc__)
@over_scenes(
    with_seeds("100..105"), with_size("mini"), with_jobs, with_small("One scene, mini", seeds="0", size="mini")
)
@click.option("--class", "classes", multiple=True, type=click.Choice(CLASSES), help="Only this class; repeatable.")
@click.option("--side", type=click.Choice(_SIDES), help="Only these frames.")
def main(run: Run, classes: tuple[str, ...], side: Side | None) -> None:
    sides = (side,) if side else _SIDES
    tasks = [(seed, name) for seed in run.wanted for name in classes or CLASSES]
    rows = run.each(partial(measure, size=run.size, sides=sides), tasks, told=_told)
    run.store(f"{run.about}, x{SCALE}\n\n{text_table(summarise(rows, sides))}", rows)


if __name__ == "__main__":
    main()
