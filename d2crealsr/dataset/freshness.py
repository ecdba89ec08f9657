"""What one scene's result depends on, and what an earlier run's result is still good for.

A row stands while its captures, its recipe and its files are what they were. A published pair stands longer: whatever
could not be seen this time is no reason to remove it, and what settings would remove is held back until somebody
consents to it (docs/pairs-format.md, "What a second run does").
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
from d2crealsr.quality.verdict import FIXED_RULES, NOT_PUBLISHABLE, QA_SETTINGS
from d2crealsr.settings import AlignSettings
from d2crealsr.store.captures import Capture
from d2crealsr.store.files import sha256_of
from d2crealsr.store.pairs import FORMAT_VERSION, published_paths
from d2crealsr.types import AlignmentFailure

if TYPE_CHECKING:
    from d2crealsr.dataset.rows import Row
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
"""``align(hr, lr, *, settings)``; :func:`d2crealsr.align.align_pair` but in tests."""

TRY_AGAIN = ("extra_missing", "internal_error", "out_of_memory", "too_large", "worker_died")
"""Failures that another run may not meet, with other limits or another machine: no recipe tells of them, and no
standing pair goes for them."""


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
        The scene's manifest row of an earlier run.
    force : bool
        Whether to do the scene also where the known row is up to date.
    former : str
        The recipe of the same settings in the version of the tool that wrote the folder last: where a known row has it,
        only the version differs.
    held : SceneResult or None
        What an earlier run came to and held back, because a standing pair would go by it.
    judges : bool
        Whether reasons and pixels of ``align`` follow from what the manifest keeps, as those of `align_pair` do: then
        other thresholds need no other estimate.
    decision : {"accept", "reject"} or None
        What a reviewer decided now; without a decision, an earlier accept holds for the captures it was given for.
    options : RunOptions
        Of the run.
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
    force: bool = False
    former: str = ""
    held: SceneResult | None = None
    judges: bool = False
    decision: Decision | None = None
    options: RunOptions = RunOptions()
    lease: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneResult:
    """Rows of one scene for the four tables; ``unchanged`` when an earlier run's still hold.

    Attributes
    ----------
    judged : bool
        An earlier run's estimate holds, and ``row`` is its row with another verdict.
    lost : bool
        The scene's standing pair would go by this result under settings that changed. Its files were not touched.
    kept : str
        Why the standing pair was left as it is, though its captures could not be used.
    recaptured : bool
        The captures are others than those of the known row.
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


def recipe_of(settings: AlignSettings, tool_version: str) -> str:
    """Fingerprints of all that decides a scene's result besides its captures: ``ESTIMATE.VERDICT``.

    The second is of the settings that QA alone goes by, and of those rules that no setting tells of.
    """
    values = dataclasses.asdict(settings)
    qa = {name: values.pop(name) for name in QA_SETTINGS} | ({"rules": FIXED_RULES} if FIXED_RULES else {})
    parts = ({"format": FORMAT_VERSION, "tool": tool_version, "settings": values}, qa)
    return ".".join(hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:16] for part in parts)


def is_published(task: SceneTask) -> bool:
    """Whether the scene's pair stands: accepted by the known row, both files there."""
    files = [task.out / path for path in published_paths(task.capture.scene)]
    return task.known is not None and task.known["status"] == "accepted" and all(file.is_file() for file in files)


def same_captures(task: SceneTask, sources: Mapping[str, Any]) -> bool:
    """Whether the captures are, byte by byte, those that the known row was made from."""
    names = ("hr_source_sha256", "lr_source_sha256")
    return task.known is not None and all(sources[name] == task.known[name] != "" for name in names)


def unavailable(task: SceneTask, sources: Row) -> str:
    """Which capture is missing or cannot be opened; empty where both can."""
    for side in ("hr", "lr"):
        if sources[f"{side}_source"] and not sources[f"{side}_source_sha256"]:
            return f"{sources[f'{side}_source']} cannot be read"
        if not sources[f"{side}_source"]:
            named = task.known[f"{side}_source"] if task.known is not None else ""
            return f"{named or f'its {side.upper()} capture'} is not there"
    return ""


def is_loss(task: SceneTask, sources: Row, status: str) -> bool:
    """Whether a standing pair would go without anybody having asked for it: for other settings, or by ``--force``.

    Other captures, another version of the tool alone, and what a reviewer takes back are applied at once.
    """
    if status == "accepted" or not is_published(task) or not same_captures(task, sources) or task.known is None:
        return False
    another_version_only = task.recipe != task.former == task.known["recipe"]
    return not another_version_only and not is_withdrawn(task)


def is_withdrawn(task: SceneTask) -> bool:
    """Whether a reviewer takes an earlier accept back."""
    return task.decision == "reject" and task.known is not None and task.known["accepted_by"] == "reviewer"


def overrules(task: SceneTask, sources: Mapping[str, Any]) -> bool:
    """Whether a reviewer accepts the scene should QA reject it: now, or earlier and for these captures."""
    if task.decision is not None:
        return task.decision == "accept"
    return task.known is not None and task.known["accepted_by"] == "reviewer" and same_captures(task, sources)


def held_result_holds(held: Row, task: SceneTask, sources: Row) -> bool:
    """Whether a result that was held back is what this run would come to."""
    names = ("hr_source_sha256", "lr_source_sha256")
    same = all(sources[name] == held[name] != "" for name in names)
    return same and held["recipe"] == task.recipe and task.decision is None and is_loss(task, sources, "rejected")


def source_cells(task: SceneTask) -> Row:
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


def still_holds(task: SceneTask, sources: Row) -> bool:
    """Whether an earlier run's estimate, or its failure, is what this run would come to, and its files are there."""
    known, out = task.known, task.out
    if known is None or known["reasons"] in TRY_AGAIN:
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
    """The part of a recipe that decides the estimate, without the thresholds of QA."""
    return recipe.partition(".")[0]


def acceptor_of_row(task: SceneTask, known: Mapping[str, Any]) -> str:
    """Who lets a known row's scene through, by today's decision."""
    return "" if known["status"] == "failed" else acceptor(task, known, known["reasons"].split(";"))


def acceptor(task: SceneTask, sources: Mapping[str, Any], reasons: Iterable[str]) -> Literal["", "qa", "reviewer"]:
    """Who lets a scene with an estimate through, nobody where it is rejected.

    An earlier accept stays in the row also while the checks find nothing: they may find something again.
    """
    by = accepted_by(reasons, overrules(task, sources))
    earlier = task.known is not None and task.known["accepted_by"] == "reviewer" and same_captures(task, sources)
    return "reviewer" if by and earlier and task.decision != "reject" else by


def missing(capture: Capture) -> AlignmentFailure | None:
    """The failure of a scene that lacks a capture; None where both are named."""
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
    """Who lets a scene through that has an estimate and these reasons against it; nobody where it is rejected."""
    against = {reason for reason in reasons if reason}
    if not against:
        return "qa"
    return "reviewer" if overrule and not against & NOT_PUBLISHABLE else ""
