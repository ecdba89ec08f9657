"""The pairs of `builtin:x8`: simulated postcards whose photographs are dealt to the parts before any card is made."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.asked import REMEDY
from benchmarks.training.training_sets import simulated
from d2c.data.layouts import find_pairs
from d2crealsr.errors import UsageError
from d2crealsr.store.files import write_text
from d2crealsr.store.pairs import read_manifest
from d2crealsr.store.tables import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from d2c.data.layouts import Pair

__all__ = ["KEPT_FOR_THE_DEMO", "PARTS", "SCALE", "kept_pairs", "make", "pairs_of", "training_data"]

SCALE = 8
SEED = 2601
"""Seed of the order in which the photographs are dealt to the parts."""
KEPT_FOR_THE_DEMO = "table"
"""Group of photographs in scikit-image's wheel on which `d2crealsr demo` tests. Its cards are not trained on."""


class Part(NamedTuple):
    """A part of the data: how many photographs it gets, and how many captures of them are simulated with which seed."""

    photographs: int
    scenes: int
    seed: int


PARTS = {
    "train": Part(40, 80, 2611),
    "validation": Part(8, 12, 2612),
    "wheel": Part(14, 24, 2614),
    "test": Part(12, 18, 2613),
}
"""``wheel``: photographs in scikit-image's wheel. All others are those of the user's folder."""


def make(work: Path, photos: Path, said: Callable[[str], None], scenes: int | None = None) -> None:
    """Simulate and align the captures of all parts. A part that is there already is kept.

    The photographs are counted and dealt before anything is simulated.

    Parameters
    ----------
    scenes : int, optional
        Simulate only so many captures of each part.

    Raises
    ------
    UsageError
        When the photographs are too few, or the parts in ``work`` have others, or other captures.
    """
    for name, folder in _dealt(photos, work).items():
        part = PARTS[name]
        made = simulated(
            work / name,
            scale=SCALE,
            size="mini",
            scenes=scenes or part.scenes,
            seed=part.seed,
            test=0,
            photos=folder,
            recipe="postcards",
        )
        said(f"{name}: {len(find_pairs(made.folder))} pairs of {made.doc}")


def _dealt(photos: Path, work: Path) -> dict[str, Path | None]:
    """The folder of the photographs of each part; None for those of the wheel."""
    parts = {name: part for name, part in PARTS.items() if name != "wheel"}
    files, needed = sorted(photos.glob("*.jpg")), sum(part.photographs for part in parts.values())
    if len(files) < needed:
        raise UsageError(f"--photos: {photos} has {len(files)} photographs (*.jpg), expected at least {needed}")
    order = iter([files[i] for i in np.random.default_rng(SEED).permutation(len(files))])
    deal = {work / "photos" / name: [next(order) for _ in range(part.photographs)] for name, part in parts.items()}
    for folder, own in deal.items():
        _check_same(folder, own, photos)
    for folder, own in deal.items():
        folder.mkdir(parents=True, exist_ok=True)
        for file in own:
            shutil.copyfile(file, folder / file.name)
    return {name: work / "photos" / name if name in parts else None for name in PARTS}


def _check_same(folder: Path, own: Sequence[Path], photos: Path) -> None:
    """Refuse a part that has photographs which are not dealt to it, since more or others were there at that time."""
    dealt = {(path.name, path.stat().st_size) for path in own}
    others = [path.name for path in sorted(folder.glob("*")) if (path.name, path.stat().st_size) not in dealt]
    if others:
        raise UsageError(
            f"{folder}: was made with other photographs than {photos} has now ({others[0]} does not belong to this "
            f"part); {REMEDY}"
        )


def training_data(work: Path, collages: bool = True) -> list[Path]:
    """What `d2c train` gets: lists of the training part and of the wheel's pairs without those kept for the demo.

    The photographs of collages have white rims, which a network learns to draw. Lists can do without them.
    """
    lists = []
    for part in ("train", "wheel"):
        folder = work / part
        header, rows = read_rows(folder / "raw" / "manifest.csv")
        scene, layout = header.index("scene"), header.index("generator")
        wanted = {row[scene] for row in rows if collages or row[layout] != "photos"}
        manifest = read_manifest(folder / "pairs")
        use = manifest[(manifest["status"] == "accepted") & (manifest["group"] != KEPT_FOR_THE_DEMO)]
        use = use[use["scene"].isin(wanted)]
        lines = [f"pairs/{lr}\tpairs/{hr}\n" for lr, hr in zip(use["lr_path"], use["hr_path"], strict=True)]
        lists.append(folder / ("train.txt" if collages else "without-collages.txt"))
        write_text(lists[-1], "".join(lines))
    return lists


def pairs_of(data: Path) -> list[Pair]:
    """All pairs of a folder or list."""
    return find_pairs(data, scale=SCALE)


def kept_pairs(work: Path) -> list[Pair]:
    """The wheel's pairs that are kept for the demo."""
    return [pair for pair in pairs_of(work / "wheel" / "pairs") if pair.group == KEPT_FOR_THE_DEMO]
