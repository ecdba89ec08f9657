"""Does `ingest` find the scenes of a shoot whose frames were shuffled?

    python -m benchmarks.accuracy.ingest --seeds 100..129 --out benchmarks/results/ingest
    python -m benchmarks.accuracy.ingest --seeds 100..129 --marked --out benchmarks/results/ingest-marked

Each seed is a card with an HR and an LR shot, by one of two cameras. Every fourth card has a second, blurred HR, and
every fourth a second, slightly blurred LR. Every sixth HR lies there twice. Five LR shots of other cards, whose HR is
missing, are distractors. All names are shuffled. With --marked, the cards are pages of `d2crealsr cards`, rendered, and
photographed at x4 in place of x8: in LR frames of 1200 px, a module of a mark has 1.6 px at x8, which is too small (in
frames of 6000 px it has 7.8).

right: HR and LR are the sharp shots of one card. wrong: they are shots of two cards. blurred: they are shots of one
card, and one of them is a blurred one. distractors left out: those in no scene. in doubt: frames that fit several
others equally well, of which no scene is made. With --bare the frames have no EXIF data.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click
import numpy as np

from benchmarks.card_pages import artwork_of, pages_of
from benchmarks.memory_card import Shot, as_jpeg, as_shots, blurred
from benchmarks.program import Run, over_scenes, program, with_cache, with_jobs, with_seeds, with_size, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.scenes import BenchScene, captures_of
from d2crealsr.ingest.run import Ingested, ingest
from d2crealsr.simulate import shoot
from d2crealsr.simulate.nuisances import MARKED_CARDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d2crealsr.types import Image

    Pair: TypeAlias = tuple[Image, Image]

DISTRACTORS = range(290, 295)
"""Seeds of cards of which there is only an LR shot."""

_HR_BLUR_PX, _LR_BLUR_PX = 3.0, 1.2
_MARKED_SCALE = 4


def marked_pair(task: tuple[BenchScene, Image]) -> Pair:
    """HR and LR of a card that is a page with marks."""
    scene, page = task
    made = shoot(scene.recipe, scene.settings, artwork=np.asarray(page, np.uint8))
    return made.hr, made.lr


def captures(run: Run, seeds: Sequence[int], marked: bool) -> dict[int, Pair]:
    """HR and LR of the card of each seed."""
    if not marked:
        return {seed: captures_of(BenchScene(seed=seed, size=run.size), run.cache) for seed in seeds}
    scenes = [BenchScene(seed=s, size=run.size, nuisance=MARKED_CARDS, scale=_MARKED_SCALE) for s in seeds]
    pages = pages_of([artwork_of(scene) for scene in scenes])
    pairs = run.each(marked_pair, list(zip(scenes, pages, strict=True)), told=lambda _: "photographed")
    return dict(zip(seeds, pairs, strict=True))


def frames_of(cards: Mapping[int, Pair], distractors: Mapping[int, Pair]) -> list[Shot]:
    """All shots, in the order of shooting."""
    shots: list[Shot] = []
    for number, (seed, pair) in enumerate(cards.items()):
        hr, lr = as_shots(seed, pair, minute=4 * number)
        shots += [hr, lr]
        shots += [blurred(hr, _HR_BLUR_PX)] if number % 4 == 0 else []
        shots += [blurred(lr, _LR_BLUR_PX)] if number % 4 == 2 else []
        shots += [hr._replace(what="hr copied")] if number % 6 == 0 else []
    others = [as_shots(seed, pair, minute=4 * len(cards))[1] for seed, pair in distractors.items()]
    return shots + [shot._replace(what="lr alone") for shot in others]


def shuffled(shots: Sequence[Shot], folder: Path, seed: int, *, bare: bool = False) -> dict[str, str]:
    """Write the frames under names in no order, ``bare`` ones without EXIF data; returns what each name is."""
    names = [f"{101 + n // 40}MEDIA/DSC{n:05d}.JPG" for n in range(len(shots))]
    random.Random(seed).shuffle(names)
    for name, shot in zip(names, shots, strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_jpeg(shot, bare=bare))
    return {name: shot.name for name, shot in zip(names, shots, strict=True)}


def verdicts(result: Ingested, truth: dict[str, str], card: Path) -> list[Row]:
    """A row for each scene that was made: what its HR and LR truly are, and whether they belong together."""
    what = [truth[frame.path.relative_to(card).as_posix()] for frame in result.frames]
    rows: list[Row] = []
    for scene in result.plan.scenes:
        hr, lr = what[scene.hr].replace(" copied", ""), what[scene.lr]
        together = hr[:4] == lr[:4] and hr[5:7] == "hr" and lr[5:7] == "lr"
        sharp = "blurred" not in hr + lr
        verdict = "wrong" if not together else "right" if sharp else "blurred"
        rows.append({"scene": scene.scene, "hr": hr, "lr": lr, "scale": scene.scale, "verdict": verdict})
    return rows


def summary(rows: Sequence[Row], result: Ingested, truth: dict[str, str], seconds: float, marked: bool) -> Row:
    """One row about the whole shoot."""
    found = [row["verdict"] for row in rows]
    cards = len({name[:4] for name in truth.values() if name.endswith(" hr")})
    roles = {row["frame"]: row["role"] for row in result.rows}
    spare = [roles[name] for name, what in truth.items() if what.endswith("blurred")]
    alone = [roles[name] for name, what in truth.items() if what.endswith("alone")]
    return {
        "cards": "with marks" if marked else "without marks",
        "files": len(truth),
        "scenes": cards,
        "right": found.count("right"),
        "wrong": found.count("wrong"),
        "blurred": found.count("blurred"),
        "blurred shots set aside": f"{sum(role.startswith('spare') for role in spare)} of {len(spare)}",
        "distractors left out": f"{sum(role not in ('hr', 'lr') for role in alone)} of {len(alone)}",
        "in doubt": list(roles.values()).count("doubtful"),
        "seconds": round(seconds, 1),
    }


@program(__doc__)
@over_scenes(
    with_seeds("100..129"),
    with_size("mini"),
    with_cache,
    with_jobs,
    click.option("--marked", is_flag=True, help="Cards with printed marks."),
    click.option("--bare", is_flag=True, help="Frames without EXIF data, so without times and focal lengths."),
    with_small("Three seeds", seeds="100..102"),
)
def main(run: Run, marked: bool, bare: bool) -> None:
    distractors = DISTRACTORS[: len(run.wanted)]
    pairs = captures(run, [*run.wanted, *distractors], marked)  # of one set, so that no two cards have one mark
    shots = frames_of({seed: pairs[seed] for seed in run.wanted}, {seed: pairs[seed] for seed in distractors})
    with tempfile.TemporaryDirectory() as folder:
        card = Path(folder, "DCIM")
        truth = shuffled(shots, card, run.wanted.start, bare=bare)
        start, cpu = time.perf_counter(), time.process_time()
        result = ingest(card, Path(folder, "raw"), jobs=run.jobs)
        seconds = time.perf_counter() - start
    rows, scale = verdicts(result, truth, card), _MARKED_SCALE if marked else 8
    table = summary(rows, result, truth, seconds, marked) | {"CPU seconds": round(time.process_time() - cpu, 1)}
    exif = ", without EXIF data" * bare
    run.store(f"Scenes of a shuffled shoot, {run.about}, x{scale}{exif}.\n\n{text_table([table])}", rows)


if __name__ == "__main__":
    main()
