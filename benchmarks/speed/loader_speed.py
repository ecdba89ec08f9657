"""What a random training patch costs: from d2c's cache, by decoding PNG files for each patch, and as a plain copy.

    python -m benchmarks.speed.loader_speed --out benchmarks/results/loader_speed

Pairs are 432×288 LR and 3456×2304 HR (×8), patches 96² LR with 768² HR, as the paper preset draws them: random offset,
flips and transposes, float32 in planes. The baseline reads and decodes both PNG files (OpenCV's fastest settings:
level 1, run lengths only, one thread) and cuts, turns and converts the patch in the same way. The floor is the copy of
a patch of float32 in memory. They are run in turns and measured in CPU time of the thread; figures are medians.
Waiting is the share of the loop in which a step waits for its batch: for real steps of preset ``tiny`` with patches of
24², and for steps that take a given time on another processor while this one is free to cut the next batches. Patches
are floats there, or the integers that travel to a GPU. These are cut into memory that is used again, as the pinned
memory of PyTorch is on a machine with a GPU.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cv2
import numpy as np
import torch

from benchmarks.measuring import seconds_of
from benchmarks.program import print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from d2c.d2csr.config import TrainConfig
from d2c.d2csr.network import D2CSR
from d2c.d2csr.presets import PRESETS
from d2c.d2csr.stages import DivergenceStage
from d2c.data import travel
from d2c.data.cache import ImageCache
from d2c.data.patches import Batch, CropSource, PixelPair, write_patch
from d2c.training.engine import Engine
from d2crealsr.store.images import read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SCALE = 8
_FASTEST = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
_AWAY_SECONDS = (0.01, 0.05, 0.2)
_PLACES = 16
"""Places in memory for raw batches, more than are alive at once."""

_RAW = ((4, 0.01), (16, 0.01), (16, 0.04))
"""Patches and seconds of a step for which integers are cut. On an H200 a step of 4 took .019 s, one of 16 .038 s."""


def make_files(folder: Path, count: int, lr_size: tuple[int, int]) -> list[tuple[Path, Path]]:
    """Pairs of PNG files of smooth noise, so that they compress as photographs do; LR and HR path of each."""
    width, height = lr_size
    rng = np.random.default_rng(0)
    pairs = []
    for k in range(count):
        noise = rng.normal(0, 255, (SCALE * height, SCALE * width, 3)).astype(np.float32)
        hr = np.clip(128 + cv2.GaussianBlur(noise, (0, 0), 2.0) * 2, 0, 255).astype(np.uint8)
        lr = cv2.resize(hr, (width, height), interpolation=cv2.INTER_AREA)
        pairs.append((folder / f"{k}_lr.png", folder / f"{k}_hr.png"))
        for path, image in zip(pairs[-1], (lr, hr), strict=True):
            cv2.imwrite(str(path), image, _FASTEST)
    return pairs


def cached_pairs(files: Sequence[tuple[Path, Path]], cache: Path) -> list[PixelPair]:
    """The pairs as training has them."""
    found = ImageCache(cache).images(path for pair in files for path in pair)
    return [PixelPair(lr.stem, found[lr][1], found[hr][1]) for lr, hr in files]


def decoded_patch(files: tuple[Path, Path], patch: int, rng: np.random.Generator) -> Batch:
    """A patch cut from files that are decoded for it."""
    lr, hr = (read_image(path) for path in files)
    x, y = (int(rng.integers(side - patch + 1)) for side in (lr.shape[1], lr.shape[0]))
    turn = int(rng.integers(8))
    out = Batch(torch.empty(3, patch, patch), torch.empty(3, SCALE * patch, SCALE * patch))
    for image, scale, target in ((lr, 1, out.lr), (hr, SCALE, out.hr)):
        top, left, side = (scale * value for value in (y, x, patch))
        write_patch(image[top : top + side, left : left + side], turn, target)
    return out


def seconds(work: Callable[[], object]) -> float:
    """CPU time of one call, which runs on one thread: what else the machine does counts least so."""
    return seconds_of(work, time.thread_time)


def measure(source: CropSource, files: Sequence[tuple[Path, Path]], rounds: int) -> Row:
    """Milliseconds a patch of each way, taking turns."""
    config = source.config
    rng = np.random.default_rng(1)
    from_memory = torch.rand(config.batch, 3, SCALE * config.patch, SCALE * config.patch)
    to_memory = torch.empty_like(from_memory)
    times: dict[str, list[float]] = {"decode": [], "cache": [], "integers": [], "copy": []}
    for step in range(rounds + 2):
        pair = files[step % len(files)]
        taken = {
            "decode": seconds(lambda pair=pair: decoded_patch(pair, config.patch, rng)),
            "cache": seconds(lambda step=step: source.batch(1, step)) / config.batch,
            "integers": seconds(lambda step=step: source.raw_batch(1, step)) / config.batch,
            "copy": seconds(lambda: to_memory.copy_(from_memory)) / config.batch,
        }
        if step >= 2:  # the first ones allocate
            for name, value in taken.items():
                times[name].append(1e3 * value)
    row: Row = {f"{name}, ms a patch": statistics.median(values) for name, values in times.items()}
    ratios = [a / b for a, b in zip(times["decode"], times["cache"], strict=True)]
    above = [a / b for a, b in zip(times["cache"], times["copy"], strict=True)]
    return row | {"times faster than decoding": statistics.median(ratios), "times a copy": statistics.median(above)}


def waiting(source: CropSource, steps: int, step: Callable[[Any], object], *, raw: bool = False) -> tuple[float, float]:
    """Seconds of a loop over batches, and the share of it that the loop waits for them (the first one left out)."""
    batches = source.batches(1, range(steps + 1), raw=raw)
    step(next(batches))
    begun = time.perf_counter()
    waited = 0.0
    for _ in range(steps):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        step(batch)
    batches.close()
    whole = time.perf_counter() - begun
    return whole / steps, waited / whole


def waiting_rows(pairs: Sequence[PixelPair], patch: int, steps: int) -> list[Row]:
    """Waiting in real steps of preset ``tiny``, and in ones that another processor does."""
    tiny = PRESETS["tiny"]
    config = dataclasses.replace(tiny.train, batch=min(len(pairs), tiny.train.batch), patch=min(24, patch))
    torch.manual_seed(0)
    engine = Engine(DivergenceStage(D2CSR(dataclasses.replace(tiny.model, scale=SCALE)), config), config)
    small = CropSource(pairs=pairs, scale=SCALE, config=config)
    large = CropSource(pairs=pairs, scale=SCALE, config=TrainConfig(patch=patch, batch=min(len(pairs), 4)))
    kinds: list[tuple[str, CropSource, Callable[[Batch], object]]] = [
        ("preset tiny, CPU", small, lambda batch: engine.update(batch, config.lr, {"alpha": config.alpha})),
        *(
            (f"{1e3 * away:.0f} ms away, {patch}² patches", large, lambda _, away=away: time.sleep(away))
            for away in _AWAY_SECONDS
        ),
    ]
    rows: list[Row] = []
    for name, source, step in kinds:
        loop, share = waiting(source, steps, step)
        rows.append({"step": name, "ms a step": 1e3 * loop, "of which waiting, %": 100 * share})
    return [*rows, *raw_rows(pairs, patch, steps)]


def raw_rows(pairs: Sequence[PixelPair], patch: int, steps: int) -> list[Row]:
    """Waiting for patches that travel as integers."""
    rows: list[Row] = []
    for batch, away in _RAW:
        many = [pairs[k % len(pairs)] for k in range(max(batch, len(pairs)))]
        source = CropSource(pairs=many, scale=SCALE, config=TrainConfig(patch=patch, batch=batch))
        with memory_used_again():
            loop, share = waiting(source, steps, lambda _, away=away: time.sleep(away), raw=True)
        name = f"{1e3 * away:.0f} ms away, {batch} {patch}² patches as integers"
        rows.append({"step": name, "ms a step": 1e3 * loop, "of which waiting, %": 100 * share})
    return rows


@contextlib.contextmanager
def memory_used_again() -> Iterator[None]:
    """A ``with`` block in which raw batches are cut into the same few places in turn, as in pinned memory."""
    made: dict[Any, itertools.cycle[travel.RawBatch]] = {}
    empty = travel.empty_batch

    def place(samples: int, size: int, scale: int, *, wide: bool) -> travel.RawBatch:
        key = samples, size, scale, wide
        if key not in made:
            places = [empty(samples, size, scale, wide=wide) for _ in range(_PLACES)]
            made[key] = itertools.cycle([travel.RawBatch(*(part.zero_() for part in one)) for one in places])
        return next(made[key])

    travel.empty_batch = place
    try:
        yield
    finally:
        travel.empty_batch = empty


@program(__doc__)
@click.option("--rounds", default=40, show_default=True, help="Turns of each way.")
@click.option("--pairs", "count", default=8, show_default=True, help="How many pairs.")
@with_out
@with_small("Small images and few turns", exposed=True, rounds=2, count=4)
def main(rounds: int, count: int, out: Path | None, small: bool) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    lr_size, patch, steps = ((54, 36), 24, 2) if small else ((432, 288), 96, 40)
    with tempfile.TemporaryDirectory() as temporary:
        files = make_files(Path(temporary), count, lr_size)
        pairs = cached_pairs(files, Path(temporary) / "cache")
        source = CropSource(pairs=pairs, scale=SCALE, config=TrainConfig(patch=patch))
        row = measure(source, files, rounds)
        rows = waiting_rows(pairs, patch, steps)
    title = f"A random {patch}² patch of {lr_size[0]}x{lr_size[1]} pairs at x{SCALE}, one thread"
    costs = text_table([{"what": name, "value": value} for name, value in row.items()])
    print_and_store(f"{title}\n\n{costs}\n\nWaiting for batches\n\n{text_table(rows)}", out, {"": [row, *rows]})


if __name__ == "__main__":
    main()
