"""From a folder of captures to a folder of pairs: find the work, run one task per scene, and save rows as they come.

The bytes of hr/, lr/ and the tables (except timings.csv) do not depend on jobs, backend or interruptions. Every task
depends only on its inputs and uses one thread, rows are sorted, and each row records what it was made with.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
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
from d2crealsr.dataset.far_workers import what_is_lacking
from d2crealsr.dataset.freshness import Aligner, SceneResult, SceneTask, is_withdrawn, missing
from d2crealsr.dataset.lens_profiles import check_lensfun
from d2crealsr.dataset.pairs_folder import open_pairs, written_folders
from d2crealsr.dataset.points import Starts, read_points
from d2crealsr.dataset.reruns import Rerun
from d2crealsr.dataset.run_options import RunOptions
from d2crealsr.dataset.scene import lost_scene, remove_published, run_scene
from d2crealsr.dataset.tasks import tasks_of
from d2crealsr.dataset.tone_curves import with_tones_of_file
from d2crealsr.errors import LayoutError, MachineError
from d2crealsr.jobs.workers import run_tasks
from d2crealsr.store.captures import Capture, captures_root, find_captures
from d2crealsr.store.decisions import first_names, read_decisions
from d2crealsr.store.description import DATASET_FILE, load_description
from d2crealsr.store.files import remove_leftovers
from d2crealsr.store.ledger import Ledger
from d2crealsr.store.locks import check_lease, holds_lease, lock_folder
from d2crealsr.store.outputs import same_file
from d2crealsr.store.ownership import refuse_links
from d2crealsr.store.pairs import write_dataset
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
    points: str | os.PathLike[str] | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    align: Aligner = align_pair,
    **options: Any,
) -> BuildResult:
    """Align every scene of a folder of captures and publish the accepted pairs.

    Parameters
    ----------
    raw, out : path
        Folder of captures or manifest CSV (:func:`d2crealsr.store.captures.find_captures`), and the pairs folder.
    settings : AlignSettings or mapping, optional
        All settings, or single settings by name. Settings that are not given keep their values from the folder
        (``dataset.json``); in a new folder they have their defaults.
    points : path, optional
        CSV file of corresponding points from which registration of its scenes starts
        (:func:`~d2crealsr.dataset.points.read_points`). The folder remembers them.
    on_event : callable
        Called in this process when the run begins and when a scene is done.
    align : callable, optional
        Aligns one pair. The workers must be able to import it.
    **options
        Options of the run by name, such as ``jobs=0`` or ``force=True``
        (:class:`~d2crealsr.dataset.run_options.RunOptions`).

    Raises
    ------
    UsageError
        When RAW has no captures, OUT is not a pairs folder, the two do not fit together, or a file of decisions or
        points is damaged. Also when pairs would be removed without consent; then all pairs remain, and the results are
        kept.
    MachineError
        When the disk, the lock or the workers fail. As after an interruption, the tables contain what is done.
    """
    run = RunOptions(**options)
    typed, raw, out = os.fspath(raw), Path(os.path.realpath(raw)), Path(os.path.realpath(out))
    tool_version = version("d2crealsr")
    described = load_description(out) if (out / DATASET_FILE).exists() else {}
    scale = Rerun.of(typed, out, settings, described, tool_version).settings.scale
    decisions = read_decisions(Path(run.accept)) if run.accept is not None else {}
    left_out: list[str] = []
    prefer = run.prefer or ("raw" if described.get("prefer") == "raw" else "jpeg")
    run = dataclasses.replace(run, prefer=prefer)
    captures = find_captures(raw, scale=scale, note=left_out.append, prefer=prefer)
    settings = with_tones_of_file(settings, captures)
    given = read_points(Path(points), captures) if points is not None else {}
    root = captures_root(raw)
    _refuse_overlap(captures, root, out)
    with lock_folder(out) as lease:
        # 1. What is there: the tables with what a killed run left, and the settings that they were made with.
        ledger, old = open_pairs(out)
        rerun = Rerun.of(typed, out, settings, old, tool_version)
        if rerun.settings.lens_profile != "none":
            check_lensfun()
        rerun.refuse_other_scale(len(ledger.accepted))
        raw_root = Path(os.path.relpath(root, out)).as_posix()
        moved = old.get("raw_root", raw_root) != raw_root
        kept = () if run.prune else _foreign(ledger, captures, scale=rerun.settings.scale, moved=moved)
        names = {capture.scene for capture in captures}.union(kept)
        for scene in sorted(ledger.scenes - names):
            remove_published(out, scene)
            ledger.drop(scene)
        starts = Starts.of(old, out / DATASET_FILE, given, names)
        rerun = rerun._replace(points=starts.changed)
        description = _description(rerun, raw_root, old, run) | starts.entry()
        if not old:
            write_dataset(out, description)
        elif starts.changed:
            ledger.merge(old | {"points": {}} | starts.entry_before(ledger.accepted))
        # 2. One task a scene. The parent alone writes the journal, as results come.
        common = {"root": root, "out": out, "align": align, "judges": align is align_pair, "options": run}
        tasks = tasks_of(common | {"lease": lease}, captures, ledger, rerun, starts, decisions)
        withdrawn = {task.capture.scene for task in tasks if is_withdrawn(task)}
        some = next((path for capture in captures for path in (capture.hr, capture.lr) if path is not None), None)
        results = run_tasks(
            run_scene,
            tasks,
            jobs=run.jobs,
            backend=run.backend,
            scheduler=run.scheduler,
            on_lost=lost_scene,
            lacking=functools.partial(what_is_lacking, out, lease, some, tool_version),
        )
        try:
            events, notes = _run(rerun, tasks, ledger, results, on_event)
        finally:  # a killed worker leaves the file it was writing
            with contextlib.suppress(MachineError):
                remove_leftovers(*written_folders(out))
        # 3. Former settings remain in the description until the whole folder is made with new ones.
        check_lease(out, lease)
        ledger.merge(description)
    return result_of(out, events, kept, [*left_out, *notes, *decision_notes(events, decisions, withdrawn)])


# --- the state before the run ------------------------------------------------------------------------------------


def _refuse_overlap(captures: Sequence[Capture], root: Path, out: Path) -> None:
    """Make sure that publishing cannot overwrite captures, nor put a pairs folder among them."""
    refuse_links(out, "hr", "lr")
    paths = (path for capture in captures for path in (capture.hr, capture.lr) if path is not None)
    folders = {Path(os.path.realpath(path)).parent for path in paths}
    written = (out / "hr", out / "lr")
    if same_file(out, root) or any(same_file(folder, place) for folder in folders for place in (out, *written)):
        raise LayoutError(f"{out}: holds the captures themselves; give another folder with --out")


def _foreign(ledger: Ledger, captures: Sequence[Capture], *, scale: int, moved: bool) -> tuple[str, ...]:
    """Scenes of the pairs folder that CAPTURES lacks. They are kept, so they must be compatible with the others."""
    names = {capture.scene for capture in captures}
    imported = {scene for scene in ledger.scenes if (ledger.row(scene) or {}).get("accepted_by") == "import"}
    if both := sorted(imported & names):
        raise LayoutError(
            f"CAPTURES has scenes of the names of imported pairs ({first_names(both)}); rename its captures"
        )
    foreign = sorted(ledger.scenes - names)
    if not foreign:
        return ()
    some = first_names(foreign)
    remedy = "give another folder with --out, or remove them with --prune"
    if moved and set(foreign) - imported:
        raise LayoutError(f"the pairs folder has {len(foreign)} scenes from other captures ({some}); {remedy}")
    if other := ledger.scales(foreign) - {scale}:
        got = ", ".join(map(str, sorted(other)))
        raise LayoutError(
            f"the pairs folder has {len(foreign)} scenes of scale {got} that CAPTURES does not have ({some}); {remedy}"
        )
    return tuple(foreign)


def _description(rerun: Rerun, raw_root: str, old: Mapping[str, Any], run: RunOptions) -> dict[str, Any]:
    """The entries of ``dataset.json``; licence and citation remain as they were unless new ones are given."""
    return {
        "scale": rerun.settings.scale,
        "tool": "d2crealsr",
        "tool_version": rerun.version,
        "settings": dataclasses.asdict(rerun.settings),
        "raw_root": raw_root,
        "licence": old.get("licence", "") if run.licence is None else run.licence,
        "citation": old.get("citation", "") if run.citation is None else run.citation,
        **{name: old[name] for name in ("imported_from",) if name in old},
        **({"prefer": run.prefer} if run.prefer == "raw" else {}),
    }


# --- the run -----------------------------------------------------------------------------------------------------


def _run(
    rerun: Rerun,
    tasks: Sequence[SceneTask],
    ledger: Ledger,
    results: Generator[SceneResult],
    on_event: Callable[[Event], None],
) -> tuple[list[SceneDone], list[str]]:
    """Enter results as they come, and losses last. Whatever ends the run early, the journal is merged.

    If the pairs folder has gone in the meantime, nothing is written: it would be made anew without its description.
    """
    out, lease = tasks[0].out, tasks[0].lease
    recipes = {task.capture.scene: task.recipe for task in tasks}
    standing = {scene: row for scene, row in ledger.accepted.items() if scene in recipes}
    events: list[SceneDone] = []
    losses: dict[str, SceneResult] = {}
    recaptured: list[str] = []
    absent = {task.capture.scene for task in tasks if missing(task.capture) is not None}  # they stay as they are
    touched = {scene: row for scene, row in standing.items() if scene not in absent}
    on_event(RunStarted(total=len(tasks), changes=rerun.announcement(touched, recipes)))
    try:
        with contextlib.closing(results):
            for result in results:
                scene = result.row["scene"]
                check_lease(out, lease)
                if result.lost:
                    losses[scene] = result
                    ledger.hold(scene, **_parts(result))
                else:
                    ledger.release([scene])
                    _enter(ledger, result)
                recaptured += [scene] * result.recaptured
                if result.traceback:
                    _log(out, result.traceback)
                events.append(scene_done(len(events) + 1, len(tasks), result))
                on_event(events[-1])
        gone = rerun.settle_losses(losses, standing, recipes, allowed=tasks[0].options.allow_loss)
        for scene, result in losses.items():
            remove_published(out, scene)
            _enter(ledger, result)
        ledger.release(losses)
    except BaseException:
        with contextlib.suppress(Exception):  # report the first failure, not this one
            if holds_lease(out, lease):
                ledger.merge()
        raise
    return events, [note for note in (gone, recaptured_note(recaptured), kept_note(events), scale_note(events)) if note]


def _parts(result: SceneResult) -> dict[str, Any]:
    """The parts of a result that are held back."""
    names = ("row", "judged", "stages", "residuals", "timing")
    return {name: getattr(result, name) for name in names}


def _enter(ledger: Ledger, result: SceneResult) -> None:
    """Enter the rows of a scene into the tables."""
    if result.unchanged or result.judged:
        ledger.update(result.row)
    else:
        ledger.replace(result.row, alignment=result.stages, residuals=result.residuals, timings=[result.timing])


def _log(out: Path, text: str) -> None:
    path = out / ERROR_LOG
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return
    with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as log:
        log.write(plain(text) + "\n")  # the log may be shown on a terminal
