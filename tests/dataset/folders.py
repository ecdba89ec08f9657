"""What the tests of runs and reruns say of a pairs folder and of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2crealsr.dataset.build import RunStarted, SceneDone, build
from d2crealsr.store.pairs import read_manifest

if TYPE_CHECKING:
    import pandas as pd

SCENES = [f"{number:02d}" for number in range(12)]
"""Twelve scenes, of which one is less than a tenth and two are more."""
EARLIER = Path(__file__).parents[1] / "earlier" / "v0.1.0"
"""Runs and pairs of an earlier version."""


def content(out: Path) -> dict[str, bytes]:
    """All files but hidden ones and the timings."""
    files = (path for path in out.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files if path.name != "timings.csv"}


def manifest(out: Path) -> pd.DataFrame:
    """The manifest by scene."""
    return read_manifest(out).set_index("scene", drop=False)


def events_of(*args: Any, **kwargs: Any) -> tuple[str, set[str], Any]:
    """What was said first, which scenes were done, and the result."""
    events: list[Any] = []
    result = build(*args, on_event=events.append, **kwargs)
    said = next(event.changes for event in events if isinstance(event, RunStarted))
    return said, {event.scene for event in events if isinstance(event, SceneDone) and not event.unchanged}, result


def done_by(*args: Any, **kwargs: Any) -> set[str]:
    """The scenes that a run worked on."""
    return events_of(*args, **kwargs)[1]


def never(hr: Any, lr: Any, *, settings: Any) -> Any:
    """An aligner for runs that have nothing to align."""
    raise AssertionError("aligned again")
