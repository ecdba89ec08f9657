"""The seconds that a run has cost, over all its interruptions."""

from __future__ import annotations

import json
import statistics
import time
from typing import TYPE_CHECKING

from d2crealsr.store import files
from d2crealsr.ui.progress import Reporter

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Clock"]

_SKIPPED = 3
"""First steps of a stage, which are slower than the others."""
_KEEP_SECONDS = 30.0


class Clock(Reporter):
    """Passes reports on, and counts the seconds of all steps of a run, over all its interruptions."""

    def __init__(self, reporter: Reporter, path: Path) -> None:
        self.reporter, self.path = reporter, path
        self.before = float(json.loads(files.read_text(path))["seconds"]) if path.exists() else 0.0
        self.began: float | None = None
        self.totals: dict[str, int] = {}
        self.times: dict[str, list[float]] = {}
        self.stage, self.last = "", 0.0
        self.kept_at = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds from the first step on, and those before an interruption."""
        return self.before + (time.perf_counter() - self.began if self.began is not None else 0.0)

    def medians(self) -> list[float]:
        """Seconds of a step of each stage, the first ones left out."""
        return [statistics.median(times[_SKIPPED:] or times) for times in self.times.values()]

    def __exit__(self, *_: object) -> None:
        self._keep()

    def note(self, text: str) -> None:
        self.reporter.note(text)

    def start(self, what: str, total: int | None, done: int = 0) -> None:
        self.reporter.start(what, total, done)
        self.last, self.stage = time.perf_counter(), what if what.startswith("stage") else ""
        if self.stage:
            self.began = self.began or self.last
            self.totals[what], self.times[what] = total or 0, []

    def step(self, done: int, info: str = "") -> None:
        self.reporter.step(done, info)
        now = time.perf_counter()
        if self.stage:
            self.times[self.stage].append(now - self.last)
            if now - self.kept_at > _KEEP_SECONDS:
                self._keep()
        self.last = now

    def finish(self) -> None:
        self.reporter.finish()

    def _keep(self) -> None:
        if self.began is not None:
            self.kept_at = time.perf_counter()
            files.write_text(self.path, json.dumps({"seconds": round(self.seconds, 2)}) + "\n")
