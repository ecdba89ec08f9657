"""The output of ``ingest``: progress, the table of frames, and a summary."""

from __future__ import annotations

import contextlib
import shlex
from collections import Counter
from typing import TYPE_CHECKING

from d2crealsr.ui.progress import ConsoleReporter
from d2crealsr.ui.terminal import Styled, styled
from d2crealsr.ui.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from d2crealsr.ingest.run import Ingested

__all__ = ["commands_to_align", "progress", "summary", "table"]

_SHOWN = (
    "frame",
    "role",
    "group",
    "mark",
    "scale",
    "scale_effective",
    "sharpness",
    "clipped_fraction",
    "likeness",
    "time",
    "focal_mm",
    "note",
)
_ROLES = {
    "doubtful": ("frame that fits several others", "frames that fit several others"),
    "spare_hr": ("HR shot that is not used", "HR shots that are not used"),
    "spare_lr": ("LR shot that is not used", "LR shots that are not used"),
    "other_scale": ("LR shot of another scale", "LR shots of another scale"),
    "copy": ("copy of a frame", "copies of a frame"),
    "nothing": ("frame that belongs to no scene", "frames that belong to no scene"),
    "unreadable": ("file that cannot be read", "files that cannot be read"),
}


@contextlib.contextmanager
def progress() -> Iterator[tuple[Callable[[int, int], None], Callable[[int, int], None]]]:
    """Listeners for frames that are read and for the search among them, to standard error."""
    with ConsoleReporter() as reporter:
        yield reporter.images("reading"), reporter.images("searching")


def table(result: Ingested) -> str:
    """Every frame in a line, with aligned columns."""
    rows = [_SHOWN, *(tuple("" if row[name] is None else str(row[name]) for name in _SHOWN) for row in result.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return styled([*lines, ""])


def summary(result: Ingested, shown_out: str, *, dry_run: bool) -> str:
    """What was found, what is left over with an example of each kind, and the next command."""
    new, roles = len(result.plan.scenes), Counter(row["role"] for row in result.rows)
    cards = len({scene.group for scene in result.plan.scenes})
    found = "would be made" if dry_run else "made"
    lines: list[str | Styled] = [
        Styled(
            f"{counted(new, 'new scene')} of {counted(cards, 'card')} {found}",
            {"bold": True},
            f" from {counted(len(result.rows), 'file')}",
        )
    ]
    if result.total > new:
        stood = result.total - new
        lines.append(f"  {counted(stood, 'scene')} {'was' if stood == 1 else 'were'} there already")
    for role, (one, several) in _ROLES.items():
        if roles[role]:
            first = next(row for row in result.rows if row["role"] == role)
            lines.append(f"  {counted(roles[role], one, several)}, as {first['frame']}: {first['note']}")
    if not dry_run:
        lines.append(f"tables: {shown_out}/manifest.csv, frames.csv")
    if dry_run:
        lines.append("next:   the same command without --dry-run")
    else:
        lines += commands_to_align(shown_out, result.scales)
    return styled(lines)


def commands_to_align(shown_out: str, scales: Sequence[int]) -> Iterator[str]:
    """A line for each scale with the command that aligns its scenes."""
    for scale in scales:
        pairs = "pairs/" if len(scales) == 1 else f"pairs-x{scale}/"
        yield f"next:   d2crealsr align {shlex.quote(shown_out)} --out {pairs} --scale {scale}"
