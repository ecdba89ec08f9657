"""Simulated scenes published by their true mapping and a shift: the pairs of the experiments on misalignment."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import click
import numpy as np

from benchmarks.program import FOLDER, PATH
from benchmarks.training.least_squares import luma
from benchmarks.training.training_sets import TEST, simulated
from d2crealsr.imaging import geometry
from d2crealsr.imaging.crop import cut
from d2crealsr.imaging.estimate import Estimate, mapping_from_row
from d2crealsr.imaging.warp import warp_hr
from d2crealsr.store import read_image
from d2crealsr.store.pairs import read_manifest
from d2crealsr.store.tables import records
from d2crealsr.store.truth import read_truth
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from d2crealsr.simulate.folder import RecipeName
    from d2crealsr.types import Image

    Plane: TypeAlias = NDArray[np.float32]

__all__ = ["CAUSES", "RECIPES", "Cause", "Scene", "scenes_at", "shifts_of", "with_scenes"]

Cause: TypeAlias = Literal["random", "constant", "turned", "test"]

CAUSES: dict[Cause, str] = {
    "random": "training pairs, each in its own direction",
    "constant": "all training pairs in one direction",
    "turned": "one direction, trained on flips and turns",
    "test": "test pairs, each in its own direction",
}

RECIPES: dict[int, RecipeName | None] = {8: "postcards", 2: None}
"""What the cards show, by scale."""

SEED = 902
"""Seed of the simulated scenes; it is in neither range of seeds.py, as nothing is chosen on them."""

_CONSTANT_DIRECTION = math.radians(30)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One scene: its HR capture, where HR lies in LR by the truth, and the published LR."""

    name: str
    hr: Image
    estimate: Estimate
    lr: Image

    def published(self, shift: tuple[float, float] = (0.0, 0.0)) -> Image:
        """HR on the grid of LR, with its content moved by ``shift`` in published HR px."""
        placement = self.estimate.placement
        moved = geometry.translation(shift[0] / placement.scale, shift[1] / placement.scale)
        H = geometry.compose(moved, placement.mapping.H_hr_to_lr)
        mapping = dataclasses.replace(placement.mapping, H_hr_to_lr=H)
        placed = dataclasses.replace(placement, mapping=mapping)
        return warp_hr(self.hr, dataclasses.replace(self.estimate, placement=placed))

    def warped(self, shift: tuple[float, float] = (0.0, 0.0)) -> Plane:
        """Luma of :meth:`published`."""
        return luma(self.published(shift))

    @property
    def lr_luma(self) -> Plane:
        """Luma of LR."""
        return luma(self.lr)


def with_scenes(fewest: int) -> Callable[[Any], Any]:
    """The options of a program for :func:`scenes_at`: ``--work``, ``--photos`` and ``--scenes``."""

    photos = "Folder of photographs to print.  [default: those in scikit-image]"
    options = (
        click.option("--scenes", type=click.IntRange(fewest), default=45, show_default=True, help="Simulated scenes."),
        click.option("--photos", type=FOLDER, help=photos),
        click.option("--work", type=PATH, required=True, help="Holds the captures, the pairs and the runs."),
    )

    def add(program: Any) -> Any:
        for option in options:
            program = option(program)
        return program

    return add


def scenes_at(scale: int, work: Path, scenes: int, photos: Path | None) -> tuple[list[Scene], list[Scene]]:
    """The training scenes and the test scenes at a scale, simulated and aligned in ``work`` where that is not done."""
    where = work / f"x{scale}-{scenes}"
    made = simulated(
        where,
        scale=scale,
        size="mini",
        scenes=scenes,
        seed=SEED,
        test=max(2, scenes // TEST),
        photos=photos,
        recipe=RECIPES[scale],
    )
    return _scenes_of(made.folder, where / "raw", "train"), _scenes_of(made.folder, where / "raw", "test")


def _scenes_of(pairs: Path, raw: Path, split: str) -> list[Scene]:
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
        placed = dataclasses.replace(estimate, placement=placement)
        found.append(Scene(name=row["scene"], hr=hr, estimate=placed, lr=cut(lr, placement.crop)))
    return found


def shifts_of(cause: Cause, length: float, count: int) -> list[tuple[float, float]]:
    """The shift of each of ``count`` pairs in HR px; in their own directions they add up to zero."""
    one = cause in ("constant", "turned")
    angles = [_CONSTANT_DIRECTION] * count if one else [2 * math.pi * k / count for k in range(count)]
    return [(length * math.cos(angle), length * math.sin(angle)) for angle in angles]
