"""A folder of captures to a folder of pairs: what there is to do, one task a scene, the tables as results come.

Bytes of hr/, lr/ and the tables (timings apart) do not depend on jobs, backend or interruptions: every task is pure and
single-threaded, rows are sorted, and what a row was made with stands in the row.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2crealsr.align import align_pair
from d2crealsr.dataset.events import (
    BuildResult,
    Event,
    RunStarted,
    SceneDone,
    decision_notes,
    kept_note,
    recaptured_note,
    result_of,
    scale_note,
    scene_done,
)
from d2crealsr.dataset.freshness import Aligner, SceneResult, SceneTask, missing, recipe_of
from d2crealsr.dataset.freshness import withdrawn as is_withdrawn
from d2crealsr.dataset.lens_profiles import check_lensfun
from d2crealsr.dataset.reruns import Rerun
from d2crealsr.dataset.scene import lost_scene, remove_published, run_scene
from d2crealsr.errors import D2CRealSRError, LayoutError, MachineError
from d2crealsr.jobs.workers import Backend, run_tasks
from d2crealsr.store.captures import Capture, captures_root, find_captures
from d2crealsr.store.columns import TABLES
from d2crealsr.store.decisions import few, read_decisions
from d2crealsr.store.files import remove_leftovers
from d2crealsr.store.images import MAX_PIXELS
from d2crealsr.store.ledger import Ledger
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.ownership import refuse_foreign, refuse_links
from d2crealsr.store.pairs import DATASET_FILE, read_dataset, write_dataset
from d2crealsr.ui.text import plain
from d2crealsr.ui.versions import version

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from d2crealsr.settings import AlignSettings

__all__ = ["BuildResult", "Event", "RunStarted", "SceneDone", "build"]

ERROR_LOG = "errors.log"


def build(
    raw: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    settings: AlignSettings | Mapping[str, Any] | None = None,
    jobs: int = 1,
    backend: Backend = "loky",
    scheduler: str | None = None,
    force: bool = False,
    prune: bool = False,
    allow_loss: bool = False,
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
    settings : AlignSettings or mapping, optional
        What decides the results: all of it, or single settings by name. Those that are not given are the folder's own
        (``dataset.json``), in a new folder the defaults.
    jobs : int
        Scenes at a time; 0 for one a core. A dask cluster that ``scheduler`` names decides for itself.
    backend, scheduler
        joblib's ``"loky"`` (processes of this machine) or ``"dask"``, on the cluster at ``scheduler`` or a local one.
    force : bool
        Do every scene, also those that are up to date.
    prune : bool
        Remove scenes from the pairs folder that RAW does not have; otherwise they are kept.
    allow_loss : bool
        Let standing pairs go that would no longer be accepted, however many they are. Otherwise they go only where they
        are fewer than a tenth of the standing pairs, or up to half where thresholds alone changed.
    accept : path, optional
        A reviewer's decisions (:func:`d2crealsr.store.decisions.read_decisions`): rejected scenes to publish all the
        same. They hold for these captures until another file says ``reject``.
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
        When RAW has no captures, OUT is no pairs folder, the two do not fit together, or decisions are damaged; when
        pairs would go that nobody consented to lose. Every pair stands then, and the results are kept.
    MachineError
        When the disk, the lock or the workers fail. As after an interruption, the tables say what is done.
    """
    typed, raw, out = os.fspath(raw), Path(os.path.realpath(raw)), Path(os.path.realpath(out))
    tool_version = version("d2crealsr")
    described = read_dataset(out) if (out / DATASET_FILE).exists() else {}
    scale = Rerun.of(typed, out, settings, described, tool_version).settings.scale
    decisions = read_decisions(Path(accept)) if accept is not None else {}
    left_out: list[str] = []
    captures = find_captures(raw, scale=scale, note=left_out.append)
    root = captures_root(raw)
    _refuse_overlap(captures, root, out)
    with lock_folder(out) as lease:
        ledger, old = _open(out)
        rerun = Rerun.of(typed, out, settings, old, tool_version)
        if rerun.settings.lens_profile != "none":
            check_lensfun()
        rerun.refuse_other_scale(len(ledger.accepted))
        raw_root = Path(os.path.relpath(root, out)).as_posix()
        moved = old.get("raw_root", raw_root) != raw_root
        kept = () if prune else _foreign(ledger, captures, scale=rerun.settings.scale, moved=moved)
        for scene in sorted(ledger.scenes - {capture.scene for capture in captures} - set(kept)):
            remove_published(out, scene)
            ledger.drop(scene)
        description = {
            "scale": rerun.settings.scale,
            "tool": "d2crealsr",
            "tool_version": tool_version,
            "settings": dataclasses.asdict(rerun.settings),
            "raw_root": raw_root,
            "licence": old.get("licence", "") if licence is None else licence,
            "citation": old.get("citation", "") if citation is None else citation,
        }
        if not old:
            write_dataset(out, description)
        tasks = [
            SceneTask(
                capture=capture,
                root=root,
                out=out,
                settings=rerun.settings,
                recipe=recipe_of(rerun.settings, tool_version),
                known=ledger.row(capture.scene),
                align=align,
                force=force or not ledger.is_whole(capture.scene),
                former=recipe_of(rerun.settings, rerun.former_version),
                held=_held(ledger, capture.scene),
                judges=align is align_pair,
                decision=decisions.get(capture.scene),
                max_pixels=max_pixels,
                lease=lease,
            )
            for capture in captures
        ]
        withdrawn = {task.capture.scene for task in tasks if is_withdrawn(task)}
        results = run_tasks(run_scene, tasks, jobs=jobs, backend=backend, scheduler=scheduler, on_lost=lost_scene)
        try:
            events, notes = _run(rerun, tasks, ledger, results, on_event, allow_loss)
        finally:  # a worker that was killed could not take back what it was writing
            with contextlib.suppress(MachineError):
                remove_leftovers(*_written(out))
        if old:  # what the folder was made with stands there until all of it is made with something else
            write_dataset(out, description)
    return result_of(out, events, kept, [*left_out, *notes, *decision_notes(events, decisions, withdrawn)])


# --- what is there -----------------------------------------------------------------------------------------------


def _refuse_overlap(captures: Sequence[Capture], root: Path, out: Path) -> None:
    """Publishing must never write over captures."""
    refuse_links(out, "hr", "lr")
    paths = (path for capture in captures for path in (capture.hr, capture.lr) if path is not None)
    folders = {Path(os.path.realpath(path)).parent for path in paths}
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
    if not described:
        refuse_foreign(out, own="pairs")
        there = [name for name in TABLES if (out / name).exists()]
        if there and "manifest.csv" not in there:
            raise LayoutError(f"{out}: has a {there[0]} that no align wrote; give a new folder with --out")
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


def _held(ledger: Ledger, scene: str) -> SceneResult | None:
    """What an earlier run held back of a scene."""
    return SceneResult(**ledger.held[scene], lost=True) if scene in ledger.held else None


def _run(
    rerun: Rerun,
    tasks: Sequence[SceneTask],
    ledger: Ledger,
    results: Generator[SceneResult],
    on_event: Callable[[Event], None],
    allow_loss: bool,
) -> tuple[list[SceneDone], list[str]]:
    """Take results as they come, losses last; whatever ends the run, the tables are saved."""
    recipe, names = tasks[0].recipe, {task.capture.scene for task in tasks}
    standing = {scene: row for scene, row in ledger.accepted.items() if scene in names}
    events: list[SceneDone] = []
    losses: dict[str, SceneResult] = {}
    recaptured: list[str] = []
    absent = {task.capture.scene for task in tasks if missing(task.capture) is not None}  # they stand as they are
    touched = {scene: row for scene, row in standing.items() if scene not in absent}
    on_event(RunStarted(total=len(tasks), changes=rerun.announcement(touched, recipe)))
    try:
        with contextlib.closing(results):
            for result in results:
                scene = result.row["scene"]
                if result.lost:
                    losses[scene] = result
                    ledger.hold(scene, **_parts(result))
                else:
                    ledger.release([scene])
                    _enter(ledger, result)
                recaptured += [scene] * result.recaptured
                if result.traceback:
                    _log(tasks[0].out, result.traceback)
                events.append(scene_done(len(events) + 1, len(tasks), result))
                on_event(events[-1])
                ledger.save_if_due()
        gone = rerun.settle_losses(losses, standing, recipe, allowed=allow_loss)
        for scene, result in losses.items():
            remove_published(tasks[0].out, scene)
            _enter(ledger, result)
        ledger.release(losses)
    except BaseException:
        with contextlib.suppress(D2CRealSRError):  # the first failure is the one to tell
            ledger.save()
        raise
    ledger.save()
    return events, [note for note in (gone, recaptured_note(recaptured), kept_note(events), scale_note(events)) if note]


def _parts(result: SceneResult) -> dict[str, Any]:
    """What is held of a result."""
    names = ("row", "judged", "stages", "residuals", "timing")
    return {name: getattr(result, name) for name in names}


def _enter(ledger: Ledger, result: SceneResult) -> None:
    """A scene's rows into the tables."""
    if result.unchanged or result.judged:
        ledger.update(result.row)
    else:
        ledger.replace(result.row, alignment=result.stages, residuals=result.residuals, timings=[result.timing])


def _log(out: Path, text: str) -> None:
    path = out / ERROR_LOG
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return
    with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as log:
        log.write(plain(text) + "\n")  # people show it on a terminal
