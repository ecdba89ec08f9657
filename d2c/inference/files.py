"""Upscale image files in the available memory, and keep their depth, transparency and orientation."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from d2c.device import naming_lack_of_memory
from d2c.errors import DataError
from d2c.inference import figures, output, results
from d2c.inference.bicubic import bicubic
from d2c.inference.ensemble import MARK, TURNS
from d2c.inference.failures import Failures
from d2c.inference.plan import PNG_PIXELS, check_disk, make_plan, spelled
from d2c.inference.run import as_image, parts, upscale, upscale_strips
from d2c.networks import network_of
from d2c.precision import available_precision
from d2crealsr.store import ImageError, files, images
from d2crealsr.store.outputs import check_folder, check_name
from d2crealsr.ui.progress import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    import torch
    from torch import nn

    from d2c.networks.base.upscaler import Plan
    from d2c.settings.config import Precision

__all__ = ["Figures", "Job", "Limits", "plan_files", "seconds_of", "upscale_files"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """The figures to draw in addition to the upscaled images: those of the network, and a patch (with HR if given)."""

    names: tuple[str, ...] = ()
    box: figures.Box | None = None
    hr: Path | None = None

    @property
    def any(self) -> bool:
        """Whether any figure is requested."""
        return bool(self.settings)

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """For each figure its name, and the settings on which it depends besides image and checkpoint."""
        drawn: dict[str, dict[str, Any]] = {name: {"figure": name} for name in self.names}
        if self.box is not None:
            hr = "" if self.hr is None else files.sha256_of(self.hr)
            drawn["patch"] = {"figure": "patch", "box": list(self.box), "hr": hr}
        return drawn


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much memory upscaling may use, what it does to colours, and which files it may replace."""

    max_memory: int | None = None
    """Bytes of memory in addition to those that the process uses already; by default nine tenths of the free memory."""
    spill: Path | None = None
    """Folder for temporary files; by default that of the results."""
    convert_profile: bool = False
    """Whether to convert images whose colour profile is not sRGB, or to refuse them."""
    grey: bool = True
    """Whether an image with equal channels gives a result with equal channels, or the colours made by the network."""
    self_ensemble: bool = False
    """Whether to take the mean over the eight flips and transposes of each image."""
    precision: Precision = "fp32"
    """Arithmetic of the network."""
    overwrite: bool = False
    """Whether to replace files in the place of results. Inputs are never replaced."""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that influence pixels."""
        chosen = {"convert_profile": self.convert_profile, "self_ensemble": self.self_ensemble}
        found: dict[str, Any] = {"grey": "auto" if self.grey else "off"}
        found |= {name: True for name, value in chosen.items() if value}
        return found if self.precision == "fp32" else found | {"precision": self.precision}

    def on(self, device: torch.device, note: Callable[[str], None]) -> Limits:
        """The same with a precision that the device has; see :func:`d2c.precision.available_precision`."""
        return dataclasses.replace(self, precision=available_precision(self.precision, device, note))


class Job(NamedTuple):
    """A file to upscale: source, target and plan. ``wanted`` are its results, and the notes stored in them."""

    source: Path
    target: Path
    plan: Plan
    sha256: str
    wanted: Mapping[Path, str]
    missing: Sequence[Path] = ()
    """The results that do not exist yet."""


def upscale_files(
    model: nn.Module,
    paths: Sequence[Path],
    out: Path,
    wanted: Figures | None = None,
    reporter: Reporter | None = None,
    limits: Limits | None = None,
    failures: Failures | None = None,
) -> list[Path]:
    """Upscale images, and images directly in folders, to ``OUT/NAME_x{scale}.png``; returns them without figures.

    8-bit images give 8-bit results, and 16-bit images 16-bit results. An alpha channel is upscaled bicubically. The
    orientation flag is applied, so the result needs none. Colours are sRGB: an image with another profile is refused,
    or converted if ``limits`` say so. Equal channels give equal channels. A result of more than 2³⁰ pixels is
    ``OUT/NAME_x{scale}.tif``, a BigTIFF.

    Each result stores what it was made from (:mod:`d2c.inference.results`). Results that exist already are not made
    again, and any other file in their place is left alone. If an image cannot be read or does not fit into memory, it
    is named, the others are made, and the error is raised at the end (by ``failures`` if the caller provides it).

    Raises
    ------
    MemoryNeedError
        When memory is too small for the only image, or the disk for one of them. This is checked before the work.
    ConfigError
        When two results would have the same name, or a result would replace an input or another file. This is checked
        before the work too.
    UsageError
        When the name of a result would be too long.
    DataError, BatchError
        When the only image, or some of several, cannot be read or are too large.
    """
    reporter = reporter or Reporter()
    device = next(model.parameters()).device
    wanted, limits = wanted or Figures(), (limits or Limits()).on(device, reporter.note)
    met = failures or Failures(reporter)
    jobs = plan_files(model, paths, out, wanted, limits, met)
    files.remove_abandoned(out)
    left = [job for job in jobs if job.missing]
    if len(left) < len(jobs):
        reporter.note(f"{len(jobs) - len(left)} of {len(jobs)} results are there already")
    counts = [_parts(model, job) for job in left]
    reporter.start("upscaling", sum(counts))
    done = 0
    for job, steps in zip(left, counts, strict=True):
        counter = _Counter(reporter, done, job.source.name)
        with met.of(str(job.source)), naming_lack_of_memory(functools.partial(_lack, job, device)):
            if wanted.any:
                _upscale_and_draw(model, job, wanted, limits)
            else:
                _upscale_file(model, job, limits, counter)
        done += steps
        reporter.step(done, job.source.name)
    reporter.finish()
    if failures is None:
        met.conclude()
    return [job.target for job in jobs if str(job.source) not in met.met]


def plan_files(
    model: nn.Module,
    paths: Sequence[Path],
    out: Path,
    wanted: Figures | None = None,
    limits: Limits | None = None,
    failures: Failures | None = None,
) -> list[Job]:
    """Plan the work of :func:`upscale_files` from the headers of the files; raises the same errors.

    Images whose header cannot be read are added to ``failures``. Without it, the first one raises its error.
    """
    met = failures or Failures(Reporter())
    wanted = wanted or Figures()
    limits = (limits or Limits()).on(next(model.parameters()).device, met.reporter.note)
    inputs, said = results.images_of(paths)
    for line in said:
        met.reporter.note(line)
    results.check_names(inputs, network_of(model)[1].scale)
    check_folder(out)
    met.total = len(inputs)
    checkpoint, jobs = results.model_digest(model), []
    for path in inputs:
        with met.of(str(path)):
            jobs.append(_job(model, path, out, wanted, limits, checkpoint))
    if failures is None:
        met.conclude()
    read = [*inputs, *([] if wanted.hr is None else [wanted.hr])]
    notes = {target: note for job in jobs for target, note in job.wanted.items()}
    for target in notes:
        check_name(target)
    left = set(results.missing(notes, read, overwrite=limits.overwrite))
    jobs = [job._replace(missing=[target for target in job.wanted if target in left]) for job in jobs]
    for job in jobs:
        if job.missing:
            check_disk(job.plan, job.target, limits.spill or out)
    return jobs


def _job(model: nn.Module, path: Path, out: Path, wanted: Figures, limits: Limits, checkpoint: str) -> Job:
    """The job of one file, with all its results still to be made."""
    network, config = network_of(model)
    scale = config.scale
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is not a plain file; give an image file, or a folder of them")
    size = _read(images.read_size, path)
    ending = ".tif" if size[0] * size[1] * scale**2 > PNG_PIXELS else ".png"
    target = out / f"{path.stem}_x{scale}{ending}"
    plan = make_plan(
        network.upscaler(config),
        size,
        next(model.parameters()).device,
        str(path),
        sample_bytes=_sample_bytes(path),
        keep_all=wanted.any,
        max_memory=limits.max_memory,
        self_ensemble=limits.self_ensemble,
    )
    if wanted.hr is not None:
        _check_hr(wanted.hr, path, (scale * size[0], scale * size[1]))
    origin = results.Origin(files.sha256_of(path), checkpoint, limits.settings)
    notes = {target: origin.note}
    for name, settings in wanted.settings.items():
        drawn = origin._replace(settings={**limits.settings, **settings})
        notes[target.with_name(f"{target.stem}_{name}.png")] = drawn.note
    return Job(path, target, plan, origin.input, notes)


def seconds_of(model: nn.Module, plan: Plan, precision: Precision = "fp32") -> float:
    """Approximate time of a plan without disks, measured by upscaling a small image."""
    width, height = min(plan.width, 64), min(plan.height, 48)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    network, config = network_of(model)
    small = make_plan(network.upscaler(config), (width, height), next(model.parameters()).device)
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        for _strip in upscale_strips(model, pixels, small, precision=precision):
            pass
        seconds.append(time.perf_counter() - begun)
    times = 1 if plan.turned is None else TURNS
    return times * min(seconds) * plan.width * plan.height / (width * height)


def _lack(job: Job, device: torch.device) -> str:
    """What is said when memory ran out while a file was upscaled."""
    less = spelled(job.plan.memory // 2).replace(" ", "")
    return (
        f"{job.source}: memory ran out on {device}, although {spelled(job.plan.memory)} were planned; "
        f"give --max-memory {less}, or crop the image"
    )


class _Counter:
    """Counts the finished parts of a file, beginning with the count of the previous files."""

    def __init__(self, reporter: Reporter, done: int, name: str) -> None:
        self.reporter, self.done, self.name = reporter, done, name

    def __call__(self) -> None:
        self.done += 1
        self.reporter.step(self.done, self.name)


def _parts(model: nn.Module, job: Job) -> int:
    network, config = network_of(model)
    return parts(network.upscaler(config), job.plan)


def _upscale_file(model: nn.Module, job: Job, limits: Limits, progress: _Counter) -> None:
    """Make only the result, strip by strip."""
    pixels, alpha = _pixels(job, limits)
    scale = network_of(model)[1].scale
    height, width = (scale * side for side in pixels.shape[:2])
    job.target.parent.mkdir(parents=True, exist_ok=True)
    shape, note = (height, width, 3), (results.KEY, job.wanted[job.target])
    finished = output.finisher(pixels, grey=limits.grey)
    with contextlib.ExitStack() as opened:
        if height * width > PNG_PIXELS:
            if alpha is not None:
                raise DataError(f"{job.source}: has transparency, which so large results cannot keep; flatten it")
            write = opened.enter_context(output.big_tiff(job.target, shape, pixels.dtype, note))
        else:
            wide = None if alpha is None else bicubic(alpha, width, height)
            write = opened.enter_context(output.png(job.target, shape, pixels.dtype, wide, note))
        folder = limits.spill or job.target.parent
        strips = upscale_strips(model, pixels, job.plan, folder, progress, precision=limits.precision)
        made = opened.enter_context(contextlib.closing(strips))
        for strip in made:
            write(strip.first, output.as_type(finished(as_image(strip.sr)), pixels.dtype))


def _upscale_and_draw(model: nn.Module, job: Job, wanted: Figures, limits: Limits) -> None:
    """Make the result and the figures. Figures show the result as it is written, and other outputs unchanged."""
    path, target = job.source, job.target
    pixels, alpha = _pixels(job, limits)
    folder = limits.spill or target.parent
    ensemble = limits.self_ensemble
    made = upscale(
        model,
        pixels,
        name=str(path),
        max_memory=limits.max_memory,
        spill=folder,
        self_ensemble=ensemble,
        precision=limits.precision,
    )
    made = made._replace(sr=output.finisher(pixels, grey=limits.grey)(made.sr))
    height, width = made.sr.shape[:2]
    network, _ = network_of(model)
    drawn = {name: network.draw(name, made) for name in wanted.names}
    if wanted.box is not None:
        hr = None if wanted.hr is None else _read(images.read_image, wanted.hr)
        named = {name + MARK * ensemble: image for name, image in network.images(made).items()}
        drawn["patch"] = figures.patch_figure(pixels, named, wanted.box, hr)
    if target in job.missing:
        wide = None if alpha is None else bicubic(alpha, width, height)
        with output.png(target, made.sr.shape, pixels.dtype, wide, (results.KEY, job.wanted[target])) as write:
            write(0, output.as_type(made.sr, pixels.dtype))
    for name, picture in drawn.items():
        place = target.with_name(f"{target.stem}_{name}.png")
        if place in job.missing:
            images.write_image(place, picture, note=(results.KEY, job.wanted[place]))


def _check_hr(hr: Path, path: Path, expected: tuple[int, int]) -> None:
    """Raise an error if the HR image for the patch figure does not have the size of the result."""
    got = _read(images.read_size, hr)
    if got != expected:
        raise DataError(
            f"{hr}: got {got[0]}x{got[1]} pixels, expected {expected[0]}x{expected[1]} (the size that {path.name} "
            "is upscaled to); give the HR image of this file"
        )


def _sample_bytes(path: Path) -> int:
    """2 if an image may have 16 bits per sample according to its header, else 1."""
    with files.open_regular(path) as file:
        start = file.read(25)
    if start.startswith(b"\x89PNG"):
        return 1 if start[24] <= 8 else 2  # IHDR's bit depth
    return 2 if start[:2] in (b"II", b"MM") else 1


def _pixels(job: Job, limits: Limits) -> Any:
    """Pixels and alpha channel, decoded from the same bytes whose hash is stored in the result."""
    found = _read(functools.partial(images.read_image_and_alpha, convert=limits.convert_profile), job.source)
    if files.sha256_of(job.source) != job.sha256:
        raise DataError(f"{job.source}: was replaced while this command ran; run it again")
    return found


def _read(reader: Any, path: Path) -> Any:
    try:
        return reader(path)
    except ImageError as error:
        raise DataError(f"{path}: {error}") from error
