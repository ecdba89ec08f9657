"""The lines of ``ingest --watch``: one for every frame, one for every verdict, and what is missing at the end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.command.ingested import commands_to_align
from d2crealsr.ingest.events import (
    REMIND_SECONDS,
    Begun,
    Judged,
    Left,
    Lonely,
    Noted,
    Seen,
    Waiting,
    is_blurred,
)
from d2crealsr.ingest.rows import printed_number
from d2crealsr.settings import AlignSettings
from d2crealsr.ui.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d2crealsr.ingest.events import Event

__all__ = ["lines"]

_OTHER = {"hr": "LR", "lr": "HR", "": "other half (LR or HR)"}
_SMALLEST_GLARE = 0.002


def lines(event: Event, card: Path, out: Path) -> Iterator[str]:
    """What is printed about an event."""
    if isinstance(event, Begun):
        known = f"{counted(event.frames, 'frame')} and {counted(event.scenes, 'scene')} are known"
        known = f"; {known}" if event.frames or event.scenes else ""
        yield f"watching {card}{known}. Ctrl-C ends it."
    elif isinstance(event, Noted):
        yield event.text
    elif isinstance(event, Waiting):
        yield f"{_name(event.frame.path, card, out)}: WAITING for {REMIND_SECONDS:.0f} s, {_missing(event)}"
    elif isinstance(event, Seen):
        yield f"{_name(event.frame.path, card, out)}: {_what(event)}{_figures(event)}"
    elif isinstance(event, Lonely):
        yield f"{_name(event.frame.path, card, out)}: MISSING, {_missing(event)}"
    elif isinstance(event, Judged):
        yield _verdict(event)
    else:
        yield from _left(event, card, out)


def _name(path: Path, card: Path, out: Path) -> str:
    """A frame as it is named for a person: within the card, or by the raw folder as it was typed."""
    for folder, shown in ((card, Path()), (out, out)):
        real = os.path.realpath(folder)
        if path.is_relative_to(real):
            return (shown / path.relative_to(real)).as_posix()
    return str(path)


def _what(event: Seen) -> str:
    entry, number = event.entry, printed_number(event.frame)
    mark = f" (mark {number})" if number else ""
    if entry.role == "nothing":
        side = event.likely.upper() or "HR or LR"
        return f"{side} of a card{mark} that no other frame shows; its {_OTHER[event.likely]} is missing so far"
    if entry.role in ("copy", "unreadable", "other_scale", "doubtful"):
        return f"{entry.role.replace('_', ' ')}: {entry.note}"
    side = "HR" if entry.role.endswith("hr") else f"LR x{entry.scale}"
    again = f", one more shot: {entry.note}" if entry.role.startswith("spare") else ""
    return f"{entry.group}{mark} {side}{again}"


def _figures(event: Seen) -> str:
    sketch = event.frame.sketch
    if sketch is None or event.entry.role == "copy":
        return ""
    on_card = event.clipped if event.entry.shot is None else event.entry.shot.clipped
    glare = f"glare over {event.glare:.1%} of the frame" if event.glare >= _SMALLEST_GLARE else "no glare"
    said = [f"sharpness {sketch.fineness:.2f}", f"clipped {on_card:.1%}", glare]
    if is_blurred(event.frame):
        said[0] += " BLURRED, focus and shoot it again"
    if on_card > AlignSettings().max_hr_clipped:
        said[1] += " CLIPPED, expose less and shoot it again"
    return "; " + "; ".join(said)


def _missing(event: Lonely | Waiting) -> str:
    if is_blurred(event.frame):
        return "it is too blurred to be recognised in another frame; shoot it again"
    return f"its {_OTHER[event.likely]} has not come, or is too blurred; shoot it before the camera or the card moves"


def _verdict(event: Judged) -> str:
    verdict = event.verdict
    figures = ""
    if verdict["scale"] is not None:
        error = "" if verdict["error_hr_px"] is None else f", predicted error {verdict['error_hr_px']:.2f} HR px"
        figures = f"; scale {verdict['scale']:.2f}, overlap {verdict['overlap']:.0%}{error}"
    scene = f"{event.scene} (HR {event.hr.path.name}, LR {event.lr.path.name})"
    if not verdict["problems"]:
        return f"{scene}: GOOD{figures}"
    said = " ".join(f"{reason}: {text.rstrip('.')}. {helps}" for reason, text, helps in verdict["problems"])
    return f"{scene}: SHOOT AGAIN{figures}. {said}"


def _left(event: Left, card: Path, out: Path) -> Iterator[str]:
    yield f"{counted(event.scenes, 'scene')} in {out}"
    if not (event.rejected or event.lonely or event.unreadable or event.doubtful):
        yield "nothing is missing"
    for judged in event.rejected:
        yield "  " + _verdict(judged)
    for lonely in event.lonely:
        blurred = "it is blurred" if is_blurred(lonely.frame) else f"its {_OTHER[lonely.likely]} is missing"
        yield f"  {_name(lonely.frame.path, card, out)}: no other frame shows the same; {blurred}"
    for frame, note in event.doubtful:
        yield f"  {_name(frame.path, card, out)}: {note}"
    for frame in event.unreadable:
        yield f"  {_name(frame.path, card, out)}: {frame.problem}"
    if event.rejected or event.lonely:
        yield "next:   shoot again what is listed, with the same command; or align what is there:"
    yield from commands_to_align(str(out), event.scales)
