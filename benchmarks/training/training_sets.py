"""The pairs of the training benchmarks. They are made once, and the next run finds them in their folder.

Both sets have a test split. :func:`validation_pairs` are the training scenes that `d2c train` keeps for validation:
settings are chosen on these, and figures that are quoted come from the test split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.asked import REMEDY, check_asked, files_said, photographs_said
from benchmarks.result_tables import read_csv, write_csv
from d2c.data.hold_out import hold_out
from d2c.data.layouts import find_pairs, with_split
from d2crealsr.dataset.build import build
from d2crealsr.dataset.split import joined_groups, split
from d2crealsr.errors import UsageError
from d2crealsr.settings import AlignSettings
from d2crealsr.simulate import SimulateSettings, simulate
from d2crealsr.store import read_image, write_image
from d2crealsr.store.files import write_text
from d2crealsr.store.layouts import box_reduced, find_pair_folder, whole_part
from d2crealsr.store.pairs import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from d2c.data.layouts import Pair
    from d2crealsr.simulate.folder import RecipeName
    from d2crealsr.simulate.settings import SizeName

__all__ = ["TEST", "TrainingSet", "city100_x4", "simulated", "validation_pairs"]

TEST = 4
"""One of so many simulated scenes is kept for testing. Whole groups are kept, so it may be more."""
_CITY_SCALE = 4
_RECORD = "asked.json"
"""Beside the pairs: what they were made from."""


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """A pairs folder and how it came about, in words."""

    name: str
    folder: Path
    doc: str


def city100_x4(city100: Path, folder: Path, scenes: int | None = None) -> TrainingSet:
    """×4 pairs of City100: its HR image, and its LR image (aligned by City100's authors) reduced by 4.

    Parameters
    ----------
    city100 : Path
        ``001H.PNG, 001L.PNG, …``, HR and LR of equal size.
    folder : Path
        Where the pairs go.
    scenes : int, optional
        The first so many; by default all.

    Notes
    -----
    Reduced by the mean over 4×4 pixels, as a coarser sensor would see the optical image of the real LR capture; sizes
    are cut to multiples of 4. Every fourth scene from the third on is for testing.

    Raises
    ------
    UsageError
        When the folder has the pairs of other images.
    """
    found = find_pair_folder(city100).pairs[:scenes]
    if (folder / "manifest.csv").is_file() and not (folder / _RECORD).exists():
        _check_unrecorded(folder, _CITY_SCALE, len(found))
    else:
        images = files_said(path for pair in found for path in (pair.hr, pair.lr))
        check_asked(folder / _RECORD, {"scale": _CITY_SCALE, "scenes": len(found), "images": images})
    if not (folder / "manifest.csv").is_file():
        for kind in ("hr", "lr"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        rows = []
        for number, pair in enumerate(found):
            hr, lr = (whole_part(read_image(path), _CITY_SCALE) for path in (pair.hr, pair.lr))
            write_image(folder / f"hr/{pair.scene}.png", hr)
            write_image(folder / f"lr/{pair.scene}.png", box_reduced(lr, _CITY_SCALE))
            part = "test" if number % 4 == 2 else "train"
            known = {"scene": pair.scene, "status": "accepted", "split": part, "group": pair.scene}
            files = {"hr_path": f"hr/{pair.scene}.png", "lr_path": f"lr/{pair.scene}.png"}
            rows.append({**known, "scale": _CITY_SCALE, **files})
        write_csv(folder / "manifest.csv", rows)
    doc = "City100's pairs, LR reduced by 4 (mean of 4×4 px)"
    return TrainingSet(name="city100-x4", folder=folder, doc=doc)


def simulated(
    folder: Path,
    *,
    scale: int,
    size: SizeName,
    scenes: int,
    seed: int,
    test: int,
    photos: Path | None = None,
    recipe: RecipeName | None = None,
    jobs: int = 1,
) -> TrainingSet:
    """Pairs of simulated captures (defaults), aligned by `d2crealsr align` and split, all under ``folder``.

    The test split has ``test`` scenes or the next larger number that whole groups can give.

    Raises
    ------
    UsageError
        When the folder has the pairs of another request, or no test split of this size can be drawn.
    """
    pairs = folder / "pairs"
    if (folder / "done").is_file() and not (folder / _RECORD).exists():
        _check_unrecorded(pairs, scale, scenes)
    else:
        asked = {"scale": scale, "size": size, "scenes": scenes, "seed": seed, "test": test, "recipe": recipe}
        check_asked(folder / _RECORD, asked | {"photographs": photographs_said(photos)})
    if not (folder / "done").is_file():
        settings = SimulateSettings(size=size, scenes=scenes, seed=seed, scale=scale)
        simulate(folder / "raw", settings=settings, photos=photos, recipe=recipe, jobs=jobs)
        build(folder / "raw", pairs, settings=AlignSettings(scale=scale), jobs=jobs)
        split(pairs, test=_of_whole_groups(pairs, test), seed=seed)
        write_text(folder / "done", "simulated, aligned, split\n")
    doc = f"{scenes} simulated captures of {size} size (seed {seed}), aligned by d2crealsr"
    return TrainingSet(name=f"simulated-x{scale}", folder=pairs, doc=doc)


def _check_unrecorded(pairs: Path, scale: int, scenes: int) -> None:
    """Refuse finished pairs without a record, from an earlier version, whose scale or number of scenes is another."""
    rows = read_csv(pairs / "manifest.csv")
    scales = {int(float(row["scale"])) for row in rows if row["status"] == "accepted"}
    if len(rows) != scenes or scales != {scale}:
        had = f"scale {', '.join(map(str, sorted(scales)))}, scenes {len(rows)}"
        raise UsageError(f"{pairs}: was made with {had}, now asked for scale {scale}, scenes {scenes}; {REMEDY}")


def _of_whole_groups(pairs: Path, test: int) -> int:
    """The smallest possible number of test scenes from ``test`` on; if there is none, ``test``, which split refuses."""
    manifest = read_manifest(pairs)
    groups = manifest.assign(group=joined_groups(manifest))
    sizes = groups[groups["status"] == "accepted"].groupby("group").size()
    sums = {0}
    for size in sizes:
        sums |= {known + int(size) for known in sums}
    return min((number for number in sums if test <= number < sizes.sum()), default=test)


def validation_pairs(data: Path, share: float) -> list[Pair]:
    """The pairs that a run with this ``validation`` share keeps from training."""
    return hold_out(with_split(find_pairs(data), "train", data), share)[1]
