"""The top of a run's page: what it is of, and a verdict of one sentence with the numbers that it rests on."""

from __future__ import annotations

import datetime
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from d2c.networks.base.stage import Stage
from d2crealsr.ui.page import number
from d2crealsr.ui.versions import version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from d2c.report.curves import Log
    from d2c.training.resume import Settings

__all__ = ["Judged", "State", "judged", "state_of", "subject"]


class State(NamedTuple):
    """How far a run has come: stage and step of the newest row (0 if there is none), and the lengths.

    ``steps`` is the length of the stage, 0 if the run counts epochs, and ``stages`` the number of stages.
    """

    stage: int
    step: int
    steps: int
    stages: int

    @property
    def is_finished(self) -> bool:
        """Whether the last step of the last stage was made, as far as its number is known."""
        return self.stage == self.stages and 0 < self.steps <= self.step

    @property
    def words(self) -> str:
        """Such as ``step 40 of 600 of stage 1``."""
        total = f" of {self.steps}" if self.steps else ""
        return f"step {self.step}{total}" + (f" of stage {self.stage}" if self.stages > 1 else "")


class Judged(NamedTuple):
    """The verdict on a run: its colour (``good``, ``warn`` or ``bad``), a few words, and the numbers they rest on."""

    kind: str
    verdict: str
    because: str


def state_of(log: Log, settings: Settings) -> State:
    """How far the run has come, by its log."""
    newest, lengths = (log.rows[-1] if log.rows else {}), _lengths(settings)
    stage = int(newest.get("stage", 0))
    steps = getattr(settings.train, lengths[stage - 1], 0) if 1 <= stage <= len(lengths) else 0
    return State(stage=stage, step=int(newest.get("step", 0)), steps=steps, stages=len(lengths))


def _lengths(settings: Settings) -> list[str]:
    """The setting of the steps of each stage: of those that the run records, or else of the network's own."""
    facts = settings.facts
    if "stages" not in facts:
        return [kind.lengths[0] for kind in settings.network.stages(settings.train)]
    if recorded := str(facts.get("stage_steps", "")).split():
        return recorded
    count = len(str(facts["stages"]).split())  # an earlier version made the run
    return [Stage.lengths[0]] if count == 1 else [""] * count


def judged(log: Log, settings: Settings) -> Judged:
    """Judge a run by what its main output gains over bicubic interpolation on the validation scenes."""
    state, main = state_of(log, settings), settings.network.main
    curve, bicubic = log.curve(f"val_psnr_db_{main}"), log.last("val_psnr_db_bicubic")
    if not log.rows:
        return Judged("warn", "Nothing to judge yet", "the log has no rows")
    if not curve or not math.isfinite(bicubic):
        return Judged("warn", "Nothing to judge yet", f"no validation up to {state.words}")
    value, (at, best) = curve[-1][1], max(curve, key=lambda point: (point[1], point[0]))
    gain = value - bicubic
    because = (
        f"{main} has {number(value, 4)} dB PSNR-Y on the validation scenes, {number(abs(gain), 3)} dB "
        f"{'above' if gain > 0 else 'below'} bicubic, at {state.words}; "
    )
    if value >= best:
        because += "that is its best so far"
    else:
        because += f"its best was {number(best, 4)} dB after {at:.0f} steps in all"
    if gain > 0:
        return Judged("good", "Better than bicubic", because)
    if state.is_finished:
        return Judged("bad", "Not better than bicubic", because)
    return Judged("warn", "Not better than bicubic so far", because)


def subject(
    run: Path, log: Path, settings: Settings, state: State, started: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """What the page is of, as names and values: run, network, data, state, device and versions."""
    places = started.get("data", [])
    data = ", ".join([places] if isinstance(places, str) else places)
    day = datetime.datetime.fromtimestamp(log.stat().st_mtime, datetime.UTC).date() if log.is_file() else None
    device = [str(started[name]) for name in ("device", "precision") if name in started]
    versions = [
        f"{name} {value}" for name, value in started.get("versions", {}).items() if name in ("d2crealsr", "torch")
    ]
    facts = {
        "Run": f"{run.parent.name}/{run.name}",
        "Network": f"{settings.network.name}, ×{settings.model.scale}",
        "Data": data or "not noted by the run",
        "State": f"{state.words}{', finished' if state.is_finished else ''}"
        if state.stage
        else "no row in the log yet",
        "Newest row": f"{day} (UTC)" if day else "none",
        "Trained on": ", ".join(device) or "not noted by the run",
        "Made by": ", ".join([*versions, f"report: d2crealsr {version()}"]),
    }
    return list(facts.items())
