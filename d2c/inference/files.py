"""Upscale image files in the available memory, and keep their depth, transparency and orientation."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from d2c.device import available_bytes, naming_lack_of_memory
from d2c.errors import DataError
from d2c.inference import confidence, figures, output, results
from d2c.inference.beside import computes_beside, work_through
from d2c.inference.canvas import Canvas, rows_as_type
from d2c.inference.ensemble import MARK, TURNS
from d2c.inference.failures import Failures
from d2c.inference.jobs import Figures, Job, Limits
from d2c.inference.plan import PNG_PIXELS, check_disk, make_plan, spelled
from d2c.inference.run import parts, upscale, upscale_strips
from d2c.inference.writing import companion, write_all, write_map_of
from d2c.networks import network_of
from d2crealsr.store import ImageError, files, images
from d2crealsr.store.outputs import check_folder, check_name
from d2crealsr.ui.progress import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from torch import nn

    from d2c.networks.base.upscaler import Plan
    from d2c.settings.config import Precision

__all__ = ["Figures", "Job", "Limits", "plan_files", "seconds_of", "upscale_files"]


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
    ``OUT/NAME_x{scale}.tif``, a BigTIFF. The map of :mod:`d2c.inference.confidence` is made of the result, also of one
    that exists already.

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
    done = dict(zip([job.source for job in left], itertools.accumulate(counts), strict=True))
    counter = _Counter(reporter)

    def compute(job: Job, decoded: Any) -> Callable[[], None]:
        """Upscale a file; returns what writes its results."""
        writes: list[Callable[[], None]] = []
        if job.only_map:
            return functools.partial(write_map_of, job, _finished_result(job.target))
        if wanted.need_outputs:
            _upscale_and_draw(model, job, decoded, wanted, limits, writes.append)
        else:
            counter.done, counter.name = done[job.source] - _parts(model, job), job.source.name
            _upscale_file(model, job, decoded, limits, counter, writes.append)
        return writes[0] if writes else lambda: None

    def conclude(job: Job, wait: Callable[[], None]) -> None:
        with met.of(str(job.source)), naming_lack_of_memory(functools.partial(_lack, job, device)):
            wait()
        counter.reach(done[job.source], job.source.name)

    read = functools.partial(_pixels, limits=limits)
    work_through(left, read, compute, conclude, threads=computes_beside(device), room=_room)
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
    digest = results.model_digest(model)
    origin = results.Origin("", digest, limits.settings, results.builtin_of(model, digest))
    jobs = []
    for path in inputs:
        with met.of(str(path)):
            jobs.append(_job(model, path, out, wanted, limits, origin))
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


def _job(model: nn.Module, path: Path, out: Path, wanted: Figures, limits: Limits, origin: results.Origin) -> Job:
    """The job of one file, with all its results still to be made. Its hash is added to ``origin``."""
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
        keep_all=wanted.need_outputs,
        max_memory=limits.max_memory,
        self_ensemble=limits.self_ensemble,
        precision=limits.precision,
    )
    if wanted.box is not None and not figures.is_inside(wanted.box, *size):
        raise DataError(
            f"{path}: has {size[0]}x{size[1]} pixels, and the box {','.join(map(str, wanted.box))} is not inside; "
            "change --box, or upscale this image without it"
        )
    if wanted.hr is not None:
        _check_hr(wanted.hr, path, (scale * size[0], scale * size[1]), limits)
    origin = origin._replace(input=files.sha256_of(path))
    sampling = network.sampling
    own = origin if sampling is None else origin._replace(settings={**limits.settings, **sampling.result_note})
    notes = {target: own.note}
    for name, settings in wanted.settings.items():
        drawn = origin._replace(settings={**limits.settings, **settings})
        notes[companion(target, name)] = drawn.note
    job = Job(path, target, scale, plan, origin.input, notes)
    if not wanted.confidence:
        return job
    told = own._replace(settings={**own.settings, "figure": confidence.NAME, "value": confidence.UNIT})
    more = dataclasses.replace(plan, result=plan.result + scale**2 * plan.width * plan.height)
    return job._replace(plan=more, wanted={**notes, job.map: told.note})


def seconds_of(model: nn.Module, plan: Plan, precision: Precision = "fp32") -> float:
    """Approximate time of a plan without disks, measured by upscaling a small image."""
    width, height = min(plan.width, 64), min(plan.height, 48)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    network, config = network_of(model)
    small = make_plan(network.upscaler(config), (width, height), next(model.parameters()).device, precision=precision)
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


def _room(written: Job, computed: Job) -> bool:
    """Whether there is memory to write one result while another is computed: its rows, and its bytes three times."""
    free = available_bytes(torch.device("cpu"))
    return free is None or 4 * (written.plan.result + computed.plan.result) < free


class _Counter:
    """Counts the finished parts of all files, and tells a reporter, with the name of the file that is worked on."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter, self.done, self.name = reporter, 0, ""

    def __call__(self) -> None:
        self.reach(self.done + 1, self.name)

    def reach(self, done: int, name: str) -> None:
        """So many parts are done, or more already if the next file has begun."""
        self.done = max(self.done, done)
        self.reporter.step(self.done, name)


def _parts(model: nn.Module, job: Job) -> int:
    """Number of parts in which the work on a file is counted."""
    if job.only_map:
        return 1
    network, config = network_of(model)
    return parts(network.upscaler(config), job.plan)


def _upscale_file(
    model: nn.Module,
    job: Job,
    decoded: Any,
    limits: Limits,
    progress: _Counter,
    hand_over: Callable[[Callable[[], None]], None],
) -> None:
    """Make only the result, strip by strip, and hand over what writes it. A very large one is written row by row."""
    pixels, alpha = decoded
    scale, like = network_of(model)[1].scale, next(model.parameters())
    shape, note = (*(scale * side for side in pixels.shape[:2]), 3), (results.KEY, job.wanted[job.target])
    grey = limits.grey and output.is_grey(pixels)
    folder = limits.spill or job.target.parent
    job.target.parent.mkdir(parents=True, exist_ok=True)
    strips = upscale_strips(model, pixels, job.plan, folder, progress, precision=limits.precision)
    with contextlib.closing(strips) as made:
        if shape[0] * shape[1] <= PNG_PIXELS:
            canvas = Canvas(shape, pixels.dtype, like.device, grey=grey)
            for strip in made:
                canvas.put(strip.first, strip.sr)
            hand_over(functools.partial(write_all, job, {job.target: canvas.pixels()}, alpha, {}))
            return
        if alpha is not None:
            raise DataError(f"{job.source}: has transparency, which so large results cannot keep; flatten it")
        with output.big_tiff(job.target, shape, pixels.dtype, note) as write:
            for strip in made:
                write(strip.first, rows_as_type(strip.sr, pixels.dtype, grey=grey))
    if job.map in job.missing:
        write_map_of(job, confidence.finished_result(job.target))


def _upscale_and_draw(
    model: nn.Module,
    job: Job,
    decoded: Any,
    wanted: Figures,
    limits: Limits,
    hand_over: Callable[[Callable[[], None]], None],
) -> None:
    """Make the result and the figures, and hand over what writes them.

    Figures show the result as it is written, and other outputs unchanged.
    """
    pixels, alpha = decoded
    made = upscale(
        model,
        pixels,
        name=str(job.source),
        max_memory=limits.max_memory,
        spill=limits.spill or job.target.parent,
        self_ensemble=limits.self_ensemble,
        precision=limits.precision,
    )
    own = output.as_grey if limits.grey and output.is_grey(pixels) else lambda image: image
    made = made._replace(sr=own(made.sr))
    network, _ = network_of(model)
    drawn = {name: network.draw(name, made) for name in wanted.by_network}
    if wanted.box is not None:
        hr = None if wanted.hr is None else _hr_pixels(wanted.hr, limits)
        named = {name + MARK * limits.self_ensemble: image for name, image in network.images(made).items()}
        drawn["patch"] = figures.patch_figure(pixels, named, wanted.box, hr)
    samples = zip(wanted.samples, made.more["samples"], strict=True) if wanted.samples else ()
    photographs = {job.target: output.as_type(made.sr, pixels.dtype)}
    photographs |= {companion(job.target, name): output.as_type(own(sample), pixels.dtype) for name, sample in samples}
    hand_over(functools.partial(write_all, job, photographs, alpha, drawn))


def _check_hr(hr: Path, path: Path, expected: tuple[int, int], limits: Limits) -> None:
    """Raise an error if the HR image for the patch figure does not have the size of the result, or its colours."""
    got = _read(images.read_size, hr)
    if got != expected:
        raise DataError(
            f"{hr}: got {got[0]}x{got[1]} pixels, expected {expected[0]}x{expected[1]} (the size that {path.name} "
            "is upscaled to); give the HR image of this file"
        )

    def colours(file: Path) -> str:
        return images.foreign_colours(images.bytes_of(file), file.name, convert=limits.convert_profile)

    if _read(colours, hr):
        _hr_pixels(hr, limits)  # only decoding shows whether it can be converted


def _hr_pixels(hr: Path, limits: Limits) -> Any:
    """HR for the patch figure, in the colours of the result."""
    return _read(functools.partial(images.read_image, convert=limits.convert_profile), hr)


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
        raise DataError(error.at(path)) from error


def _finished_result(path: Path) -> Any:
    """The pixels of a result that is there already."""
    try:
        return confidence.finished_result(path)
    except ImageError as error:
        raise DataError(
            f"{path}: this result is damaged, so that no map can be made of it; delete it and give the command again, "
            "which makes both"
        ) from error
