"""Compare a pairs folder with its tables: every file with its hash and size, and every table with the others.

:func:`verify` changes and locks nothing. If `align` is working in the folder, some findings are only temporary.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.dataset.verify.accept import accept_edits
from d2crealsr.dataset.verify.consistency import broken, detail_findings, row_findings
from d2crealsr.dataset.verify.files import SceneFiles, folder_findings, scene_findings
from d2crealsr.dataset.verify.finding import Finding, Row
from d2crealsr.errors import D2CRealSRError, LayoutError
from d2crealsr.jobs.workers import run_tasks
from d2crealsr.store.changes import changed_files
from d2crealsr.store.description import DATASET_FILE, load_description
from d2crealsr.store.pairs import has_table, load_table, sources_of
from d2crealsr.store.tables import records

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Finding", "Verification", "accept_edits", "verify"]


_CHANGED = "was changed since it was written; restore it, or run verify --accept-edits if it was edited on purpose"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """The number of checked scenes, and the findings."""

    scenes: int
    accepted: int
    findings: tuple[Finding, ...]


def verify(
    pairs: str | os.PathLike[str],
    *,
    captures: bool = False,
    jobs: int = 1,
    on_scene: Callable[[int, int], None] = lambda done, total: None,
) -> Verification:
    """Check a pairs folder: schemas, hashes, sizes, the ratio of sizes, rows without files and files without rows.

    Parameters
    ----------
    pairs : path
    captures : bool
        Whether to compare the captures with their recorded hashes and crops too.
    jobs : int
        Scenes at a time; 0 for one per core.
    on_scene : callable
        Called after each accepted scene with the number of such scenes that are done and of all.

    Raises
    ------
    LayoutError
        When there is neither a manifest nor a description, so this is not a pairs folder.
    """
    folder = Path(os.path.realpath(pairs))
    if not has_table(folder) and not (folder / DATASET_FILE).exists():
        raise LayoutError(f"{folder}: has neither manifest.csv nor {DATASET_FILE}; give a pairs folder")
    findings, description, manifest = [], {}, None
    try:
        description = load_description(folder)
    except D2CRealSRError as error:
        findings.append(broken(DATASET_FILE, error, folder))
    try:
        manifest = load_table(folder, "manifest.csv")
    except D2CRealSRError as error:
        findings.append(broken("manifest.csv", error, folder))
    changed = [name for name in changed_files(folder) if name != DATASET_FILE or description]
    findings += [Finding(code="changed_table", where=name, text=_CHANGED) for name in changed]
    rows: list[Row] = [] if manifest is None else records(manifest)
    accepted = [row for row in rows if row["status"] == "accepted"]
    if manifest is not None:
        findings += row_findings(rows, description)
        findings += folder_findings(folder, rows)
    findings += detail_findings(folder, rows, known=manifest is not None)
    tasks = [
        SceneFiles(pairs=folder, row=row, raw=sources_of(folder, row, description) if captures else None)
        for row in accepted
    ]
    with contextlib.closing(run_tasks(scene_findings, tasks, jobs=jobs)) as results:
        for done, found in enumerate(results, start=1):
            findings += found
            on_scene(done, len(tasks))
    findings.sort(key=lambda finding: (finding.where, finding.code, finding.text))
    return Verification(scenes=len(rows), accepted=len(accepted), findings=tuple(findings))
