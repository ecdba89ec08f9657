"""What `d2c train --weigh-pairs` and `--realign` return where a quarter of the training pairs is misaligned.

    python -m benchmarks.training.knowing_pairs --work WORK --photos PHOTOS

The scenes are those of `training.bad_quarter`: simulated postcards at x8, and the five kinds of card at x2, published
by their true mapping. HR of every fourth training pair is shifted, each in its own direction or all in one, and trained
on flips and turns, as d2c trains by default; or all in one direction and without flips and turns. `d2c train` gets what
a user would have: the folder after `d2crealsr import`, whose audit measures the error field of every pair. The network
is small and starts at bicubic interpolation; it is trained for a fixed number of steps, and nothing is chosen on the
test pairs, which are exact.

none: neither option. weighed: --weigh-pairs. permuted: --weigh-pairs with the measured errors of another pair of the
same kind of card, drawn for each seed. realigned: --realign. both: both options. Exact pairs are trained on with and
without --realign and --weigh-pairs too.

A seed gives the same first weights and the same order of crops to all arms. Differences are taken within a seed;
intervals are over seeds (95 %, paired). Every finished run is kept in --work: an interrupted program goes on where it
was. Runs are made seed by seed, and only seeds with all arms of a setting are compared.
"""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.asked import check_asked, photographs_said
from benchmarks.intervals import half_width, resolved
from benchmarks.program import print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, read_csv, text_table
from benchmarks.training.bad_quarter import bad_of, registered, shifts_of_quarter
from benchmarks.training.kept_rows import kept_rows, with_minutes
from benchmarks.training.least_squares import luma
from benchmarks.training.luma_network import psnr_db
from benchmarks.training.shifted_scenes import scenes_at, with_scenes
from d2c.library.training import train
from d2c.networks import Network
from d2crealsr.importing.import_pairs import import_pairs
from d2crealsr.store import write_image
from d2crealsr.store.pairs import read_residuals, write_pairs_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.training.shifted_scenes import Cause, Scene

CAUSES: dict[Cause, str] = {
    "random": "each in its own direction",
    "turned": "in one direction",
    "constant": "in one direction, no flips and turns",
}
NONE, WEIGHED, PERMUTED, REALIGNED, BOTH = "none", "weighed", "permuted", "realigned", "both"
REMEDIES = (NONE, WEIGHED, PERMUTED, REALIGNED, BOTH)
ON_EXACT = (NONE, WEIGHED, REALIGNED)

SETTINGS: dict[int, list[tuple[Cause, float]]] = {
    8: [("random", 8.0), ("turned", 8.0), ("random", 4.0), ("turned", 4.0), ("constant", 8.0)],
    2: [("random", 2.0), ("turned", 2.0), ("random", 1.0), ("turned", 1.0), ("constant", 2.0)],
}
"""Causes and shifts in HR px, by scale."""

_PATCH = {8: 16, 2: 32}
_RATE = 2e-3


class SmallNetwork(Network):
    """Bicubic interpolation and what four convolutions at LR size add to it."""

    def build(self, config: Any) -> nn.Module:
        return _Small(config.scale)


class _Small(nn.Module):
    def __init__(self, scale: int, features: int = 16) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(3, features, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(features, features, 3, padding=1) for _ in range(4))
        self.tail = nn.Conv2d(features, 3 * scale**2, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        features = self.head(lr - 0.5)
        for first, second in zip(self.body[::2], self.body[1::2], strict=True):
            features = features + second(F.relu(first(features)))
        plain = F.interpolate(lr, scale_factor=self.scale, mode="bicubic", align_corners=False)
        return plain + F.pixel_shuffle(self.tail(features), self.scale)


class Arm(NamedTuple):
    """What a run is trained on, and how."""

    scale: int
    cause: Cause
    hr_px: float
    remedy: str


def arms(scale: int, setting: tuple[Cause, float] | None) -> list[Arm]:
    """The arms of a setting; those on exact pairs without one."""
    if setting is not None:
        return [Arm(scale, *setting, remedy) for remedy in REMEDIES]
    causes: tuple[Cause, ...] = ("turned", "constant")
    return [Arm(scale, cause, 0.0, remedy) for cause in causes for remedy in ON_EXACT]


def exact(arm: Arm) -> Arm:
    """The arm on exact pairs without an option, with which an arm is compared."""
    return Arm(arm.scale, "constant" if arm.cause == "constant" else "turned", 0.0, NONE)


def tasks(scales: Sequence[int], seeds: int) -> Iterator[tuple[Arm, int]]:
    """Arm and seed of each run, seed by seed."""
    for seed in range(seeds):
        for scale in scales:
            for setting in (None, *SETTINGS[scale]):
                for arm in arms(scale, setting):
                    yield arm, seed


class Bench:
    """Trains and tests the arms of a scale."""

    def __init__(self, scale: int, work: Path, scenes: int, photos: Path | None, steps: int) -> None:
        self.scale, self.steps = scale, steps
        self.train, self.test = scenes_at(scale, work, scenes, photos)
        self.work = work / f"knowing-x{scale}-{scenes}"
        check_asked(self.work / "asked.json", {"scenes": scenes, "photographs": photographs_said(photos)})
        kinds = {
            row["scene"]: row["generator"] for row in read_csv(work / f"x{scale}-{scenes}" / "raw" / "manifest.csv")
        }
        self.kinds = [kinds[scene.name] for scene in self.train]

    def row(self, arm: Arm, seed: int) -> Row:
        """Train an arm with a seed, and test it."""
        start = time.process_time()
        folder = self._pairs(arm)
        if arm.remedy == PERMUTED:
            folder = self._permuted(folder, seed)
        out = self.work / "run"
        shutil.rmtree(out, ignore_errors=True)
        model = train(
            folder,
            out,
            network=SmallNetwork,
            scale=self.scale,
            seed=seed,
            steps=self.steps,
            batch=4,
            patch=_PATCH[self.scale],
            lr=_RATE,
            lr_halve_epochs=0,
            ema=0.99,
            validation=0.0,
            augment=arm.cause != "constant",
            weigh_pairs=arm.remedy in (WEIGHED, PERMUTED, BOTH),
            realign=arm.remedy in (REALIGNED, BOTH),
            threads=1,
            device="cpu",
            trust_pairs=True,
            cache=self.work / "cache",
            save_every=self.steps,
        )
        images = [_luma_of(model, scene) for scene in self.test]
        psnr = [psnr_db(image, scene.warped(), self.scale) for image, scene in zip(images, self.test, strict=True)]
        drift = [registered(scene, (0.0, 0.0), image) for image, scene in zip(images, self.test, strict=True)]
        row: Row = {"scale": self.scale, "shifted": CAUSES[arm.cause], "hr_px": arm.hr_px, "remedy": arm.remedy}
        row |= {"seed": seed, "test_db": float(np.mean(psnr)), "drift_hr_px": float(np.hypot(*np.mean(drift, 0)))}
        moved = read_csv(out / "log.csv")[-1].get("realigned_hr_px", "")
        return row | {"moved_hr_px": moved or "", "steps": self.steps, "cpu_s": round(time.process_time() - start, 1)}

    def _pairs(self, arm: Arm) -> Path:
        """The pairs of an arm, imported and measured by `d2crealsr import`."""
        cause = "random" if arm.cause == "random" else "constant"
        name = f"{cause}-{arm.hr_px:g}" if arm.hr_px else "exact"
        folder = self.work / name
        if not (folder / "done").exists():
            source = self.work / f"{name}-source"
            for scene, shift in zip(self.train, shifts_of_quarter(cause, arm.hr_px, len(self.train)), strict=True):
                for kind, image in (("hr", scene.published(shift)), ("lr", scene.lr)):
                    (source / "train" / kind).mkdir(parents=True, exist_ok=True)
                    write_image(source / "train" / kind / f"{scene.name}.png", image)
            import_pairs(source, folder, scale=self.scale)
            (folder / "done").touch()
        return folder

    def _permuted(self, folder: Path, seed: int) -> Path:
        """The pairs with the measured blocks of another pair of the same kind."""
        copy = self.work / "permuted"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        names, rng = [scene.name for scene in self.train], np.random.default_rng((seed, 7))
        other: dict[str, str] = {}
        for kind in sorted(set(self.kinds)):
            own = [name for name, which in zip(names, self.kinds, strict=True) if which == kind]
            other |= dict(zip(own, np.roll(own, int(rng.integers(1, max(2, len(own))))).tolist(), strict=True))
        blocks = read_residuals(copy)
        blocks["scene"] = blocks["scene"].map(other)
        write_pairs_table(copy, "residuals.csv", blocks)
        return copy


def _luma_of(model: nn.Module, scene: Scene) -> NDArray[np.float32]:
    """Luma of the network's HR, on [16, 235]."""
    with torch.inference_mode():
        lr = torch.from_numpy(np.moveaxis(scene.lr, -1, 0).copy())[None].float() / np.iinfo(scene.lr.dtype).max
        image = model(lr)[0].clamp(0, 1).permute(1, 2, 0).numpy()
    return luma(np.rint(255 * image).astype(np.uint8))


def _key(row: Row) -> tuple[Arm, int]:
    causes = {said: cause for cause, said in CAUSES.items()}
    return Arm(row["scale"], causes[row["shifted"]], row["hr_px"], row["remedy"]), row["seed"]


def summary(rows: Sequence[Row]) -> list[Row]:
    """A line for each arm, over the seeds that have all arms of its setting and those on exact pairs."""
    runs, lines = {_key(row): row for row in rows}, []
    every = sorted({seed for _, seed in runs})
    for scale in SETTINGS:
        for setting in (None, *SETTINGS[scale]):
            needed = [*arms(scale, setting), *arms(scale, None)]
            seeds = [seed for seed in every if all((arm, seed) in runs for arm in needed)]
            lines += [_line(arm, runs, seeds) for arm in arms(scale, setting) if seeds]
    return lines


def _line(arm: Arm, runs: dict[tuple[Arm, int], Row], seeds: Sequence[int]) -> Row:
    """What an arm loses against exact pairs, and what its option returns."""

    def psnr(which: Arm) -> NDArray[np.float64]:
        return np.array([runs[which, seed]["test_db"] for seed in seeds])

    lost = psnr(exact(arm)) - psnr(arm)
    line: Row = {"scale": arm.scale, "shifted": CAUSES[arm.cause], "hr_px": arm.hr_px, "remedy": arm.remedy}
    line |= {"loss_db": float(lost.mean()), "half_width_db": half_width(lost)}
    if arm.remedy != NONE:
        back = psnr(arm) - psnr(arm._replace(remedy=NONE))
        line |= {"returned_db": float(back.mean()), "returned_half_width_db": half_width(back)}
        line |= {"resolved": resolved(back)}
    line["drift_hr_px"] = float(np.mean([runs[arm, seed]["drift_hr_px"] for seed in seeds]))
    return line | {"seeds": len(seeds)}


@program(__doc__)
@with_scenes(10)
@click.option("--scale", "scales", type=click.Choice(list(SETTINGS)), multiple=True, default=list(SETTINGS))
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Seeds of each arm.")
@click.option("--steps", type=click.IntRange(1), default=600, show_default=True, help="Steps of a run.")
@with_minutes
@with_small("One seed of two steps on ten scenes at one scale", seeds=1, steps=2, scenes=10, scales=[2])
@with_out
def main(
    work: Path,
    photos: Path | None,
    scales: tuple[int, ...],
    seeds: int,
    steps: int,
    scenes: int,
    minutes: float,
    out: Path | None,
) -> None:
    benches = {scale: Bench(scale, work, scenes, photos, steps) for scale in scales}
    path = work / f"knowing-{scenes}-{steps}.csv"
    asked = {"scenes": scenes, "steps": steps, "photographs": photographs_said(photos)}
    rows = kept_rows(path, tasks(scales, seeds), _key, lambda task: benches[task[0].scale].row(*task), minutes, asked)
    lines = summary(rows)
    counts = ", ".join(f"{sum(bad_of(len(b.train)))} of {len(b.train)} at x{scale}" for scale, b in benches.items())
    said = (
        f"PSNR-Y where a quarter of the training pairs is shifted ({counts}), by a small network after {steps} steps "
        f"of d2c train, on {', '.join(str(len(b.test)) for b in benches.values())} exact test pairs\n"
        "loss_db: against the network of the same seed trained on exact pairs without options, mean over seeds; "
        "half_width_db: of its paired 95 % interval over the seeds\n"
        "returned_db: what the option returns, paired too; resolved: whether its interval excludes 0\n"
        "drift_hr_px: mean shift of the output against HR of the test pairs, which lies on the grid of LR"
    )
    print_and_store(f"{said}\n\n{text_table(lines)}\n\nevery run\n{text_table(rows)}", out, {"": lines, "-runs": rows})


if __name__ == "__main__":
    main()
