"""Camera RAW against JPEG: the true error of the same exposures, developed by LibRaw and as the camera's JPEG.

    python -m benchmarks.accuracy.raw --seeds 100..109 --size mini --out benchmarks/results/raw.txt

Each scene is exposed once. Its mosaics are written as DNG by tifffile. They are also developed by the simulated camera
and written as JPEG of quality 95. All four combinations are aligned. Errors are in HR px, means over the published
part.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.dng import write_dng
from benchmarks.program import Run, needs, over_scenes, program, with_jobs, with_seeds, with_size, with_small
from benchmarks.result_tables import Row, text_table
from d2crealsr.align import Alignment, align_pair
from d2crealsr.simulate import encode_capture
from d2crealsr.simulate.sensor import develop
from d2crealsr.simulate.shoot import mosaics
from d2crealsr.store.files import write_bytes

if TYPE_CHECKING:
    from benchmarks.scenes import BenchScene

COMBINATIONS = (("jpg", "jpg"), ("dng", "dng"), ("dng", "jpg"), ("jpg", "dng"))
"""Formats of HR and of LR."""


class Tried(NamedTuple):
    """The outcome of one combination; the errors are nan if there is no estimate."""

    hr: str
    lr: str
    error_hr_px: float
    predicted_hr_px: float
    colour: float
    accepted: bool


def captures(scene: BenchScene, folder: Path) -> dict[str, dict[str, Path]]:
    """The files of a scene by side and format."""
    *raw, session = mosaics(scene.recipe, scene.settings)
    files: dict[str, dict[str, Path]] = {}
    for side, mosaic, shot in zip(("hr", "lr"), raw, (session.hr, session.lr), strict=True):
        files[side] = {ending: folder / f"{side}.{ending}" for ending in ("jpg", "dng")}
        write_dng(files[side]["dng"], mosaic, wb=shot.wb)
        write_bytes(files[side]["jpg"], encode_capture(develop(mosaic, shot), "jpg"))
    return files


def tried(scene: BenchScene) -> tuple[BenchScene, list[Tried]]:
    """A scene, aligned in every combination."""
    with tempfile.TemporaryDirectory() as folder:
        files = captures(scene, Path(folder))
        return scene, [_tried(scene, files, *both) for both in COMBINATIONS]


def _tried(scene: BenchScene, files: dict[str, dict[str, Path]], hr: str, lr: str) -> Tried:
    found = align_pair(files["hr"][hr], files["lr"][lr], scale=scene.scale)
    if not isinstance(found, Alignment):
        return Tried(hr, lr, float("nan"), float("nan"), float("nan"), False)
    error = scene.error_of(found.estimate.placement.mapping, scene.crop_of(found)).mean
    statistics = found.statistics
    return Tried(hr, lr, error, statistics["sigma_hr_px"], statistics["colour_difference"], found.accepted)


def table(results: list[tuple[BenchScene, list[Tried]]]) -> list[Row]:
    """One row for each combination."""
    rows: list[Row] = []
    for hr, lr in COMBINATIONS:
        mine = [one for _, all_tried in results for one in all_tried if (one.hr, one.lr) == (hr, lr)]
        errors = np.array([one.error_hr_px for one in mine])
        rows.append(
            {
                "HR": hr,
                "LR": lr,
                "scenes": len(mine),
                "accepted": sum(one.accepted for one in mine),
                "mean": float(np.nanmean(errors)),
                "median": float(np.nanmedian(errors)),
                "largest": float(np.nanmax(errors)),
                "predicted": float(np.nanmean([one.predicted_hr_px for one in mine])),
                "colour_difference": float(np.nanmean([one.colour for one in mine])),
            }
        )
    return rows


@program(__doc__)
@over_scenes(
    *(with_seeds("100..109"), with_size("mini"), with_jobs), with_small("One mini scene", seeds="0..0", size="mini")
)
def main(run: Run) -> None:
    needs("rawpy", extra="raw")
    results = run.each(
        tried, run.scenes(), told=lambda r: f"{r[0].name}: " + ", ".join(f"{one.error_hr_px:.4f}" for one in r[1])
    )
    told = f"True error of camera RAW and of JPEG of the same exposures, in HR px\n{run.about}\n\n"
    run.store(told + text_table(table(results), digits=4))


if __name__ == "__main__":
    main()
