"""Make the report on a pairs folder: draw each scene as one task, then write the page, which replaces the old one."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from d2crealsr.jobs.workers import run_tasks
from d2crealsr.report.content import page_content
from d2crealsr.report.pair import KEY_LENGTH, PairTask, draw_pair
from d2crealsr.store import page_folder
from d2crealsr.store.files import remove_leftovers
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.pairs import load_parts, read_alignment, read_dataset, read_manifest, sources_of
from d2crealsr.store.tables import records
from d2crealsr.ui import page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

    from d2crealsr.types import Array

__all__ = ["PairDrawn", "ReportResult", "make_report"]

FOLDER = "report"
_GENERATOR = "d2crealsr report"
_KEY = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")
_BLOCK = ["lr_x", "lr_y", "dx_hr_px", "dy_hr_px", "weight"]
_SCRIPTS = ("plots.js", "marks.js", "points.js", "sheet.js", "viewer.js", "pair.js", "dataset.js", "app.js")


@dataclass(frozen=True, kw_only=True, slots=True)
class PairDrawn:
    """The pictures of one pair exist. ``unchanged`` means that an earlier report has drawn them."""

    number: int
    total: int
    scene: str
    unchanged: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportResult:
    """The result of making a report: its page, and the numbers of pairs that were drawn or unchanged."""

    page: Path
    drawn: int
    unchanged: int


def make_report(
    pairs: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    jobs: int = 1,
    on_pair: Callable[[PairDrawn], None] = lambda pair: None,
) -> ReportResult:
    """Make or update the report on a pairs folder.

    Parameters
    ----------
    pairs : path
        The pairs folder. Captures are read from the folder that ``dataset.json`` names. The report names missing ones.
    out : path, optional
        Folder of the report, ``PAIRS/report`` by default.
    jobs : int
        Pairs at a time; 0 for one per core. Each worker has the captures of one pair in memory.
    on_pair : callable
        Called in this process after each pair.

    Raises
    ------
    UsageError
        When ``pairs`` is not a pairs folder, its tables are damaged, ``out`` has other content, or jinja2 is missing.
    MachineError
        When the disk, the lock or the workers fail.
    """
    pairs = Path(os.path.realpath(pairs))
    out = pairs / FOLDER if out is None else Path(os.path.realpath(out))
    dataset = read_dataset(pairs, needed=("scale", "tool_version"))
    manifest = read_manifest(pairs)
    stages, blocks = _by_scene(read_alignment(pairs)), _blocks(load_parts(pairs, "residuals.csv"))
    page.environment(__package__)  # raises at once if jinja2 is missing
    page_folder.claim(out, _GENERATOR, _KEY)
    with lock_folder(out):
        remove_leftovers(out, *(out / page_folder.FILES).glob("*"))
        rows = records(manifest)
        tasks = [
            PairTask(
                row=row,
                stages=stages.get(row["scene"], []),
                residuals=blocks.get(row["scene"], np.empty((0, len(_BLOCK)))),
                hr_source=sources_of(pairs, row, dataset) / row["hr_source"] if row["hr_source"] else None,
                lr_source=sources_of(pairs, row, dataset) / row["lr_source"] if row["lr_source"] else None,
                pairs=pairs,
                files=out / page_folder.FILES,
            )
            for row in rows
        ]
        drawn: dict[str, dict[str, Any]] = {}
        with contextlib.closing(run_tasks(draw_pair, tasks, jobs=jobs)) as results:
            for number, result in enumerate(results, 1):
                scene, unchanged = result["scene"], result["unchanged"]
                drawn[scene] = result
                on_pair(PairDrawn(number=number, total=len(tasks), scene=scene, unchanged=unchanged))
        content = page_content(pairs, dataset, rows, stages, drawn)
        html = page.render(__package__, "report.html.j2", scripts=_SCRIPTS, **content)
        page_folder.publish(out, html, {result["key"] for result in drawn.values()}, earlier=_KEY)
    stood = sum(result["unchanged"] for result in drawn.values())
    return ReportResult(page=out / page_folder.PAGE, drawn=len(drawn) - stood, unchanged=stood)


def _by_scene(frame: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in records(frame):
        found.setdefault(row["scene"], []).append(row)
    return found


def _blocks(parts: Iterable[pd.DataFrame]) -> dict[str, Array]:
    """Residual blocks as rows lr_x, lr_y, dx, dy, weight by scene, without blocks that have no shift."""
    found: dict[str, list[Array]] = {}
    for part in parts:
        known = part.dropna(subset=_BLOCK)
        values = known[_BLOCK].to_numpy()
        for scene, places in known.groupby("scene").indices.items():
            found.setdefault(str(scene), []).append(values[places])
    return {scene: np.concatenate(blocks) for scene, blocks in found.items()}
