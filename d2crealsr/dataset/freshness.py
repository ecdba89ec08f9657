"""Determine what the result of a scene depends on, and whether the result of an earlier run is still valid.

A row remains valid while its captures, its recipe and its files are unchanged. A published pair is kept even longer: it
is not removed because its captures are unavailable, and a removal because of changed settings is held back until
somebody consents to it (docs/pairs-format.md, "What a second run does").
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from d2crealsr.align import Alignment
from d2crealsr.dataset.run_options import RunOptions
from d2crealsr.errors import ImageError
from d2crealsr.quality.verdict import FIXED_RULES, NOT_PUBLISHABLE, QA_SETTINGS
from d2crealsr.settings import AlignSettings
from d2crealsr.store.captures import Capture
from d2crealsr.store.exif import read_exif
from d2crealsr.store.files import sha256_of
from d2crealsr.store.pairs import published_paths
from d2crealsr.types import AlignmentFailure

if TYPE_CHECKING:
    from d2crealsr.dataset.rows import Row
    from d2crealsr.registration.points import PointPairs
    from d2crealsr.store.decisions import Decision

__all__ = [
    "TRY_AGAIN",
    "Aligner",
    "SceneResult",
    "SceneTask",
    "accepted_by",
    "acceptor",
    "acceptor_of_row",
    "estimate_of",
    "held_result_holds",
    "is_loss",
    "is_published",
    "is_withdrawn",
    "missing",
    "recipe_of",
    "same_captures",
    "source_cells",
    "still_holds",
    "unavailable",
]

Aligner: TypeAlias = Callable[..., Alignment | AlignmentFailure]
"""A function ``align(hr, lr, *, settings)``, which is :func:`d2crealsr.align.align_pair` except in tests. It is also
given ``points`` for a scene that has some."""

TRY_AGAIN = ("extra_missing", "internal_error", "out_of_memory", "too_large", "worker_died")
"""Failures that may not occur in another run, with other limits or on another machine. They do not depend on the
recipe, and no published pair is removed because of them."""

_LOOKED_UP_AGAIN = ("lens_unknown",)
"""Failures that end when something else than captures and settings changes: here lensfun's database. They do depend on
the recipe, so that a published pair may be lost because of them."""

_RECIPE_FORMAT = 1
"""Part of every recipe. It changes when a version of the format changes what numbers mean, which version 2 did not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneTask:
    """Everything on which the result of a scene depends.

    Attributes
    ----------
    root, out : Path
        Absolute paths of the folder to which the captures' paths are relative, and of the pairs folder.
    recipe : str
        Fingerprints of settings and versions (:func:`recipe_of`).
    known : mapping or None
        The scene's manifest row of an earlier run.
    force : bool
        Whether to align the scene even if the known row is up to date.
    former : str
        The recipe of the same settings in the version of the tool that last wrote the folder. If a known row has it,
        only the version differs.
    held : SceneResult or None
        Result of an earlier run that was held back because it would remove a published pair.
    judges : bool
        Whether the reasons and pixels of ``align`` follow from the values in the manifest, as for `align_pair`. Changed
        thresholds then need no new estimate.
    decision : {"accept", "reject"} or None
        A reviewer's decision in this run. Without one, an earlier accept holds for the captures it was made for.
    options : RunOptions
        Options of the run.
    points : tuple of (hr_x, hr_y, lr_x, lr_y)
        Corresponding points from which registration starts; empty if it starts from SIFT.
    lease : str
        Lease of the run that has locked ``out`` (:func:`d2crealsr.store.locks.check_lease`); empty without a lock.
    """

    capture: Capture
    root: Path
    out: Path
    settings: AlignSettings
    recipe: str
    known: Mapping[str, Any] | None
    align: Aligner
    force: bool = False
    former: str = ""
    held: SceneResult | None = None
    judges: bool = False
    decision: Decision | None = None
    options: RunOptions = RunOptions()
    lease: str = ""
    points: PointPairs = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneResult:
    """Rows of one scene for the four tables. ``unchanged`` means that those of an earlier run are still valid.

    Attributes
    ----------
    judged : bool
        The estimate of an earlier run is still valid, and ``row`` is its row with a new verdict.
    lost : bool
        Because of changed settings this result would remove the published pair. Its files were not touched.
    kept : str
        The reason why the published pair was left as it is although its captures could not be used.
    recaptured : bool
        The captures differ from those of the known row.
    """

    row: Row
    unchanged: bool = False
    judged: bool = False
    lost: bool = False
    kept: str = ""
    recaptured: bool = False
    stages: list[Row] = field(default_factory=list)
    residuals: list[Row] = field(default_factory=list)
    timing: Row = field(default_factory=dict)
    traceback: str = ""


def recipe_of(
    settings: AlignSettings, tool_version: str, points: PointPairs = (), rendering: Iterable[str] = ()
) -> str:
    """Two fingerprints of everything on which a result depends, except for the captures: ``ESTIMATE.VERDICT``.

    The first includes the points that a person gave for the scene, if any, and how camera RAW is developed. The second
    is that of the settings that only QA uses, and of the rules with fixed thresholds.
    """
    values = dataclasses.asdict(settings)
    qa = {name: values.pop(name) for name in QA_SETTINGS} | ({"rules": FIXED_RULES} if FIXED_RULES else {})
    estimate = {"format": _RECIPE_FORMAT, "tool": tool_version, "settings": values}
    own = {"points": points, "developed": sorted(rendering)}
    parts = (estimate | {name: value for name, value in own.items() if value}, qa)
    return ".".join(hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:16] for part in parts)


def is_published(task: SceneTask) -> bool:
    """Whether the scene's pair is published: the known row accepts it, and both files exist."""
    files = [task.out / path for path in published_paths(task.capture.scene)]
    return task.known is not None and task.known["status"] == "accepted" and all(file.is_file() for file in files)


def same_captures(task: SceneTask, sources: Mapping[str, Any]) -> bool:
    """Whether the captures have the same bytes as those from which the known row was made."""
    names = ("hr_source_sha256", "lr_source_sha256")
    return task.known is not None and all(sources[name] == task.known[name] != "" for name in names)


def unavailable(task: SceneTask, sources: Row) -> str:
    """A sentence on the capture that is missing or cannot be opened; empty if both are available."""
    for side in ("hr", "lr"):
        if sources[f"{side}_source"] and not sources[f"{side}_source_sha256"]:
            return f"{sources[f'{side}_source']} cannot be read"
        if not sources[f"{side}_source"]:
            named = task.known[f"{side}_source"] if task.known is not None else ""
            return f"{named or f'its {side.upper()} capture'} is not there"
    return ""


def is_loss(task: SceneTask, sources: Row, status: str) -> bool:
    """Whether a published pair would be removed without a request, because of other settings or ``--force``.

    Changed captures, a new version of the tool, and a reviewer's withdrawal are applied at once.
    """
    if status == "accepted" or not is_published(task) or not same_captures(task, sources) or task.known is None:
        return False
    another_version_only = task.recipe != task.former == task.known["recipe"]
    return not another_version_only and not is_withdrawn(task)


def is_withdrawn(task: SceneTask) -> bool:
    """Whether a reviewer withdraws an earlier accept."""
    return task.decision == "reject" and task.known is not None and task.known["accepted_by"] == "reviewer"


def overrules(task: SceneTask, sources: Mapping[str, Any]) -> bool:
    """Whether a reviewer's accept applies if QA rejects the scene: of this run, or an earlier one for its captures."""
    if task.decision is not None:
        return task.decision == "accept"
    return task.known is not None and task.known["accepted_by"] == "reviewer" and same_captures(task, sources)


def held_result_holds(held: Row, task: SceneTask, sources: Row) -> bool:
    """Whether this run would produce the same result as the one that was held back."""
    names = ("hr_source_sha256", "lr_source_sha256")
    same = all(sources[name] == held[name] != "" for name in names)
    return same and held["recipe"] == task.recipe and task.decision is None and is_loss(task, sources, "rejected")


def source_cells(task: SceneTask) -> Row:
    """The cells about the captures of a scene. They are cheap and are written even if the scene is up to date."""
    cells: Row = {"scene": task.capture.scene, "group": task.capture.group}
    for side, path in (("hr", task.capture.hr), ("lr", task.capture.lr)):
        cells[f"{side}_source"] = "" if path is None else path.relative_to(task.root).as_posix()
        cells[f"{side}_source_sha256"] = "" if path is None else _hash(path)
        if path is not None:
            cells |= _taken_with(path, side)
    return cells


def _taken_with(path: Path, side: str) -> Row:
    """The camera, the lens and the exposure of a capture by column; nothing if the file cannot be read now."""
    try:
        return {f"{side}_{name}": cell for name, cell in read_exif(path).cells.items()}
    except ImageError:
        return {}


def _hash(path: Path) -> str:
    """SHA-256 of a file; empty if it cannot be read, as reading the image will report the error."""
    try:
        return sha256_of(path)
    except OSError:
        return ""


def still_holds(task: SceneTask, sources: Row) -> bool:
    """Whether this run would produce the same estimate or failure as the earlier one, and its files exist."""
    known, out = task.known, task.out
    if known is None or known["reasons"] in (*TRY_AGAIN, *_LOOKED_UP_AGAIN):
        return False
    same_estimate = task.judges and estimate_of(known["recipe"]) == estimate_of(task.recipe)
    if known["recipe"] != task.recipe and not same_estimate:
        return False
    absent = missing(task.capture)
    if absent is not None:
        return bool((known["reasons"], known["message"]) == (absent.reason, absent.message))
    hashes = [sources["hr_source_sha256"], sources["lr_source_sha256"]]
    if "" in hashes or hashes != [known["hr_source_sha256"], known["lr_source_sha256"]]:
        return False
    files = [out / path for path in published_paths(task.capture.scene)]
    if known["status"] != "accepted":
        return not any(file.exists() for file in files)
    return [_hash(file) for file in files] == [known["hr_sha256"], known["lr_sha256"]]


def estimate_of(recipe: str) -> str:
    """The part of a recipe on which the estimate depends, without the thresholds of QA."""
    return recipe.partition(".")[0]


def acceptor_of_row(task: SceneTask, known: Mapping[str, Any]) -> str:
    """Who accepts the scene of a known row, according to the present decision."""
    return "" if known["status"] == "failed" else acceptor(task, known, known["reasons"].split(";"))


def acceptor(task: SceneTask, sources: Mapping[str, Any], reasons: Iterable[str]) -> Literal["", "qa", "reviewer"]:
    """Who accepts a scene with an estimate; empty if it is rejected.

    An earlier accept stays in the row even while QA finds no reasons, because it may find some again.
    """
    by = accepted_by(reasons, overrules(task, sources))
    earlier = task.known is not None and task.known["accepted_by"] == "reviewer" and same_captures(task, sources)
    return "reviewer" if by and earlier and task.decision != "reject" else by


def missing(capture: Capture) -> AlignmentFailure | None:
    """The failure of a scene that lacks a capture; None if both are named."""
    absent = [side for side, path in (("hr", capture.hr), ("lr", capture.lr)) if path is None]
    if not absent:
        return None
    names = " and no ".join(side.upper() for side in absent)
    told = f": {capture.absent}" if capture.absent else ""
    return AlignmentFailure(
        reason=";".join(f"missing_{side}" for side in absent),
        message=f"no {names} capture was found{told}; add it and run the same command again",
    )


def accepted_by(reasons: Iterable[str], overrule: bool) -> Literal["", "qa", "reviewer"]:
    """Who accepts a scene with an estimate and these reasons; empty if it is rejected."""
    against = {reason for reason in reasons if reason}
    if not against:
        return "qa"
    return "reviewer" if overrule and not against & NOT_PUBLISHABLE else ""
