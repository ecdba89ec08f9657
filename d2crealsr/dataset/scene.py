"""One scene as one task: read both captures, align them, publish the pair, and return the rows.

A task depends only on its arguments and the files that they name. It may therefore run in any process on any machine
with access to the files. An error of a scene becomes its row; only a failing machine ends the run.
"""

from __future__ import annotations

import dataclasses
import re
import socket
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from d2crealsr.align import Alignment
from d2crealsr.dataset import lens_profiles
from d2crealsr.dataset.freshness import (
    TRY_AGAIN,
    SceneResult,
    SceneTask,
    acceptor,
    acceptor_of_row,
    held_result_holds,
    is_loss,
    is_published,
    is_withdrawn,
    missing,
    same_captures,
    source_cells,
    still_holds,
    unavailable,
)
from d2crealsr.dataset.rejudge import judge_row, published_from_row
from d2crealsr.dataset.rows import Row, message_of, rows_of
from d2crealsr.dataset.tone_curves import with_tones_of_cameras
from d2crealsr.errors import ImageError, MachineError, is_out_of_memory
from d2crealsr.store.files import cannot_write, sha256_of
from d2crealsr.store.images import CaptureImage, read_capture, read_image, write_image
from d2crealsr.store.locks import check_lease
from d2crealsr.store.pairs import published_paths
from d2crealsr.types import AlignmentFailure, Image, Size

__all__ = ["lost_scene", "remove_published", "run_scene"]

_FILE_CELLS = ("hr_path", "lr_path", "hr_sha256", "lr_sha256")
_OUT_OF_MEMORY = "it needs more memory than there is; use fewer --jobs, or a machine with more"
_WORKER_DIED = "its worker process was killed twice, as happens when memory runs out; use fewer --jobs, or look there"


def run_scene(task: SceneTask) -> SceneResult:
    """Align one scene, unless its known row agrees with its files, its recipe and the reviewer's decision.

    Raises
    ------
    MachineError
        When the pairs folder cannot be written. Anything else becomes a failed row.
    """
    clock = _Clock()
    row, stood = source_cells(task), is_published(task)
    if stood and (why := unavailable(task, row)):
        return _withdrawn(task, why) if is_withdrawn(task) else _kept(task, why)
    known = task.known if not task.force and still_holds(task, row) else None
    if known is not None and known["recipe"] == task.recipe and known["accepted_by"] == acceptor_of_row(task, known):
        return SceneResult(row={**known, **row}, unchanged=True)
    if task.held is not None and held_result_holds(task.held.row, task, row):
        return dataclasses.replace(task.held, row={**task.held.row, **row})
    details = ""
    try:
        if known is not None and (judged := _judged(task, known, row)) is not None:
            return judged
        outcome = _align(task, clock, row)
        result = _result_of(task, row, outcome)
        if is_loss(task, row, result.row["status"]):
            result = dataclasses.replace(result, lost=True)
        else:
            result.row.update(_publish(task, row, outcome, clock))
    except ImageError as error:
        result = _failed(task, row, reason=error.reason, message=str(error), of_image=True)
    except MachineError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            result = _failed(task, row, reason="out_of_memory", message=_OUT_OF_MEMORY)
        else:
            # A scene must never end the run, whatever is wrong with it or with the code.
            details = f"scene {task.capture.scene}\n{traceback.format_exc()}"
            text = re.sub(r" at 0x[0-9a-f]+", "", " ".join(str(error).split())) or "no message"
            message = f"{type(error).__name__}: {text}; errors.log has the details, please report them"
            result = _failed(task, row, reason="internal_error", message=message)
    timing = {} if result.unchanged else clock.row(task.capture.scene)
    recaptured = stood and not result.unchanged and not same_captures(task, row)
    return dataclasses.replace(result, timing=timing, traceback=details, recaptured=recaptured)


def lost_scene(task: SceneTask) -> SceneResult:
    """The failed row of a scene whose worker process died twice. Raises the same errors as :func:`run_scene`."""
    result = _failed(task, source_cells(task), reason="worker_died", message=_WORKER_DIED)
    return result if result.unchanged else dataclasses.replace(result, timing=_Clock().row(task.capture.scene))


def _failed(task: SceneTask, sources: Row, *, reason: str, message: str, of_image: bool = False) -> SceneResult:
    """The result of a scene without an estimate. A published pair is kept if the machine failed or new captures cannot
    be read. If settings caused the failure, the result is held back. Otherwise the pair is withdrawn."""
    if is_published(task) and (reason in TRY_AGAIN or (of_image and not same_captures(task, sources))):
        return _kept(task, message)
    result = _result_of(task, sources, AlignmentFailure(reason=reason, message=message))
    if is_loss(task, sources, "failed"):
        return dataclasses.replace(result, lost=True)
    remove_published(task.out, task.capture.scene)
    return result


def _kept(task: SceneTask, why: str) -> SceneResult:
    """The result that leaves the published pair as it is."""
    return SceneResult(row={**(task.known or {}), "group": task.capture.group}, unchanged=True, kept=why)


def _withdrawn(task: SceneTask, why: str) -> SceneResult:
    """The result of withdrawing the accept of a pair whose captures cannot be used: the pair goes if QA rejects it."""
    kept = _kept(task, why)
    by = acceptor_of_row(task, kept.row)
    if not by:
        return _taken_back(task, kept.row)
    return dataclasses.replace(kept, row=kept.row | {"accepted_by": by}, unchanged=False, judged=True)


def _result_of(task: SceneTask, sources: Row, outcome: Alignment | AlignmentFailure) -> SceneResult:
    by = acceptor(task, sources, outcome.reasons) if isinstance(outcome, Alignment) else ""
    rows = rows_of(outcome, {**sources, "recipe": task.recipe}, task.settings, by)
    return SceneResult(row=rows.row, stages=rows.stages, residuals=rows.residuals)


class _Clock:
    """Measures the seconds of each part of the work, for ``timings.csv`` only."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._parts: dict[str, float] = {}

    def lap(self, part: str) -> None:
        """Add the time since the last lap to ``part``. An empty name discards it."""
        now = time.perf_counter()
        if part:
            self._parts[f"seconds_{part}"] = now - self._last
        self._last = now

    def row(self, scene: str) -> Row:
        return {
            "scene": scene,
            "seconds": time.perf_counter() - self._start,
            **self._parts,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": socket.gethostname(),
        }


def _judged(task: SceneTask, known: Mapping[str, Any], sources: Row) -> SceneResult | None:
    """The result of judging the known row again, with its pair published or withdrawn; None if it must be aligned."""
    row: Row = {**known, **sources, "recipe": task.recipe}
    if known["status"] == "failed":
        return SceneResult(row=row, judged=True)
    if known["recipe"] != task.recipe:
        verdict = judge_row(known, task.settings)
        if verdict is None:
            return None
        row["reasons"] = ";".join(verdict.reasons)
        row["message"] = message_of(verdict.explained, row)
    row["accepted_by"] = acceptor_of_row(task, row)
    row["status"] = "accepted" if row["accepted_by"] else "rejected"
    if row["status"] == known["status"]:
        return SceneResult(row=row, judged=True)
    if row["status"] == "rejected":
        return _taken_back(task, row, lost=is_loss(task, sources, "rejected"))
    if not task.judges:
        return None
    read: Row = {}
    images = _captures(task, read)
    if any(read[name] != row[name] for name in ("hr_source_sha256", "lr_source_sha256")):
        return None  # the capture was exchanged in the meantime
    published = published_from_row(row, images["hr"].pixels, images["lr"].pixels, task.settings)
    if published is None:
        return None
    return SceneResult(row=row | _write(task, *published), judged=True)


def _taken_back(task: SceneTask, row: Row, *, lost: bool = False) -> SceneResult:
    """The result that withdraws a pair and keeps its estimate. The files stay if this is a loss."""
    row |= {"status": "rejected", "accepted_by": "", **dict.fromkeys(_FILE_CELLS, "")}
    if not lost:
        _check_lease(task)
        remove_published(task.out, task.capture.scene)
    return SceneResult(row=row, judged=True, lost=lost)


def _align(task: SceneTask, clock: _Clock, row: Row) -> Alignment | AlignmentFailure:
    """Read and align the captures. Their colour profiles are entered into ``row``."""
    absent = missing(task.capture)
    if absent is not None:
        return absent
    images = _captures(task, row)
    clock.lap("read")
    settings = task.settings
    if settings.lens_profile != "none":
        captures = {"hr": task.capture.hr, "lr": task.capture.lr}
        known = {side: path for side, path in captures.items() if path is not None}
        sizes = {side: Size.of(image.pixels) for side, image in images.items()}
        settings, row["lens_model"] = lens_profiles.with_lens_profiles(settings, known, sizes)
    cameras = {side: row.get(f"{side}_camera") or "" for side in images}
    settings = with_tones_of_cameras(settings, images, cameras)
    hr, lr = (images[side] if images[side].tone else images[side].pixels for side in ("hr", "lr"))
    points = {"points": task.points} if task.points else {}
    outcome = task.align(hr, lr, settings=settings, **points)
    clock.lap("align")
    return outcome


def _captures(task: SceneTask, row: Row) -> dict[str, CaptureImage]:
    """Read both captures in sRGB. Their colour profiles and the hashes of the decoded bytes go into ``row``."""
    converts = {"hr": True, "lr": task.settings.convert_lr_profile}
    images: dict[str, CaptureImage] = {}
    for side, path in (("hr", task.capture.hr), ("lr", task.capture.lr)):
        if path is not None:
            balanced_as = task.capture.hr if side == "lr" else None
            read = read_capture(
                path, convert=converts[side], max_pixels=task.options.max_pixels, balanced_as=balanced_as
            )
            images[side], row[f"{side}_profile"], row[f"{side}_source_sha256"] = read, read.converted_from, read.sha256
            row[f"{side}_developed"] = read.developed
    return images


# --- files -------------------------------------------------------------------------------------------------------


def _publish(task: SceneTask, sources: Row, outcome: Alignment | AlignmentFailure, clock: _Clock) -> Row:
    """Write the accepted pair, or remove the pair of an earlier run; returns the cells that name the files."""
    scene, out = task.capture.scene, task.out
    if not isinstance(outcome, Alignment) or not acceptor(task, sources, outcome.reasons):
        if task.known is not None or missing(task.capture) is None:  # otherwise the owner of the files is unknown
            _check_lease(task)
            remove_published(out, scene)
        return {}
    clock.lap("")
    cells = _write(task, outcome.hr, outcome.lr)
    clock.lap("write")
    return cells


def _write(task: SceneTask, hr: Image, lr: Image) -> Row:
    """Write both images of a pair, unless its files have their pixels already; returns the cells that name them.

    The bytes of a PNG may change between versions, and whoever goes by its hash would take the pair for another one.
    """
    hr_path, lr_path = published_paths(task.capture.scene)
    hashes = {}
    for name, path, image in (("hr_sha256", hr_path, hr), ("lr_sha256", lr_path, lr)):
        _check_lease(task)
        if task.options.force or not _is_published_already(task, name, path, image):
            write_image(task.out / path, image, names_colours=True)
        hashes[name] = sha256_of(task.out / path)
    return {"hr_path": hr_path, "lr_path": lr_path, **hashes}


def _is_published_already(task: SceneTask, name: str, path: str, image: Image) -> bool:
    """Whether the file that an earlier run published, and that nobody changed since, has the same pixels."""
    file = task.out / path
    try:
        if task.known is None or not file.is_file() or sha256_of(file) != task.known[name]:
            return False
        there = read_image(file)
    except (ImageError, OSError):
        return False
    return there.dtype == image.dtype and np.array_equal(there, image)


def _check_lease(task: SceneTask) -> None:
    if task.lease:
        check_lease(task.out, task.lease)


def remove_published(out: Path, scene: str) -> None:
    """Remove the published files of a scene, if there are any; raises MachineError if they cannot be removed."""
    for path in published_paths(scene):
        try:
            (out / path).unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(out / path, error) from error
