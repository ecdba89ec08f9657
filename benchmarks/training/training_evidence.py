"""What divergence and convergence are worth in training: the tables of docs/training-evidence.md.

    python -m benchmarks.training.training_evidence gain --work WORK      # the convergence net's input gain
    python -m benchmarks.training.training_evidence losses --work WORK    # strength and margin of the triplet
    python -m benchmarks.training.training_evidence main --work WORK      # both stages, triplet on and off, test pairs

The runs are made one after the other, on one thread, in --work. Finished runs are kept, and an interrupted run is
resumed. CPU time is that of training and the last validations, over all interruptions. `gain` and `losses` use tuning
seeds and the pairs that training keeps for validation; `main` uses reporting seeds and the test split, which nothing
else uses. --small shows within a minute that the program works; its figures mean nothing.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch

from benchmarks.asked import REMEDY
from benchmarks.program import FOLDER, PATH, print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, read_csv, text_table, write_csv
from benchmarks.seeds import parse_seeds, purpose_of
from benchmarks.training.training_sets import TrainingSet, city100_x4, simulated, validation_pairs
from d2c.checkpoints.native import load
from d2c.d2csr.presets import PRESETS
from d2c.d2csr.stages import spread
from d2c.data.layouts import find_pairs, with_split
from d2c.data.patches import to_tensor
from d2c.evaluation.evaluate import FilePairs, evaluate, means
from d2c.training.runfolder import RunFolder
from d2c.training.train import Request, train
from d2crealsr.errors import UsageError
from d2crealsr.store.files import write_text
from d2crealsr.ui.progress import Reporter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from d2c.d2csr.config import D2CConfig, TrainConfig
    from d2c.d2csr.network import D2CSR
    from d2c.data.layouts import Pair

VALIDATION = 0.2
GAINS = (1.0, 10.0, 20.0, 40.0, 80.0)
LOSSES = ((0.0, 0.1), (0.01, 0.1), (0.02, 0.1), (0.05, 0.1), (0.01, 0.03), (0.01, 0.3))
"""Strength α and margin."""
STEPS = {
    "gain": {"city100-x4": (1500, 400), "simulated-x8": (800, 200)},
    "losses": {"city100-x4": (700, 200), "simulated-x8": (350, 100)},
    "main": {"city100-x4": (15500, 5200), "simulated-x8": (6600, 2300)},
}
"""Steps of the two stages, so that a run of `main` takes about the same CPU time in both sets."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training: where it goes, what it trains, what its row says first."""

    folder: Path
    data: TrainingSet
    model: D2CConfig
    train: TrainConfig
    labels: dict[str, Any]
    weights: Path | None = None
    stage: str = "both"


class CpuClock(Reporter):
    """Keeps a run's CPU seconds in its folder, so that they go on where the run goes on."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "cpu_seconds.txt"
        self.before = float(self.file.read_text()) if self.file.exists() else 0.0
        self.began = time.process_time()

    @property
    def seconds(self) -> float:
        """CPU seconds of this process since, and of those before it."""
        return self.before + time.process_time() - self.began

    def step(self, done: int, info: str = "") -> None:
        if done % 100 == 0:
            self.keep()

    def keep(self) -> None:
        """Write it down."""
        write_text(self.file, f"{self.seconds:.1f}\n")


def settings_of(data: TrainingSet, steps: tuple[int, int], seed: int, **changes: Any) -> tuple[D2CConfig, TrainConfig]:
    """Preset tiny at the set's scale; the learning rate halves after every fifth of stage 1, in stage 2 as often."""
    chosen = PRESETS["tiny"]
    pairs = with_split(find_pairs(data.folder), "train", data.folder)
    model = dataclasses.replace(chosen.model, scale=pairs[0].scale, borders="composed")
    kept = len(pairs) - len(validation_pairs(data.folder, VALIDATION))
    epochs = steps[0] // max(1, kept // chosen.train.batch)
    fields = {f.name for f in dataclasses.fields(model)}
    config = dataclasses.replace(
        chosen.train,
        seed=seed,
        steps=steps[0],
        steps_convergence=steps[1],
        lr_halve_epochs=max(1, epochs // 5),
        ema=0.0,
        validation=VALIDATION,
        validate_every=0,
        save_every=500,
        **{name: value for name, value in changes.items() if name not in fields},
    )
    return dataclasses.replace(model, **{n: v for n, v in changes.items() if n in fields}), config


def gain_runs(data: TrainingSet, work: Path, seeds: range, steps: tuple[int, int], gains: Iterable[float]) -> list[Run]:
    """A divergence net a seed, then a convergence net on it for each gain."""
    runs = []
    for seed in seeds:
        model, config = settings_of(data, steps, seed)
        base = work / f"gain-{data.name}-seed{seed}"
        train_run(Run(folder=base, data=data, model=model, train=config, labels={}, stage="1"))
        for gain in gains:
            changed = dataclasses.replace(model, convergence_gain=gain)
            labels = {"set": data.name, "seed": seed, "gain": gain}
            folder = base.with_name(f"{base.name}-gain{gain:g}")
            runs.append(
                Run(folder=folder, data=data, model=changed, train=config, labels=labels, weights=base, stage="2")
            )
    return runs


def loss_runs(
    data: TrainingSet, work: Path, part: str, seeds: range, steps: tuple[int, int], strengths: Iterable[Any]
) -> list[Run]:
    """A run for each seed, strength and margin of the triplet."""
    runs = []
    for seed in seeds:
        for alpha, margin in strengths:
            model, config = settings_of(data, steps, seed, alpha=alpha, margin=margin)
            labels = {"set": data.name, "seed": seed, "alpha": alpha, "margin": margin if alpha else ""}
            folder = work / f"{part}-{data.name}-seed{seed}-alpha{alpha:g}-margin{margin:g}"
            runs.append(Run(folder=folder, data=data, model=model, train=config, labels=labels))
    return runs


def train_run(run: Run) -> float:
    """Train what is left of a run; its CPU seconds."""
    clock = CpuClock(run.folder)
    stage: Any = run.stage
    request = Request(
        data=run.data.folder,
        out=run.folder,
        model=run.model,
        train=run.train,
        stage=stage,
        device="cpu",
        cache=run.folder.parent / f"cache-{run.data.name}",
        weights=run.weights,
    )
    train(request, clock)
    clock.keep()
    return clock.seconds


def measured(model: D2CSR, pairs: list[Pair]) -> tuple[Row, list[Row]]:
    """PSNR-Y and SSIM-Y of every method, means over the pairs, and the divergence of the predictions; and each image's.

    ``pooled`` is the PSNR of the squared error averaged over the images, which is what the losses minimise. The mean of
    the images' PSNR weighs a smooth image, of little error, as much as a hard one.
    """
    pixels = FilePairs(pairs)
    rows = evaluate(model, pixels)
    row: Row = {}
    for found in means(rows):
        errors = [10 ** (-r.psnr_db / 10) for r in rows if r.method == found.method]
        row[found.method] = found.psnr_db
        row[f"ssim_{found.method}"] = found.ssim
        row[f"pooled_{found.method}"] = -10 * math.log10(sum(errors) / len(errors))
    with torch.inference_mode():
        spreads = [255 * float(spread(model.diverge(to_tensor(pair.lr)[None]))) for pair in pixels]
    for kind in ("", "pooled_"):
        best = max(value for name, value in row.items() if name.startswith(f"{kind}branch_"))
        row[f"{kind}fused_over_mean"] = row[f"{kind}fused"] - row[f"{kind}mean"]
        row[f"{kind}fused_over_best"] = row[f"{kind}fused"] - best
    row["divergence"] = sum(spreads) / len(spreads)
    return row, [{"image": r.image, "method": r.method, "psnr_db": r.psnr_db, "ssim": r.ssim} for r in rows]


def table(runs: list[Run], on_test: bool) -> list[Row]:
    """A row a run, in their order; trained and measured where that is not done, one seed after the other."""
    rows = {}
    for run in sorted(runs, key=lambda run: run.labels["seed"]):
        stored = run.folder / "row.csv"
        if stored.exists():
            _check_trained(run)
        else:
            minutes = train_run(run) / 60
            data = run.data.folder
            pairs = with_split(find_pairs(data), "test", data) if on_test else validation_pairs(data, VALIDATION)
            found, images = measured(load(run.folder), pairs)
            write_csv(run.folder / "images.csv", [{**run.labels, **image} for image in images])
            write_csv(stored, [{**run.labels, "cpu_minutes": minutes, **found}])
        row: Row = dict(run.labels)
        row |= {name: float(value) for name, value in read_csv(stored)[0].items() if name not in run.labels}
        click.echo(f"{run.folder.name}: fused {row['fused']:.3f}, mean {row['mean']:.3f} dB", err=True)
        rows[run.folder] = row
    return [rows[run.folder] for run in runs]


def _check_trained(run: Run) -> None:
    """Refuse a finished run that was trained with other settings, such as the steps of --small."""
    before = RunFolder(run.folder).settings()
    parts = ((before.model, run.model), (before.train, run.train)) if before else ()
    fields = [(old, new, field) for old, new in parts for field in dataclasses.fields(old)]
    for old, new, field in fields:
        had, now = getattr(old, field.name), getattr(new, field.name)
        if had != now and not field.metadata.get("free"):
            raise UsageError(f"{run.folder}: was trained with {field.name} {had}, now asked for {now}; {REMEDY}")


def shown(rows: list[Row]) -> str:
    """The tables for people: mean PSNR, pooled PSNR, SSIM."""
    names = ["bicubic", *(n for n in rows[0] if n.startswith("branch_")), "mean", "fused", "oracle"]
    first = [n for n in rows[0] if n in ("set", "seed", "gain", "alpha", "margin")]
    differences = ["fused_over_mean", "fused_over_best"]

    def part(kind: str, columns: list[str]) -> list[Row]:
        return [{n: row[n] for n in first} | {n: row[f"{kind}{n}"] for n in columns} for row in rows]

    psnr = [*first, "cpu_minutes", *names, *differences, "divergence"]
    return (
        f"PSNR-Y in dB, basicsr-y, mean over the images\n{text_table(rows, psnr)}\n\n"
        f"PSNR-Y in dB of the squared error averaged over the images\n"
        f"{text_table(part('pooled_', [*names, *differences]))}\n\nSSIM-Y\n{text_table(part('ssim_', names), digits=4)}"
    )


def training_sets(work: Path, city100: Path | None, only: str | None, small: bool, jobs: int) -> list[TrainingSet]:
    """The sets asked for that can be had: simulated pairs always, City100's where it is."""
    found = []
    if only in (None, "city100-x4") and city100 is not None:
        found.append(city100_x4(city100, work / "city100-x4", 7 if small else None))
    elif only in (None, "city100-x4"):
        click.echo("City100 is not there (--city100): its rows are left out", err=True)
    if only in (None, "simulated-x8"):
        size, scenes, test = ("mini", 12, 2) if small else ("half", 30, 5)
        found.append(simulated(work / "simulated-x8", scale=8, size=size, scenes=scenes, seed=5, test=test, jobs=jobs))
    if not found:
        raise UsageError(f"--set: {only} needs City100, and no folder is given; give it with --city100")
    return found


def notes(sets: list[TrainingSet], steps: dict[str, tuple[int, int]]) -> str:
    """What a reader of the table has to know."""
    model = PRESETS["tiny"].model
    lines = [
        f"model:    preset tiny (n {model.features}, G {model.groups}, B {model.blocks}, four predictions), gain "
        f"{model.convergence_gain:g} unless a column says otherwise; last checkpoints",
        "columns:  fused_over_mean, fused_over_best in dB; divergence: RMS of the predictions' differences from their",
        "          mean, in 8-bit levels; best branch: of the means over the images",
    ]
    lines += [
        f"set:      {s.name}, {s.doc}; steps {steps[s.name][0]} + {steps[s.name][1]}, "
        f"{len(with_split(find_pairs(s.folder), 'train', s.folder))} pairs to train on, "
        f"{len(validation_pairs(s.folder, VALIDATION))} of them kept for validation; "
        f"{len(with_split(find_pairs(s.folder), 'test', s.folder))} to test on"
        for s in sets
    ]
    return "\n".join(lines)


@program(__doc__)
@click.argument("part", type=click.Choice(["gain", "losses", "main"]))
@click.option("--work", type=PATH, required=True, help="Holds the pairs and the runs.")
@click.option("--city100", type=FOLDER, envvar="D2CREALSR_CITY100", help="Folder of City100's 001H.PNG, 001L.PNG, …")
@click.option("--seeds", help="A..B; by default 0..1 for tuning, 100..101 for `main`.")
@click.option("--set", "only", type=click.Choice(["city100-x4", "simulated-x8"]), help="Only this set.")
@click.option("--jobs", default=1, show_default=True, help="Scenes at a time when pairs are made.")
@with_small("A few steps on small pairs", exposed=True)
@with_out
def main(
    part: str,
    work: Path,
    city100: Path | None,
    seeds: str | None,
    only: str | None,
    jobs: int,
    small: bool,
    out: Path | None,
) -> None:
    """Make the pairs, do the runs, print and store the table."""
    torch.set_num_threads(1)
    chosen = parse_seeds(seeds or ("100..101" if part == "main" else "0..1"))
    purpose = purpose_of(chosen)
    if (purpose == "reporting") != (part == "main"):
        raise click.UsageError(f"--seeds: {part} needs {'reporting' if part == 'main' else 'tuning'} seeds")
    sets = training_sets(work, city100, only, small, jobs)
    steps = dict.fromkeys(STEPS[part], (20, 10)) if small else STEPS[part]
    runs: list[Run] = []
    for data in sets:
        if part == "gain":
            runs += gain_runs(data, work, chosen, steps[data.name], GAINS[:2] if small else GAINS)
        elif part == "losses":
            runs += loss_runs(data, work, part, chosen, steps[data.name], LOSSES[:2] if small else LOSSES)
        else:
            runs += loss_runs(data, work, part, chosen, steps[data.name], LOSSES[:2])
    rows = table(runs, on_test=part == "main")
    where = "test split" if part == "main" else "validation pairs"
    images = [row for run in runs for row in read_csv(run.folder / "images.csv")]
    text = f"seeds:    {purpose}\nmeasured: {where}\n{notes(sets, steps)}\n\n{shown(rows)}"
    print_and_store(text, out, {"": rows, "-images": images})


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
