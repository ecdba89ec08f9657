"""What misalignment costs a trained network: four points of the curves that the best linear filter gives.

    python -m benchmarks.training.misaligned_network --work WORK --photos PHOTOS

The pairs are the ×8 postcards of `training.misalignment`, published with the same shifts. One path of D2C-SR's tree
(preset tiny with width 1 and four blocks) is trained on pairs without shifts, with random shifts of 2 and of 8 HR px,
and with one shift of 2 HR px for all; without flips and turns, which would make eight directions of one. All nets are
measured on the same test pairs without shifts. Those trained without shifts are also measured on test pairs with shifts
of 2 HR px. A seed gives the same first weights, order and crops to all of them, so that differences are taken within a
seed; intervals are over seeds (95 %, paired).

Every run is trained in --work, and finished runs are kept: an interrupted program goes on where it was.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
import torch

from benchmarks.asked import check_asked, photographs_said
from benchmarks.intervals import half_width, resolved
from benchmarks.program import print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, read_csv, text_table, write_csv
from benchmarks.training.shifted_scenes import CAUSES, Cause, scenes_at, shifts_of, with_scenes
from d2c.checkpoints.native import load
from d2c.d2csr.presets import PRESETS
from d2c.data.patches import to_tensor
from d2c.metrics import quality, to_uint8
from d2c.training.train import Request, train
from d2crealsr.store import write_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.training.shifted_scenes import Scene
    from d2c.d2csr.network import D2CSR
    from d2crealsr.types import Image

SCALE = 8
ARMS: dict[str, tuple[Cause, float]] = {
    "still": ("random", 0.0),
    "random-2": ("random", 2.0),
    "random-8": ("random", 8.0),
    "constant-2": ("constant", 2.0),
}
"""What the training pairs are shifted by: the cause, and HR px."""

MOVED_TEST_HR_PX = 2.0

_MODEL = {"width": 1, "blocks": 4}

_SETTINGS: dict[str, Any] = {"augment": False, "validation": 0.0, "validate_every": 0}


class Point(NamedTuple):
    """A point of the curves. Its loss is ``test_db`` of the arm ``still`` minus this column of this arm."""

    cause: Cause
    hr_px: float
    arm: str
    column: str


POINTS = (
    Point("random", 2.0, "random-2", "test_db"),
    Point("random", 8.0, "random-8", "test_db"),
    Point("constant", 2.0, "constant-2", "test_db"),
    Point("test", MOVED_TEST_HR_PX, "still", "moved_test_db"),
)


class Tested(NamedTuple):
    """The test pairs: LR, and HR without shifts and with shifts."""

    lr: list[Image]
    still: list[Image]
    moved: list[Image]

    @classmethod
    def of(cls, scenes: Sequence[Scene]) -> Tested:
        """The pairs of the test scenes."""
        shifts = shifts_of("test", MOVED_TEST_HR_PX, len(scenes))
        moved = [scene.published(by) for scene, by in zip(scenes, shifts, strict=True)]
        return cls([scene.lr for scene in scenes], [scene.published() for scene in scenes], moved)


def write_pairs(folder: Path, scenes: Sequence[Scene], shifts: Sequence[tuple[float, float]]) -> None:
    """A pairs folder of training scenes with these shifts of HR."""
    if (folder / "manifest.csv").is_file():
        return
    rows = []
    for scene, shift in zip(scenes, shifts, strict=True):
        files = {"hr_path": f"hr/{scene.name}.png", "lr_path": f"lr/{scene.name}.png"}
        write_image(folder / files["hr_path"], scene.published(shift))
        write_image(folder / files["lr_path"], scene.lr)
        known = {"scene": scene.name, "status": "accepted", "split": "train", "group": scene.name, "scale": SCALE}
        rows.append(known | files)
    write_csv(folder / "manifest.csv", rows)


def mean_psnr(model: D2CSR, tested: Tested) -> tuple[float, float]:
    """PSNR-Y of the predictions in dB, mean over the test pairs: without shifts, and with shifts."""
    found = []
    with torch.inference_mode():
        for lr, *targets in zip(*tested, strict=True):
            image = model.diverge(to_tensor(lr)[None])[0, 0].permute(1, 2, 0).numpy()
            found.append([quality(image, to_uint8(hr), SCALE, "basicsr-y").psnr for hr in targets])
    still, moved = np.mean(found, axis=0)
    return float(still), float(moved)


def run_row(arm: str, seed: int, steps: int, work: Path, scenes: Sequence[Scene], tested: Tested) -> dict[str, float]:
    """Train an arm with a seed where that is not done, and measure it on still and on moved test pairs."""
    out = work / f"runs-{steps}" / f"{arm}-seed{seed}"
    stored = out / "row.csv"
    if not stored.exists():
        data = work / f"pairs-{arm}"
        write_pairs(data, scenes, shifts_of(*ARMS[arm], len(scenes)))
        start = time.process_time()
        chosen = PRESETS["tiny"]
        settings = dataclasses.replace(chosen.train, seed=seed, steps=steps, **_SETTINGS)
        request = Request(
            data=data,
            out=out,
            model=dataclasses.replace(chosen.model, scale=SCALE, **_MODEL),
            train=settings,
            stage="1",
            device="cpu",
            cache=work / f"cache-{arm}",
            trust_pairs=True,
            threads=1,
        )
        train(request)
        seconds = time.process_time() - start
        still, moved = mean_psnr(load(out), tested)
        write_csv(stored, [{"test_db": still, "moved_test_db": moved, "cpu_s": round(seconds)}])
    return {name: float(value) for name, value in read_csv(stored)[0].items()}


def point_row(point: Point, runs: dict[tuple[str, int], dict[str, float]], seeds: Sequence[int]) -> Row:
    """The loss at one point: mean and half-width over the seeds."""
    lost = [runs["still", seed]["test_db"] - runs[point.arm, seed][point.column] for seed in seeds]
    return {
        "shifted": CAUSES[point.cause],
        "hr_px": point.hr_px,
        "loss_db": float(np.mean(lost)),
        "half_width_db": half_width(lost),
        "resolved": resolved(lost),
        "seeds": len(lost),
    }


@program(__doc__)
@with_scenes(10)
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Seeds of each arm.")
@click.option("--steps", type=click.IntRange(1), default=400, show_default=True, help="Steps of a run.")
@with_small("One seed of two steps on ten scenes", seeds=1, steps=2, scenes=10)
@with_out
def main(work: Path, photos: Path | None, seeds: int, steps: int, scenes: int, out: Path | None) -> None:
    torch.set_num_threads(1)
    train_scenes, test_scenes = scenes_at(SCALE, work, scenes, photos)
    tested = Tested.of(test_scenes)
    place = work / f"misaligned-{scenes}"
    check_asked(place / "asked.json", {"scenes": scenes, "photographs": photographs_said(photos)})
    runs: dict[tuple[str, int], dict[str, float]] = {}
    rows: list[Row] = []
    for seed in range(seeds):
        for arm in ARMS:
            runs[arm, seed] = run_row(arm, seed, steps, place, train_scenes, tested)
            rows.append({"trained_on": arm, "seed": seed, **runs[arm, seed]})
            click.echo(text_table(rows[-1:]), err=True)
    points = [point_row(point, runs, range(seeds)) for point in POINTS]
    said = (
        f"PSNR-Y that shifts cost one path of the tree at x{SCALE} (preset tiny, width 1, blocks 4, {steps} steps)\n"
        "loss_db: mean over seeds, each against the net of the same seed that was trained on still pairs and is\n"
        "measured on still pairs; half_width_db: of the paired 95 % interval over the seeds\n"
        "test_db, moved_test_db: PSNR-Y on the test pairs, still and moved by "
        f"{MOVED_TEST_HR_PX:g} HR px, each in its own direction"
    )
    text = f"{said}\n\n{text_table(points)}\n\nevery run\n{text_table(rows)}"
    print_and_store(text, out, {"": points, "-runs": rows})


if __name__ == "__main__":
    main()
