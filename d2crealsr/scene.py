"""One scene as one task: read both captures, align them, publish the pair, and say in rows what came of it.

A task depends on nothing but its arguments and the files they name, so it may run in any process on any machine that
sees the files. What goes wrong with the scene becomes its row; only a failing machine ends the run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import socket
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from d2crealsr import lens
from d2crealsr.again import judge_row, published_from_row
from d2crealsr.errors import ImageError, MachineError
from d2crealsr.opencv import is_out_of_memory
from d2crealsr.quality.verdict import NOT_PUBLISHABLE, QA_SETTINGS
from d2crealsr.rows import Row, message_of, rows_of
from d2crealsr.settings import AlignSettings
from d2crealsr.store.captures import Capture
from d2crealsr.store.files import cannot_write, sha256_of
from d2crealsr.store.images import MAX_PIXELS, read_capture, write_image
from d2crealsr.store.locks import check_lease
from d2crealsr.store.pairs import FORMAT_VERSION, published_paths
from d2crealsr.threads import use_one_thread
from d2crealsr.types import Alignment, AlignmentFailure, Image, Size

__all__ = ["Aligner", "SceneResult", "SceneTask", "lost_scene", "recipe_of", "remove_published", "run_scene"]

Aligner: TypeAlias = Callable[..., Alignment | AlignmentFailure]
"""``align(hr, lr, *, settings)``; :func:`d2crealsr.align.align_pair` but in tests."""

_TRY_AGAIN = ("internal_error", "out_of_memory", "too_large", "worker_died")
"""Failures that another run may not meet, with other limits or another machine: no recipe tells of them."""

_OUT_OF_MEMORY = "it needs more memory than there is; use fewer --jobs, or a machine with more"
_WORKER_DIED = "its worker process was killed twice, as happens when memory runs out; use fewer --jobs, or look there"


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneTask:
    """What a scene's result depends on.

    Attributes
    ----------
    root, out : Path
        Absolute: the folder that the captures' paths are relative to, and the pairs folder.
    recipe : str
        Fingerprints of settings and versions (:func:`recipe_of`).
    known : mapping or None
        The scene's manifest row of an earlier run; None to do it in any case.
    judges : bool
        Whether reasons and pixels of ``align`` follow from what the manifest keeps, as those of `align_pair` do: then
        other thresholds need no other estimate.
    overrule : bool
        Whether a reviewer accepts the scene should QA reject it.
    max_pixels : int
        Largest capture that is decoded.
    lease : str
        What the run that holds ``out`` was given (:func:`d2crealsr.store.locks.check_lease`); empty where none does.
    """

    capture: Capture
    root: Path
    out: Path
    settings: AlignSettings
    recipe: str
    known: Mapping[str, Any] | None
    align: Aligner
    judges: bool = False
    overrule: bool = False
    max_pixels: int = MAX_PIXELS
    lease: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneResult:
    """Rows of one scene for the four tables; ``unchanged`` when an earlier run's still hold.

    ``judged``: an earlier run's estimate holds, and ``row`` is its row with another verdict.
    """

    row: Row
    unchanged: bool = False
    judged: bool = False
    stages: list[Row] = field(default_factory=list)
    residuals: list[Row] = field(default_factory=list)
    timing: Row = field(default_factory=dict)
    traceback: str = ""


def recipe_of(settings: AlignSettings, tool_version: str) -> str:
    """Fingerprints of all that decides a scene's result besides its captures: ``ESTIMATE.VERDICT``.

    The second is of the settings that QA alone goes by.
    """
    values = dataclasses.asdict(settings)
    qa = {name: values.pop(name) for name in QA_SETTINGS}
    parts = ({"format": FORMAT_VERSION, "tool": tool_version, "settings": values}, qa)
    return ".".join(hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:16] for part in parts)


def run_scene(task: SceneTask) -> SceneResult:
    """Do one scene, unless its files, its recipe and what the reviewer decided are what its known row says.

    Raises
    ------
    MachineError
        When the pairs folder cannot be written. Anything else becomes a failed row.
    """
    use_one_thread()
    clock = _Clock()
    row = _source_cells(task)
    known = task.known if _stands(task, row) else None
    if known is not None and known["recipe"] == task.recipe and known["accepted_by"] == _lets_through(task, known):
        return SceneResult(row={**known, **row}, unchanged=True)
    details = ""
    try:
        if known is not None and (judged := _judged(task, known, row)) is not None:
            return judged
        outcome = _align(task, clock, row)
        result = _told(task, row, outcome)
        result.row.update(_publish(task, outcome, clock))
    except ImageError as error:
        result = _failed(task, row, reason=error.reason, message=str(error))
    except MachineError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            result = _failed(task, row, reason="out_of_memory", message=_OUT_OF_MEMORY)
        else:
            # A scene must never end the run, whatever is wrong with it or with the code that met it.
            details = f"scene {task.capture.scene}\n{traceback.format_exc()}"
            text = re.sub(r" at 0x[0-9a-f]+", "", " ".join(str(error).split())) or "no message"
            message = f"{type(error).__name__}: {text}; errors.log has the details, please report them"
            result = _failed(task, row, reason="internal_error", message=message)
    return dataclasses.replace(result, timing=clock.row(task.capture.scene), traceback=details)


def lost_scene(task: SceneTask) -> SceneResult:
    """The failed row of a scene whose worker process died twice; see :func:`run_scene` for what is raised."""
    result = _failed(task, _source_cells(task), reason="worker_died", message=_WORKER_DIED)
    return dataclasses.replace(result, timing=_Clock().row(task.capture.scene))


def _failed(task: SceneTask, sources: Row, *, reason: str, message: str) -> SceneResult:
    """A scene without an estimate: its rows; nothing of it stays published."""
    remove_published(task.out, task.capture.scene)
    return _told(task, sources, AlignmentFailure(reason=reason, message=message))


def _told(task: SceneTask, sources: Row, outcome: Alignment | AlignmentFailure) -> SceneResult:
    accepted_by = _accepted_by(outcome.reasons, task.overrule) if isinstance(outcome, Alignment) else ""
    rows = rows_of(outcome, {**sources, "recipe": task.recipe}, task.settings, accepted_by)
    return SceneResult(row=rows.row, stages=rows.stages, residuals=rows.residuals)


class _Clock:
    """Seconds by part of the work, for ``timings.csv`` alone."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._parts: dict[str, float] = {}

    def lap(self, part: str) -> None:
        """The time since the last lap went into ``part``; an empty name is for what belongs to none."""
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


def _source_cells(task: SceneTask) -> Row:
    """The cells that say which captures the scene has: cheap, and written also for a scene that is up to date."""
    cells: Row = {"scene": task.capture.scene, "group": task.capture.group}
    for side, path in (("hr", task.capture.hr), ("lr", task.capture.lr)):
        cells[f"{side}_source"] = "" if path is None else path.relative_to(task.root).as_posix()
        cells[f"{side}_source_sha256"] = "" if path is None else _hash(path)
    return cells


def _hash(path: Path) -> str:
    """SHA-256 of a file, empty where it cannot be read: reading it as an image will say why."""
    try:
        return sha256_of(path)
    except OSError:
        return ""


def _stands(task: SceneTask, sources: Row) -> bool:
    """Whether an earlier run's estimate, or its failure, is what this run would come to, and its files are there."""
    known, out = task.known, task.out
    if known is None or known["reasons"] in _TRY_AGAIN:
        return False
    if known["recipe"] != task.recipe and not (task.judges and _estimate(known["recipe"]) == _estimate(task.recipe)):
        return False
    missing = _missing(task.capture)
    if missing is not None:
        return bool(known["reasons"] == missing.reason)
    hashes = [sources["hr_source_sha256"], sources["lr_source_sha256"]]
    if "" in hashes or hashes != [known["hr_source_sha256"], known["lr_source_sha256"]]:
        return False
    files = [out / path for path in published_paths(task.capture.scene)]
    if known["status"] != "accepted":
        return not any(file.exists() for file in files)
    return [_hash(file) for file in files] == [known["hr_sha256"], known["lr_sha256"]]


def _estimate(recipe: str) -> str:
    return recipe.partition(".")[0]


def _lets_through(task: SceneTask, known: Mapping[str, Any]) -> str:
    return "" if known["status"] == "failed" else _accepted_by(known["reasons"].split(";"), task.overrule)


def _judged(task: SceneTask, known: Mapping[str, Any], sources: Row) -> SceneResult | None:
    """The scene by another verdict over its known row, pixels published or taken back; None where it must be done."""
    row: Row = {**known, **sources, "recipe": task.recipe}
    if known["status"] == "failed":
        return SceneResult(row=row, judged=True)
    if known["recipe"] != task.recipe:
        verdict = judge_row(known, task.settings)
        if verdict is None:
            return None
        row["reasons"] = ";".join(verdict.reasons)
        row["message"] = message_of(verdict.explained, verdict.reasons, known["residual_shape"])
    row["accepted_by"] = _lets_through(task, row)
    row["status"] = "accepted" if row["accepted_by"] else "rejected"
    if row["status"] == known["status"]:
        return SceneResult(row=row, judged=True)
    if row["status"] == "rejected":
        row |= dict.fromkeys(("hr_path", "lr_path", "hr_sha256", "lr_sha256"), "")
        _check_lease(task)
        remove_published(task.out, task.capture.scene)
        return SceneResult(row=row, judged=True)
    if not task.judges:
        return None
    images = _captures(task, {})
    row |= _write(task, *published_from_row(row, images["hr"], images["lr"], task.settings))
    return SceneResult(row=row, judged=True)


def _missing(capture: Capture) -> AlignmentFailure | None:
    absent = [side for side, path in (("hr", capture.hr), ("lr", capture.lr)) if path is None]
    if not absent:
        return None
    names = " and no ".join(side.upper() for side in absent)
    return AlignmentFailure(
        reason=";".join(f"missing_{side}" for side in absent),
        message=f"no {names} capture was found; add it and run the same command again",
    )


def _align(task: SceneTask, clock: _Clock, row: Row) -> Alignment | AlignmentFailure:
    """The captures read and aligned; their colour profiles go into ``row``."""
    missing = _missing(task.capture)
    if missing is not None:
        return missing
    images = _captures(task, row)
    clock.lap("read")
    settings = task.settings
    if settings.lens_profile != "none":
        captures = {"hr": task.capture.hr, "lr": task.capture.lr}
        known = {side: path for side, path in captures.items() if path is not None}
        sizes = {side: Size(image.shape[1], image.shape[0]) for side, image in images.items()}
        settings, row["lens_model"] = lens.with_profiles(settings, known, sizes)
    outcome = task.align(images["hr"], images["lr"], settings=settings)
    clock.lap("align")
    return outcome


def _captures(task: SceneTask, row: Row) -> dict[str, Image]:
    """Both captures in sRGB; the colour profiles they had go into ``row``."""
    converts = {"hr": True, "lr": task.settings.convert_lr_profile}
    images: dict[str, Image] = {}
    for side, path in (("hr", task.capture.hr), ("lr", task.capture.lr)):
        if path is not None:
            read = read_capture(path, convert=converts[side], max_pixels=task.max_pixels)
            images[side], row[f"{side}_profile"] = read
    return images


def _accepted_by(reasons: Iterable[str], overrule: bool) -> Literal["", "qa", "reviewer"]:
    """Who lets a scene through that has an estimate and these reasons against it; nobody where it is rejected."""
    against = {reason for reason in reasons if reason}
    if not against:
        return "qa"
    return "reviewer" if overrule and not against & NOT_PUBLISHABLE else ""


# --- files -------------------------------------------------------------------------------------------------------


def _publish(task: SceneTask, outcome: Alignment | AlignmentFailure, clock: _Clock) -> Row:
    """Write the accepted pair, or remove what an earlier run published; returns the cells that name the files."""
    scene, out = task.capture.scene, task.out
    if not isinstance(outcome, Alignment) or not _accepted_by(outcome.reasons, task.overrule):
        _check_lease(task)
        remove_published(out, scene)
        return {}
    clock.lap("")
    cells = _write(task, outcome.hr, outcome.lr)
    clock.lap("write")
    return cells


def _write(task: SceneTask, hr: Image, lr: Image) -> Row:
    """Write both images of a pair; returns the cells that name them."""
    hr_path, lr_path = published_paths(task.capture.scene)
    hashes = {}
    for name, path, image in (("hr_sha256", hr_path, hr), ("lr_sha256", lr_path, lr)):
        _check_lease(task)
        write_image(task.out / path, image)
        hashes[name] = sha256_of(task.out / path)
    return {"hr_path": hr_path, "lr_path": lr_path, **hashes}


def _check_lease(task: SceneTask) -> None:
    if task.lease:
        check_lease(task.out, task.lease)


def remove_published(out: Path, scene: str) -> None:
    """Remove a scene's published files, if there are any; raises MachineError when the folder does not let go."""
    for path in published_paths(scene):
        try:
            (out / path).unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(out / path, error) from error
