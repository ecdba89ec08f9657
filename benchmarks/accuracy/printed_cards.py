"""Do pairs lose what `d2crealsr cards` warns of? Cards printed at several resolutions, photographed and aligned at x8.

    python -m benchmarks.accuracy.printed_cards --seeds 100..104 --out benchmarks/results/printed-cards

Each seed is a card of 150 mm that is printed with a dot gain of 15 % at a resolution, or with all its detail, and
photographed by the simulator. warned: the scale up to which `d2crealsr cards` says that the pairs have detail (it says
the whole number below). detail_scale: the same as QA measures it on the published pair. sharpness: power of the
published HR beyond LR's Nyquist frequency, divided by that of the pair whose card has all its detail. With --size mini
the camera has frames of 1200 px, and a print of 60 dpi stands for one of 300 dpi before a camera with 6000 px; with
--size half, one of 150 dpi.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.program import Run, over_scenes, program, with_jobs, with_seeds, with_size, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.scenes import BenchScene
from d2crealsr import opencv
from d2crealsr.align import Alignment, align_pair
from d2crealsr.cards.carried import carried
from d2crealsr.imaging import photometry
from d2crealsr.simulate import shoot
from d2crealsr.simulate.card import draw_artwork
from d2crealsr.simulate.photographs import wheel_library
from d2crealsr.simulate.recipe import stream
from d2crealsr.simulate.resolution import at_resolution
from d2crealsr.simulate.session import CARD_MM
from d2crealsr.simulate.shoot import card_size, session_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.types import Image

SHARES = (0.134, 0.268, 0.537, 1.0)
"""Resolutions of the print, as shares of what HR samples: 150, 300 and 600 dpi before 6000 px, and as much as that."""


def measure(task: tuple[int, float | None], size: str) -> Row:
    """One card at one resolution; None is the card with all its detail."""
    seed, share = task
    scene = BenchScene(seed=seed, size=size)  # type: ignore[arg-type]
    session = session_for(scene.recipe, scene.settings)
    whole, library, recipe = card_size(session), wheel_library(), scene.recipe
    photographs = [library.read(name) for name in recipe.source]
    artwork = draw_artwork(
        recipe.generator, whole, whole.width / CARD_MM[0], photographs, stream("card", recipe.texture_seed)
    )
    hr_width = max(session.size)
    hr_ppi = carried(width_mm=CARD_MM[0], hr_width_px=hr_width, scale=8, detail_ppi=1).hr_ppi
    row: Row = {"seed": seed, "kind": recipe.generator, "dpi": "all" if share is None else f"{share * hr_ppi:.0f}"}
    if share is not None:
        artwork = at_resolution(artwork, CARD_MM[0], share * hr_ppi)
        row["warned"] = carried(width_mm=CARD_MM[0], hr_width_px=hr_width, scale=8, detail_ppi=share * hr_ppi).scale
    made = shoot(recipe, scene.settings, session=session, artwork=artwork)
    found = align_pair(made.hr, made.lr, scale=8)
    if not isinstance(found, Alignment) or found.hr is None:
        return row | {"status": "not published"}
    row |= {"status": "accepted" if found.accepted else ";".join(found.reasons)}
    return row | {"detail_scale": found.statistics["detail_scale"], "power": _beyond_lr(found.hr)}


def _beyond_lr(hr: Image) -> float:
    """Power of the detail that LR cannot show at x8: the variance that is left over a Gaussian of half an LR pixel."""
    luma = photometry.encoded_luma(hr)
    return float(np.var(luma - opencv.blur(luma, 4.0)))


def summarise(rows: Sequence[Row]) -> list[Row]:
    """A row for each resolution, over the scenes that were published at all of them."""
    best = {row["seed"]: row["power"] for row in rows if row["dpi"] == "all" and "power" in row}
    table = []
    for dpi in dict.fromkeys(row["dpi"] for row in rows):
        of = [row for row in rows if row["dpi"] == dpi]
        measured = [row for row in of if "power" in row and row["seed"] in best]
        line: Row = {"dpi": dpi, "cards": len(of), "accepted": sum(row["status"] == "accepted" for row in of)}
        line["warned"] = of[0].get("warned", float("nan"))
        if measured:
            line["detail_scale"] = float(np.median([row["detail_scale"] for row in measured]))
            line["from"], line["to"] = (f([row["detail_scale"] for row in measured]) for f in (min, max))
            line["sharpness"] = float(np.median([row["power"] / best[row["seed"]] for row in measured]))
        table.append(line)
    return table


def _told(row: Row) -> str:
    return f"{row['seed']} {row['kind']} {row['dpi']} dpi: {row['status']} {row.get('detail_scale', float('nan')):.2f}"


@program(__doc__)
@over_scenes(
    with_seeds("100..104"), with_size("half"), with_jobs, with_small("One scene, mini", seeds="0", size="mini")
)
def main(run: Run) -> None:
    tasks = [(seed, share) for share in (*SHARES, None) for seed in run.wanted]
    rows = run.each(partial(measure, size=run.size), tasks, told=_told)
    parts = [f"{run.about}, x8", text_table(summarise(rows)), text_table(rows)]
    run.store("\n\n".join(parts), rows)


if __name__ == "__main__":
    main()
