"""Events of a run, its result, and notes for a person."""

from __future__ import annotations

import collections
import re
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from d2crealsr.store.decisions import first_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d2crealsr.dataset.freshness import SceneResult
    from d2crealsr.store.decisions import Decision

__all__ = [
    "BuildResult",
    "Event",
    "RunStarted",
    "SceneDone",
    "decision_notes",
    "kept_note",
    "recaptured_note",
    "result_of",
    "scale_note",
    "scene_done",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStarted:
    """The run begins: the number of scenes, and what the run changes in a folder with pairs (empty for nothing)."""

    total: int
    changes: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneDone:
    """One scene was aligned, or found ``unchanged``, or ``judged`` again with its stored estimate.

    ``number`` counts from 1 in the order of finishing. ``kept`` says why a published pair was left as it is.
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
    group: str = ""
    judged: bool = False
    kept: str = ""


Event: TypeAlias = RunStarted | SceneDone


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildResult:
    """The result of a finished run.

    Attributes
    ----------
    status, reasons : dict
        Number of scenes of RAW by status, and number of scenes that are not accepted by reason code.
    groups : int
        Number of groups that the accepted scenes belong to.
    reviewed : int
        Number of scenes that are accepted because a reviewer overruled QA.
    done, judged, unchanged : int
        Number of scenes that were aligned, that were judged again with their stored estimate, and that were up to date.
    kept : tuple of str
        Scenes of the pairs folder that RAW does not have. They were left as they were.
    notes : tuple of str
        One line each about pairs that were removed or kept for a special reason, and about decisions of the reviewer
        that could not be applied.
    residual_median_hr_px : float
        Median of ``residual_p50_hr_px`` over the accepted scenes; NaN if there are none.
    """

    out: Path
    status: dict[str, int]
    reasons: dict[str, int]
    done: int
    unchanged: int
    kept: tuple[str, ...]
    residual_median_hr_px: float
    groups: int = 0
    judged: int = 0
    reviewed: int = 0
    notes: tuple[str, ...] = ()

    @property
    def accepted(self) -> int:
        """Scenes of RAW that are accepted."""
        return self.status.get("accepted", 0)


def scene_done(number: int, total: int, result: SceneResult) -> SceneDone:
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
        group=row.get("group") or "",
        kept=result.kept,
    )


def result_of(out: Path, events: Sequence[SceneDone], kept: tuple[str, ...], notes: Sequence[str]) -> BuildResult:
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
        groups=len({event.group or event.scene for event in events if event.status == "accepted"}),
        reviewed=sum(event.accepted_by == "reviewer" and bool(event.reasons) for event in events),
        notes=tuple(notes),
    )


def decision_notes(
    events: Sequence[SceneDone], decisions: Mapping[str, Decision], withdrawn: set[str]
) -> tuple[str, ...]:
    """Decisions of the reviewer that could not be applied, and why; ``withdrawn`` are accepts that were withdrawn."""
    status = {event.scene: event for event in events}
    unknown = sorted(decisions.keys() - status.keys())
    rejected = {scene for scene in decisions.keys() & status.keys() if decisions[scene] == "reject"}
    ignored = sorted(scene for scene in rejected if scene not in withdrawn or status[scene].status == "accepted")
    notes = []
    if unknown:
        notes.append(f"decisions for scenes that CAPTURES does not have: {first_names(unknown)}; check the names")
    if ignored:
        notes.append(
            f"decisions to reject, which align does not act on (split --decisions does): {first_names(ignored)}"
        )
    for scene in sorted(decisions.keys() & status.keys()):
        event = status[scene]
        if decisions[scene] == "accept" and event.status != "accepted":
            why = "has no estimate" if event.status == "failed" else "has no images to publish"
            notes.append(f"{scene} cannot be accepted: it {why} ({event.reasons})")
    return tuple(notes)


def recaptured_note(scenes: Sequence[str]) -> str:
    """A note on published pairs whose captures have changed."""
    if not scenes:
        return ""
    named = first_names(sorted(scenes))
    one = len(scenes) == 1
    pairs, whose = ("1 published pair was", "its") if one else (f"{len(scenes)} published pairs were", "their")
    return f"{pairs} aligned again, as {whose} captures have changed: {named}"


def kept_note(events: Sequence[SceneDone]) -> str:
    """A note on published pairs that were left as they are."""
    left = sorted((event.scene, event.kept) for event in events if event.kept)
    if not left:
        return ""
    named = "; ".join(f"{scene} ({why})" for scene, why in left[:3]) + ("; …" if len(left) > 3 else "")
    return f"{len(left)} published pairs were left as they are, as their captures could not be used: {named}"


def scale_note(events: Sequence[SceneDone]) -> str:
    """A note for the case that most scenes seem to have one scale other than the requested one."""
    said = [match[1] for event in events if (match := re.search(r"use --scale (\d+)", event.message))]
    scale, count = max(collections.Counter(said).items(), key=lambda item: item[1], default=("", 0))
    return (
        f"{count} of {len(events)} scenes seem to have another scale; use --scale {scale}"
        if 2 * count > len(events)
        else ""
    )
