"""Upscale image files, in as much memory as there is, at their own depth, transparency and orientation kept."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from d2c import figures, output
from d2c.bicubic import bicubic
from d2c.errors import ConfigError, DataError
from d2c.infer import as_image, upscale, upscale_strips
from d2c.plan import PNG_PIXELS, check_disk, make_plan
from d2c.reporter import Reporter
from d2c.sweeps import sweeps_in
from d2crealsr.store import ImageError, images

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from d2c.infer import Upscaled
    from d2c.model import D2CSR
    from d2c.plan import Plan

__all__ = ["Figures", "Job", "Limits", "plan_files", "seconds_of", "upscale_files"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What to draw beside the upscaled images: predictions, weight maps, a patch (with HR where given)."""

    branches: bool = False
    weights: bool = False
    box: figures.Box | None = None
    hr: Path | None = None

    @property
    def any(self) -> bool:
        """Whether anything is drawn."""
        return self.branches or self.weights or self.box is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What upscaling may take, and may do to colours."""

    max_memory: int | None = None
    """Bytes of memory over what the process takes already; by default nine tenths of what is free."""
    spill: Path | None = None
    """Folder of temporary files; by default that of the results."""
    convert_profile: bool = False
    """Convert images of another colour profile than sRGB instead of refusing them."""


class Job(NamedTuple):
    """A file to upscale: where from, where to, and how."""

    source: Path
    target: Path
    plan: Plan


def upscale_files(
    model: D2CSR,
    paths: Sequence[Path],
    out: Path,
    wanted: Figures | None = None,
    reporter: Reporter | None = None,
    limits: Limits | None = None,
) -> list[Path]:
    """Upscale images to ``OUT/NAME_x{scale}.png``; returns the files written, figures not counted.

    8-bit images give 8-bit ones, 16-bit 16-bit ones. An alpha channel is upscaled bicubically. An orientation flag is
    applied, so the result needs none. Colours are sRGB: an image of another profile is refused, or converted where
    ``limits`` say so. A result of more than 2³⁰ pixels is ``OUT/NAME_x{scale}.tif``, a BigTIFF.

    Raises
    ------
    MemoryNeedError
        When memory or disk are too small for one of them; found before any is started.
    DataError
        When one cannot be read, or two would get the same name.
    """
    reporter = reporter or Reporter()
    wanted, limits = wanted or Figures(), limits or Limits()
    jobs = plan_files(model, paths, out, wanted, limits)
    parts = [_parts(model, job) for job in jobs]
    reporter.start("upscaling", sum(parts))
    done = 0
    for job, steps in zip(jobs, parts, strict=True):
        counter = _Counter(reporter, done, job.source.name)
        if wanted.any:
            _upscale_and_draw(model, job, wanted, limits)
        else:
            _upscale_file(model, job, limits, counter)
        done += steps
        reporter.step(done, job.source.name)
    reporter.finish()
    return [job.target for job in jobs]


def plan_files(
    model: D2CSR, paths: Sequence[Path], out: Path, wanted: Figures | None = None, limits: Limits | None = None
) -> list[Job]:
    """What :func:`upscale_files` would do, decided from the files' headers; raises what it would."""
    wanted, limits = wanted or Figures(), limits or Limits()
    device, scale = next(model.parameters()).device, model.config.scale
    _check_names(paths, scale)
    jobs = []
    for path in paths:
        size = _read(images.read_size, path)
        ending = ".tif" if size[0] * size[1] * scale**2 > PNG_PIXELS else ".png"
        target = out / f"{path.stem}_x{scale}{ending}"
        plan = make_plan(
            model.config,
            size,
            device,
            str(path),
            sample_bytes=_sample_bytes(path),
            keep_all=wanted.any,
            max_memory=limits.max_memory,
        )
        check_disk(plan, target, limits.spill or out)
        jobs.append(Job(path, target, plan))
    return jobs


def seconds_of(model: D2CSR, plan: Plan) -> float:
    """About how long a plan will take, from the time of a small image that is upscaled for it; disks not counted."""
    width, height = min(plan.width, 64), min(plan.height, 48)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    small = make_plan(model.config, (width, height), next(model.parameters()).device)
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        for _strip in upscale_strips(model, pixels, small):
            pass
        seconds.append(time.perf_counter() - begun)
    return min(seconds) * plan.width * plan.height / (width * height)


class _Counter:
    """Counts the parts of a file that are done, from where the file before ended."""

    def __init__(self, reporter: Reporter, done: int, name: str) -> None:
        self.reporter, self.done, self.name = reporter, done, name

    def __call__(self) -> None:
        self.done += 1
        self.reporter.step(self.done, self.name)


def _parts(model: D2CSR, job: Job) -> int:
    return sweeps_in(model) + math.ceil(job.plan.height / job.plan.strip)


def _upscale_file(model: D2CSR, job: Job, limits: Limits, progress: _Counter) -> None:
    """The result alone, strip by strip."""
    pixels, alpha = _pixels(job.source, limits)
    height, width = (model.config.scale * side for side in pixels.shape[:2])
    job.target.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width, 3)
    with contextlib.ExitStack() as opened:
        if height * width > PNG_PIXELS:
            if alpha is not None:
                raise DataError(f"{job.source}: has transparency, which so large results cannot keep; flatten it")
            write = opened.enter_context(output.big_tiff(job.target, shape, pixels.dtype))
        else:
            wide = None if alpha is None else bicubic(alpha, width, height)
            write = opened.enter_context(output.png(job.target, shape, pixels.dtype, wide))
        folder = limits.spill or job.target.parent
        made = opened.enter_context(contextlib.closing(upscale_strips(model, pixels, job.plan, folder, progress)))
        for strip in made:
            write(strip.first, output.as_type(as_image(strip.fused), pixels.dtype))


def _upscale_and_draw(model: D2CSR, job: Job, wanted: Figures, limits: Limits) -> None:
    """The result and figures of all that the network makes."""
    path, target = job.source, job.target
    pixels, alpha = _pixels(path, limits)
    folder = limits.spill or target.parent
    made = upscale(model, pixels, name=str(path), max_memory=limits.max_memory, spill=folder)
    height, width = made.fused.shape[:2]
    wide = None if alpha is None else bicubic(alpha, width, height)
    opener = output.png(target, made.fused.shape, pixels.dtype, wide)
    with opener as write:
        write(0, output.as_type(made.fused, pixels.dtype))
    drawn: dict[str, NDArray[Any]] = {}
    if wanted.branches:
        drawn["branches"] = figures.branches_figure(made)
    if wanted.weights:
        drawn["weights"] = figures.weights_figure(made)
    if wanted.box is not None:
        drawn["patch"] = _patch(pixels, made, wanted, path)
    for name, picture in drawn.items():
        images.write_image(target.with_name(f"{target.stem}_{name}.png"), picture)


def _patch(pixels: NDArray[Any], made: Upscaled, wanted: Figures, path: Path) -> NDArray[Any]:
    hr = None if wanted.hr is None else _read(images.read_image, wanted.hr)
    if hr is not None and hr.shape != made.fused.shape:
        raise DataError(
            f"{wanted.hr}: got {hr.shape[1]}x{hr.shape[0]} pixels, expected "
            f"{made.fused.shape[1]}x{made.fused.shape[0]} ({made.fused.shape[0] // len(pixels)} times {path.name})"
        )
    assert wanted.box is not None
    return figures.patch_figure(pixels, made, wanted.box, hr)


def _check_names(paths: Sequence[Path], scale: int) -> None:
    seen: dict[str, Path] = {}
    for path in paths:
        if path.stem in seen:
            name = f"{path.stem}_x{scale}.png"
            raise ConfigError(f"{seen[path.stem]} and {path} would both become {name}; upscale them to two folders")
        seen[path.stem] = path


def _sample_bytes(path: Path) -> int:
    """2 for an image that may have 16 bits a sample, from its header; 1 for one that cannot."""
    with path.open("rb") as file:
        start = file.read(25)
    if start.startswith(b"\x89PNG"):
        return 1 if start[24] <= 8 else 2  # IHDR's bit depth
    return 2 if start[:2] in (b"II", b"MM") else 1


def _pixels(path: Path, limits: Limits) -> Any:
    return _read(functools.partial(images.read_image_and_alpha, convert=limits.convert_profile), path)


def _read(reader: Any, path: Path) -> Any:
    try:
        return reader(path)
    except ImageError as error:
        raise DataError(f"{path}: {error}") from error
