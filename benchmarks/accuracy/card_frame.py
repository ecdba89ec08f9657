"""Does the crop end inside the printed picture, where white borders and the desk begin within the default crop?

    python -m benchmarks.accuracy.card_frame --seeds 100..119 --out benchmarks/results/card-frame
    python -m benchmarks.accuracy.card_frame --seeds 100..109 --size half --out benchmarks/results/card-frame-half

Each seed is a card at x8. white-border: a small card with a white border; desk-in-crop: the card fills half of the HR
frame; plain: the card is larger than the HR frame. inside: cards whose whole published crop lies within the picture, by
the true camera; its share is given with the exact interval of Clopper and Pearson at 95 %. default: the same for the
crop that would be published without the search for the frame. beyond: the largest distance from the picture at which
the crop ends, in LR px. default % and outside %: the mean share of the default crop and of the published crop that is
border or desk. area: the median area of the crop, divided by that of the default crop. Cards that are not registered,
or whose crop is too small to be published, are not counted as inside.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.accuracy.small_and_turned import interval
from benchmarks.program import Run, over_scenes, program, with_cache, with_jobs, with_seeds, with_size, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.scenes import PLAIN, BenchScene, captures_of
from d2crealsr.align import Alignment, align_pair
from d2crealsr.imaging.crop import MIN_SIDE
from d2crealsr.simulate.camera import cast_rays

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.types import Crop

CLASSES = (PLAIN, "white-border", "desk-in-crop")


def against_picture(scene: BenchScene, crop: Crop) -> tuple[float, float]:
    """How far a crop reaches beyond the picture on the card, in LR px (0 or less: not), and its share outside."""
    session = scene.truth.session
    xs = np.linspace(crop.x - 0.5, crop.x + crop.width - 0.5, 2 * crop.width + 1)
    ys = np.linspace(crop.y - 0.5, crop.y + crop.height - 0.5, 2 * crop.height + 1)
    half = np.array(session.card_mm) / 2 - session.border * max(session.card_mm)
    beyond = np.max(
        [np.abs(at) - most for at, most in zip(cast_rays(session.cameras[1], xs, ys), half, strict=True)], 0
    )
    return float(beyond.max()) / (session.hr_px_mm * session.zoom), float((beyond > 0).mean())


def measure(task: tuple[int, str], run: Run) -> Row:
    """The crop of one card."""
    seed, nuisance = task
    scene = BenchScene(seed=seed, size=run.size, nuisance=nuisance)
    row: Row = {"class": nuisance, "seed": seed, "kind": scene.kind}
    row["default_beyond"], row["default_outside"] = against_picture(scene, scene.true_crop)
    found = align_pair(*captures_of(scene, run.cache), scale=scene.scale)
    if not isinstance(found, Alignment):
        return row | {"status": found.reason}
    crop, whole = found.crop, scene.true_crop
    row |= {
        "status": "accepted" if found.accepted else ";".join(found.reasons),
        "crop": "{}x{}+{}+{}".format(*_of(crop)),
    }
    if crop.side < MIN_SIDE:
        return row
    beyond, outside = against_picture(scene, crop)
    area = crop.width * crop.height / (whole.width * whole.height)
    return row | {"beyond": beyond, "outside": outside, "area": area}


def _of(crop: Crop) -> tuple[int, int, int, int]:
    return crop.width, crop.height, crop.x, crop.y


def is_inside(row: Row) -> bool:
    """Whether the crop ends inside the picture."""
    return bool(row.get("beyond", np.inf) <= 0)


def summarise(rows: Sequence[Row]) -> list[Row]:
    """A row for each class."""
    table = []
    for name in dict.fromkeys(row["class"] for row in rows):
        of = [row for row in rows if row["class"] == name]
        inside = sum(map(is_inside, of))
        low, high = interval(inside, len(of))
        line: Row = {"class": name, "cards": len(of), "default": sum(row["default_beyond"] <= 0 for row in of)}
        line |= {"inside": inside, "share": inside / len(of), "from": low, "to": high}
        line["beyond"] = max((row["beyond"] for row in of if row.get("beyond", 0) > 0), default=float("nan"))
        line["default %"], line["outside %"] = (
            100 * float(np.mean([row[name] for row in of if name in row])) for name in ("default_outside", "outside")
        )
        line["area"] = float(np.median([row["area"] for row in of if "area" in row] or [np.nan]))
        table.append(line | {"accepted": sum(row["status"] == "accepted" for row in of)})
    return table


def _told(row: Row) -> str:
    return f"{row['class']} {row['seed']} {row['kind']}: {row['status']}, beyond {row.get('beyond', np.nan):.2f} px"


@program(__doc__)
@over_scenes(
    with_seeds("100..119"), with_size("mini"), with_cache, with_jobs, with_small("Two seeds", seeds="100..101")
)
def main(run: Run) -> None:
    tasks = [(seed, name) for name in CLASSES for seed in run.wanted]
    rows = run.each(partial(measure, run=run), tasks, told=_told)
    failing = [row for row in rows if not is_inside(row)]
    columns = ("class", "seed", "kind", "status", "crop", "beyond")
    parts = [f"{run.about}, x8", text_table(summarise(rows)), "Not inside", text_table(failing, columns)]
    run.store("\n\n".join(parts), rows)


if __name__ == "__main__":
    main()
