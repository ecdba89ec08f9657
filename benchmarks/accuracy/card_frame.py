"""Does the crop end inside the printed picture, and does a picture that fills the crop keep it whole?

    python -m benchmarks.accuracy.card_frame --seeds 100..119 --jobs 2 --out benchmarks/results/card-frame

Each seed is a card of each kind at x8 (benchmarks.framed_cards.KINDS says what the kinds are). free: cards whose
published crop has no place more than .5 LR px beyond the picture or under a finger, by the true camera; its share is
given with the exact interval of Clopper and Pearson at 95 %. default: the same for the crop that would be published
without the search for the frame. beyond: the farthest such place, in LR px. default % and foreign %: the mean share of
the default crop and of the published crop that is not the picture. kept: the median area of the crop, divided by that
of the largest rectangle of the picture alone within the default crop; least: the smallest. needless: cards whose
default crop was free, and which lost any of it. small: cards whose crop is below the smallest that is published. ms:
median milliseconds for the search on one thread; the last line has those for LR captures of 24 megapixels, enlarged
from the first cards.

The true mapping is used, so that nothing is registered. max: the whole HR frame is asked for, instead of the default
crop. Every card of a seed has its HR, which the search looks at as ``align`` does.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import click
import numpy as np

from benchmarks.framed_cards import KINDS, FramedCard
from benchmarks.intervals import of_share
from benchmarks.program import Run, over_scenes, program, with_jobs, with_seeds, with_size, with_small
from benchmarks.result_tables import Row, text_table
from d2crealsr import opencv
from d2crealsr.imaging import geometry
from d2crealsr.imaging.card_frame import within_picture
from d2crealsr.imaging.crop import MIN_SIDE, choose_crop
from d2crealsr.imaging.degrade import reduced
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.settings import CropRequest
    from d2crealsr.types import Image

_SCALE = 8
_TOLERANCE_LR_PX = 0.5
_WHOLE_FRAME = ("white-border", "desk", "printed-desk")
"""Kinds for which the whole HR frame is asked for too."""

_LARGE = 6000
_TIMED = 2


def measure(seed: int, run: Run, kinds: Sequence[str]) -> list[Row]:
    """The crops of the cards of one seed."""
    rows = []
    for kind in kinds:
        card = FramedCard(kind=kind, seed=seed, size=run.size)
        lr, hr = card.lr, reduced(card.hr, _SCALE, "srgb")
        rows += [_cropped(card, lr, hr, "default")]
        rows += [_cropped(card, lr, hr, "max")] if kind in _WHOLE_FRAME else []
    return rows


def _cropped(card: FramedCard, lr: Image, hr: LinearReduced, request: CropRequest) -> Row:
    """The crop of a card that is published where one is asked for."""
    wanted = choose_crop(card.true_mapping, _SCALE, request)
    start = time.process_time()
    crop = within_picture(lr, wanted, card.true_mapping, hr)
    name = card.kind if request == "default" else f"{card.kind}, {request}"
    row: Row = {"class": name, "seed": card.seed, "kind": card.scene.kind, "ms": _ms_since(start)}
    row["default_beyond"], row["default_foreign"] = card.beyond_picture(wanted)
    row["beyond"], row["foreign"] = card.beyond_picture(crop)
    row["crop"] = "{2}x{3}+{0}+{1}".format(*crop)
    row["kept"] = crop.width * crop.height / card.best_area(wanted)
    row["small"], row["lost"] = crop.side < MIN_SIDE, crop != wanted
    return row


def _ms_since(start: float) -> float:
    return 1000 * (time.process_time() - start)


def is_free(row: Row, of: str = "beyond") -> bool:
    """Whether a crop shows the picture only."""
    return bool(row[of] <= _TOLERANCE_LR_PX)


def is_needless(row: Row) -> bool:
    """Whether a crop was made smaller that could have been published as it was."""
    return bool(row["lost"] and row["default_beyond"] <= 0)


def summarise(rows: Sequence[Row]) -> list[Row]:
    """A row for each class."""
    table = []
    for name in dict.fromkeys(row["class"] for row in rows):
        of = [row for row in rows if row["class"] == name]
        free = sum(map(is_free, of))
        low, high = of_share(free, len(of))
        line: Row = {"class": name, "cards": len(of), "default": sum(is_free(row, "default_beyond") for row in of)}
        line |= {"free": free, "share": free / len(of), "from": low, "to": high}
        line["beyond"] = max((row["beyond"] for row in of if not is_free(row)), default=float("nan"))
        for column, cell in (("default %", "default_foreign"), ("foreign %", "foreign")):
            line[column] = 100 * float(np.mean([row[cell] for row in of]))
        kept = [row["kept"] for row in of]
        line |= {"kept": float(np.median(kept)), "least": min(kept), "needless": sum(map(is_needless, of))}
        line["small"] = sum(row["small"] for row in of)
        table.append(line | {"ms": float(np.median([row["ms"] for row in of]))})
    return table


def seconds_at_24_mp(seeds: Sequence[int]) -> float:
    """Median seconds for the search in LR captures of 24 megapixels."""
    times = []
    for seed in seeds[:_TIMED]:
        for kind in ("plain", "white-border"):
            card = FramedCard(kind=kind, seed=seed)
            lr, mapping = _enlarged(card.lr, card.true_mapping)
            crop = choose_crop(mapping, _SCALE, "default")
            start = time.process_time()
            within_picture(lr, crop, mapping)
            times.append(_ms_since(start) / 1000)
    return float(np.median(times))


def _enlarged(lr: Image, mapping: CaptureMapping) -> tuple[Image, CaptureMapping]:
    """Both captures with as many pixels as a camera of 24 megapixels has."""
    grow = _LARGE / mapping.lr_size.width
    size = Size(_LARGE, round(mapping.lr_size.height * grow))
    H = geometry.compose(geometry.scaling(grow), mapping.H_hr_to_lr, geometry.inverse(geometry.scaling(grow)))
    return opencv.as_image(opencv.resize(lr, size, "cubic")), CaptureMapping(H_hr_to_lr=H, hr_size=size, lr_size=size)


def _told(rows: list[Row]) -> str:
    return f"seed {rows[0]['seed']}, {rows[0]['kind']}: {sum(map(is_free, rows))} of {len(rows)} free"


@program(__doc__)
@over_scenes(with_seeds("100..119"), with_size("mini"), with_jobs, with_small("Two seeds", seeds="100..101"))
@click.option("--kind", "kinds", type=click.Choice(list(KINDS)), multiple=True, help="Only cards of this kind; repeat.")
def main(run: Run, kinds: tuple[str, ...]) -> None:
    cards = run.each(partial(measure, run=run, kinds=kinds or tuple(KINDS)), run.wanted, told=_told)
    rows = [row for of_kind in zip(*cards, strict=True) for row in of_kind]
    failing = [row for row in rows if not is_free(row) or is_needless(row)]
    columns = ("class", "seed", "kind", "crop", "beyond", "kept")
    timed = f"24 megapixels: {seconds_at_24_mp(run.wanted):.3f} s of one thread for each scene"
    parts = [f"{run.about}, x8", text_table(summarise(rows)), timed]
    run.store("\n\n".join([*parts, "Not free, or smaller without need", text_table(failing, columns)]), rows)


if __name__ == "__main__":
    main()
