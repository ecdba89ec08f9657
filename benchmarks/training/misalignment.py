"""When does alignment stop mattering? PSNR against the misalignment of training pairs and of test pairs.

    python -m benchmarks.training.misalignment --work WORK --photos PHOTOS

At ×8 the pairs are simulated postcards; at ×2, where such photographs of prints are too soft (`hr_not_sharper`), they
are of the five kinds of card. HR is warped once by the true mapping and a shift, also where the shift is 0. Three
causes are kept apart: each training pair is shifted in a direction of its own (evenly spaced, so that their mean is
zero); all training pairs are shifted in one direction; the test pairs are shifted, each in a direction of its own, and
the training pairs are not. What is trained is the best linear filter of 9×9 LR px from LR to HR, which least squares
determine exactly, so that no seed and no number of steps matters. A deep network is sharper than this filter and loses
more to a shift: the figures are lower limits of its loss.

Losses are of PSNR-Y, in dB, relative to shifts of 0. ``without_shift`` is what remains of the loss after one shift of
the whole output has been undone: its opposite, as known from the experiment. The half-widths are those of 95 %
intervals over the test pairs.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import click
import numpy as np
from scipy import stats

from benchmarks.program import PATH, print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.training.least_squares import filtered, fitted, luma
from benchmarks.training.training_sets import TEST, simulated
from d2crealsr.imaging import geometry
from d2crealsr.imaging.crop import cut
from d2crealsr.imaging.estimate import Estimate, mapping_from_row
from d2crealsr.imaging.warp import warp_hr
from d2crealsr.store import read_image
from d2crealsr.store.pairs import read_manifest
from d2crealsr.store.tables import records
from d2crealsr.store.truth import read_truth
from d2crealsr.truth.shift import fourier_shift
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from d2crealsr.simulate.folder import RecipeName
    from d2crealsr.types import Image

    Plane: TypeAlias = NDArray[np.float32]

Cause: TypeAlias = Literal["random", "constant", "test"]

SEED = 902
"""Seed of the simulated scenes; it is in neither range of seeds.py, as nothing is chosen on them."""

SHIFTS = {8: (0.25, 0.5, 1.0, 2.0, 4.0, 8.0), 2: (0.125, 0.25, 0.5, 1.0, 2.0)}
"""Shifts in HR px, by scale."""

RECIPES: dict[int, RecipeName | None] = {8: "postcards", 2: None}
"""What the cards show, by scale."""

CAUSES: dict[Cause, str] = {
    "random": "training pairs, each in its own direction",
    "constant": "all training pairs in one direction",
    "test": "test pairs, each in its own direction",
}
_CONSTANT_DIRECTION = math.radians(30)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One scene: its captures, where HR lies in LR by the truth, and the published LR."""

    hr: Image
    estimate: Estimate
    lr: Plane

    def warped(self, shift: tuple[float, float] = (0.0, 0.0)) -> Plane:
        """Luma of HR on the grid of LR, with its content moved by ``shift`` in published HR px."""
        placement = self.estimate.placement
        moved = geometry.translation(shift[0] / placement.scale, shift[1] / placement.scale)
        H = geometry.compose(moved, placement.mapping.H_hr_to_lr)
        mapping = dataclasses.replace(placement.mapping, H_hr_to_lr=H)
        placed = dataclasses.replace(placement, mapping=mapping)
        return luma(warp_hr(self.hr, dataclasses.replace(self.estimate, placement=placed)))


def scenes_of(pairs: Path, raw: Path, split: str) -> list[Scene]:
    """The scenes of a split, in the order of their names. Light and crop are those of the alignment."""
    truth, found = read_truth(raw / "truth.csv"), []
    for row in records(read_manifest(pairs)):
        if row["status"] != "accepted" or row["split"] != split:
            continue
        hr, lr = (read_image(raw / kind / f"{row['scene']}.jpg") for kind in ("hr", "lr"))
        estimate = Estimate.from_row(row, Size.of(hr), Size.of(lr))
        mapping = mapping_from_row(truth.loc[row["scene"]].to_dict(), Size.of(hr), Size.of(lr))
        assert estimate is not None
        assert mapping is not None
        placement = dataclasses.replace(estimate.placement, mapping=mapping)
        published = luma(cut(lr, placement.crop))
        found.append(Scene(hr=hr, estimate=dataclasses.replace(estimate, placement=placement), lr=published))
    return found


def shifts_of(cause: Cause, length: float, count: int) -> list[tuple[float, float]]:
    """The shift of each of ``count`` pairs in HR px; in their own directions they add up to zero."""
    angles = [_CONSTANT_DIRECTION] * count if cause == "constant" else [2 * math.pi * k / count for k in range(count)]
    return [(length * math.cos(angle), length * math.sin(angle)) for angle in angles]


def psnr(image: NDArray[np.floating], hr: Plane, border: int) -> float:
    """PSNR-Y in dB without a border."""
    inner = (slice(border, -border), slice(border, -border))
    return float(10 * np.log10(255**2 / ((image - hr)[inner] ** 2).mean()))


def losses(
    train: Sequence[Scene], test: Sequence[Scene], scale: int, cause: Cause, length: float, exact: NDArray[np.float64]
) -> tuple[list[float], list[float]]:
    """PSNR lost by each test pair, and what of it remains without the shift.

    Parameters
    ----------
    exact : ndarray
        The filters of training pairs that are not shifted.
    """
    border = scale + int(max(SHIFTS[scale]))
    filters = exact
    if cause != "test":
        moved = shifts_of(cause, length, len(train))
        filters = fitted(((s.lr, s.warped(by)) for s, by in zip(train, moved, strict=True)), scale)
    lost, left = [], []
    for scene, by in zip(test, shifts_of(cause, length, len(test)), strict=True):
        target = scene.warped(by) if cause == "test" else scene.warped()
        start = psnr(filtered(scene.lr, exact, scale), scene.warped(), border)
        output = filtered(scene.lr, filters, scale)
        lost.append(start - psnr(output, target, border))
        undone = {"random": (0.0, 0.0), "constant": (-by[0], -by[1]), "test": by}[cause]
        left.append(start - psnr(fourier_shift(np.asarray(output, np.float32), undone), target, border))
    return lost, left


def row_of(scale: int, cause: Cause, length: float, lost: Sequence[float], left: Sequence[float]) -> Row:
    """One line of the table."""
    half = float(stats.t.ppf(0.975, len(lost) - 1) * np.std(lost, ddof=1) / math.sqrt(len(lost)))
    return {
        "scale": scale,
        "cards": RECIPES[scale] or "five kinds",
        "shifted": CAUSES[cause],
        "hr_px": length,
        "lr_px": length / scale,
        "loss_db": float(np.mean(lost)),
        "half_width_db": half,
        "without_shift_db": float(np.mean(left)),
        "test_pairs": len(lost),
    }


@program(__doc__)
@click.option("--work", type=PATH, required=True, help="Holds the captures and the pairs.")
@click.option("--photos", type=PATH, help="Folder of photographs to print.  [default: those in scikit-image]")
@click.option("--scale", "scales", type=click.Choice(list(SHIFTS)), multiple=True, default=list(SHIFTS))
@click.option("--scenes", type=click.IntRange(6), default=45, show_default=True, help="Simulated scenes.")
@with_small("Six scenes at one scale", scenes=6, scales=[8])
@with_out
def main(work: Path, photos: Path | None, scales: tuple[int, ...], scenes: int, out: Path | None) -> None:
    rows: list[Row] = []
    for scale in scales:
        where = work / f"x{scale}-{scenes}"
        test = max(2, scenes // TEST)
        recipe = RECIPES[scale]
        made = simulated(
            where, scale=scale, size="mini", scenes=scenes, seed=SEED, test=test, photos=photos, recipe=recipe
        )
        train, tested = (scenes_of(made.folder, where / "raw", split) for split in ("train", "test"))
        exact = fitted(((scene.lr, scene.warped()) for scene in train), scale)
        for cause in CAUSES:
            for length in SHIFTS[scale]:
                rows.append(row_of(scale, cause, length, *losses(train, tested, scale, cause, length, exact)))
                click.echo(text_table(rows[-1:]), err=True)
    said = (
        "PSNR-Y lost to shifts, by the best linear filter of 9x9 LR px\n"
        "half_width_db: of the 95 % interval over the test pairs\n"
        "without_shift_db: loss that remains after the output has been shifted back as a whole"
    )
    print_and_store(f"{said}\n\n{text_table(rows)}", out, {"": rows})


if __name__ == "__main__":
    main()
