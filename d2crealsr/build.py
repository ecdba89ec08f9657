"""A folder of captures to a folder of pairs: what there is to do, one task a scene, the tables as results come.

Bytes of hr/, lr/ and the tables (timings apart) do not depend on jobs, backend or interruptions: every task is pure and
single-threaded, rows are sorted, and what a row was made with stands in the row.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import statistics
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from d2crealsr.align import align_pair
from d2crealsr.errors import D2CRealSRError, LayoutError, MachineError
from d2crealsr.lens import check_lensfun
from d2crealsr.scene import (
    Aligner,
    SceneResult,
    SceneTask,
    lost_scene,
    recipe_of,
    remove_published,
    run_scene,
)
from d2crealsr.settings import AlignSettings
from d2crealsr.store.captures import Capture, captures_root, find_captures
from d2crealsr.store.decisions import few, read_decisions
from d2crealsr.store.files import remove_leftovers
from d2crealsr.store.images import MAX_PIXELS
from d2crealsr.store.ledger import Ledger
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.pairs import DATASET_FILE, read_dataset, write_dataset
from d2crealsr.workers import Backend, run_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from d2crealsr.store.decisions import Decision

__all__ = ["BuildResult", "Event", "RunStarted", "SceneDone", "build"]

ERROR_LOG = "errors.log"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStarted:
    """The run begins: how many scenes there are."""

    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneDone:
    """One scene is done, or was found ``unchanged``, or kept its estimate and was ``judged`` again.

    ``number`` counts from 1 in the order of finishing.
    """

    number: int
    total: int
    scene: str
    status: str
    reasons: str
    message: str
    residual_hr_px: float
    seconds: float
    unchanged: bool
    traceback: str
    accepted_by: str = ""
    judged: bool = False


Event: TypeAlias = RunStarted | SceneDone


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildResult:
    """What a finished run leaves.

    Attributes
    ----------
    status, reasons : dict
        Scenes of RAW by status, and those that are not accepted by reason code.
    reviewed : int
        Scenes that are accepted because a reviewer overruled QA.
    done, judged, unchanged : int
        Scenes that were aligned, those whose estimate was judged again, and those that were up to date.
    kept : tuple of str
        Scenes of the pairs folder that RAW does not have; they were left as they were.
    notes : tuple of str
        What could not be done of the reviewer's decisions, a line each.
    residual_median_hr_px : float
        Median over accepted scenes of ``residual_p50_hr_px``; NaN where there is none.
    """

    out: Path
    status: dict[str, int]
    reasons: dict[str, int]
    done: int
    unchanged: int
    kept: tuple[str, ...]
    residual_median_hr_px: float
    judged: int = 0
    reviewed: int = 0
    notes: tuple[str, ...] = ()

    @property
    def accepted(self) -> int:
        """Scenes of RAW that are accepted."""
        return self.status.get("accepted", 0)


def build(
    raw: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    settings: AlignSettings | None = None,
    jobs: int = 1,
    backend: Backend = "loky",
    scheduler: str | None = None,
    force: bool = False,
    prune: bool = False,
    accept: str | os.PathLike[str] | None = None,
    licence: str | None = None,
    citation: str | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    align: Aligner = align_pair,
    max_pixels: int = MAX_PIXELS,
) -> BuildResult:
    """Align every scene of a folder of captures and publish the accepted pairs.

    Parameters
    ----------
    raw, out : path
        Folder of captures or manifest CSV (:func:`d2crealsr.store.captures.find_captures`), and the pairs folder.
    jobs : int
        Scenes at a time; 0 for one a core. A dask cluster that ``scheduler`` names decides for itself.
    backend, scheduler
        joblib's ``"loky"`` (processes of this machine) or ``"dask"``, on the cluster at ``scheduler`` or a local one.
    force : bool
        Do every scene, also those that are up to date.
    prune : bool
        Remove scenes from the pairs folder that RAW does not have; otherwise they are kept.
    accept : path, optional
        A reviewer's decisions (:func:`d2crealsr.store.decisions.read_decisions`): rejected scenes to publish all the
        same. They hold for this run; without the file, QA's verdict stands.
    licence, citation : str, optional
        For ``dataset.json``; by default what stands there stays.
    on_event : callable
        Told of the beginning and of every scene, in this process.
    align : callable, optional
        Aligns one pair; it must be importable by the workers.
    max_pixels : int
        Largest capture that is decoded; a larger one is its scene's failure.

    Raises
    ------
    UsageError
        When RAW has no captures, OUT is no pairs folder, the two do not fit together, or decisions are damaged.
    MachineError
        When the disk, the lock or the workers fail. As after an interruption, the tables say what is done.
    """
    settings = settings or AlignSettings()
    if settings.lens_profile != "none":
        check_lensfun()
    raw, out = Path(os.path.realpath(raw)), Path(os.path.realpath(out))
    decisions = read_decisions(Path(accept)) if accept is not None else {}
    captures = find_captures(raw, scale=settings.scale)
    root = captures_root(raw)
    _refuse_overlap(captures, root, out)
    with lock_folder(out) as lease:
        ledger, old = _open(out)
        raw_root = Path(os.path.relpath(root, out)).as_posix()
        moved = old.get("raw_root", raw_root) != raw_root
        kept = () if prune else _foreign(ledger, captures, scale=settings.scale, moved=moved)
        for scene in sorted(ledger.scenes - {capture.scene for capture in captures} - set(kept)):
            remove_published(out, scene)
            ledger.drop(scene)
        tool_version = version("d2crealsr")
        description = {
            "scale": settings.scale,
            "tool": "d2crealsr",
            "tool_version": tool_version,
            "settings": dataclasses.asdict(settings),
            "raw_root": raw_root,
            "licence": old.get("licence", "") if licence is None else licence,
            "citation": old.get("citation", "") if citation is None else citation,
        }
        write_dataset(out, description)
        tasks = [
            SceneTask(
                capture=capture,
                root=root,
                out=out,
                settings=settings,
                recipe=recipe_of(settings, tool_version),
                known=None if force else ledger.row(capture.scene),
                align=align,
                judges=align is align_pair,
                overrule=decisions.get(capture.scene) == "accept",
                max_pixels=max_pixels,
                lease=lease,
            )
            for capture in captures
        ]
        results = run_tasks(run_scene, tasks, jobs=jobs, backend=backend, scheduler=scheduler, on_lost=lost_scene)
        try:
            events = _run(tasks, ledger, results, on_event)
        finally:  # a worker that was killed could not take back what it was writing
            with contextlib.suppress(MachineError):
                remove_leftovers(*_written(out))
    return _result(out, events, kept, decisions)


# --- what is there -----------------------------------------------------------------------------------------------


def _refuse_overlap(captures: Sequence[Capture], root: Path, out: Path) -> None:
    """Publishing must never write over captures."""
    folders = {path.parent for capture in captures for path in (capture.hr, capture.lr) if path is not None}
    if out == root or folders & {out / "hr", out / "lr"}:
        raise LayoutError(f"{out}: holds the captures themselves; give another folder with --out")


def _open(out: Path) -> tuple[Ledger, dict[str, Any]]:
    """The pairs folder's tables and description, both empty for a new one; leftovers of a killed run are removed."""
    described = (out / DATASET_FILE).exists()
    images = [path for side in ("hr", "lr") for path in (out / side).glob("*")]
    if images and not described:
        raise LayoutError(
            f"{out}: has {len(images)} files in hr/ and lr/ and no {DATASET_FILE}; give a new folder with --out"
        )
    old = read_dataset(out) if described else {}
    ledger = Ledger.load(out)
    remove_leftovers(*_written(out))
    return ledger, old


def _written(out: Path) -> tuple[Path, Path, Path]:
    """Folders that a run writes to."""
    return out, out / "hr", out / "lr"


def _foreign(ledger: Ledger, captures: Sequence[Capture], *, scale: int, moved: bool) -> tuple[str, ...]:
    """Scenes that the pairs folder has and RAW has not. They stay, and so must fit in with the others."""
    foreign = sorted(ledger.scenes - {capture.scene for capture in captures})
    if not foreign:
        return ()
    some = few(foreign)
    remedy = "give another folder with --out, or remove them with --prune"
    if moved:
        raise LayoutError(f"the pairs folder has {len(foreign)} scenes from other captures ({some}); {remedy}")
    if other := ledger.scales(foreign) - {scale}:
        got = ", ".join(map(str, sorted(other)))
        raise LayoutError(
            f"the pairs folder has {len(foreign)} scenes of scale {got} that RAW has not ({some}); {remedy}"
        )
    return tuple(foreign)


# --- the run -----------------------------------------------------------------------------------------------------


def _run(
    tasks: Sequence[SceneTask], ledger: Ledger, results: Generator[SceneResult], on_event: Callable[[Event], None]
) -> list[SceneDone]:
    """Take results as they come; whatever ends the run, the tables are saved."""
    events: list[SceneDone] = []
    on_event(RunStarted(total=len(tasks)))
    try:
        with contextlib.closing(results):
            for result in results:
                if result.unchanged or result.judged:
                    ledger.update(result.row)
                else:
                    ledger.replace(
                        result.row, alignment=result.stages, residuals=result.residuals, timings=[result.timing]
                    )
                if result.traceback:
                    _log(tasks[0].out, result.traceback)
                events.append(_scene_done(len(events) + 1, len(tasks), result))
                on_event(events[-1])
                ledger.save_if_due()
    except BaseException:
        with contextlib.suppress(D2CRealSRError):  # the first failure is the one to tell
            ledger.save()
        raise
    ledger.save()
    return events


def _log(out: Path, text: str) -> None:
    with contextlib.suppress(OSError), (out / ERROR_LOG).open("a", encoding="utf-8") as log:
        log.write(text + "\n")


def _scene_done(number: int, total: int, result: SceneResult) -> SceneDone:
    row: Mapping[str, Any] = result.row
    residual = row.get("residual_p50_hr_px")
    return SceneDone(
        number=number,
        total=total,
        scene=row["scene"],
        status=row["status"],
        reasons=row["reasons"],
        message=row["message"],
        residual_hr_px=float("nan") if residual is None else float(residual),
        seconds=result.timing.get("seconds", 0.0),
        unchanged=result.unchanged,
        judged=result.judged,
        traceback=result.traceback,
        accepted_by=row.get("accepted_by") or "",
    )


def _result(
    out: Path, events: Sequence[SceneDone], kept: tuple[str, ...], decisions: Mapping[str, Decision]
) -> BuildResult:
    residuals = [e.residual_hr_px for e in events if e.status == "accepted" and e.residual_hr_px == e.residual_hr_px]
    bad = [event for event in events if event.status != "accepted"]
    return BuildResult(
        out=out,
        status=dict(collections.Counter(event.status for event in events)),
        reasons=dict(collections.Counter(code for event in bad for code in event.reasons.split(";"))),
        done=sum(not (event.unchanged or event.judged) for event in events),
        judged=sum(event.judged for event in events),
        unchanged=sum(event.unchanged for event in events),
        kept=kept,
        residual_median_hr_px=statistics.median(residuals) if residuals else float("nan"),
        reviewed=sum(event.accepted_by == "reviewer" for event in events),
        notes=_notes(events, decisions),
    )


def _notes(events: Sequence[SceneDone], decisions: Mapping[str, Decision]) -> tuple[str, ...]:
    """What could not be done of the reviewer's decisions, and why."""
    status = {event.scene: event for event in events}
    unknown = sorted(decisions.keys() - status.keys())
    ignored = sorted(scene for scene in decisions.keys() & status.keys() if decisions[scene] == "reject")
    notes = []
    if unknown:
        notes.append(f"decisions for scenes that RAW does not have: {few(unknown)}; check the names")
    if ignored:
        notes.append(f"decisions to reject, which align does not act on (split --decisions does): {few(ignored)}")
    for scene in sorted(decisions.keys() & status.keys()):
        event = status[scene]
        if decisions[scene] == "accept" and event.status != "accepted":
            why = "has no estimate" if event.status == "failed" else "has no images to publish"
            notes.append(f"{scene} cannot be accepted: it {why} ({event.reasons})")
    return tuple(notes)
