"""The output of a run: a progress bar on a terminal, plain lines elsewhere, and a summary."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import shlex
import sys
from typing import TYPE_CHECKING, Literal

from d2crealsr.dataset.build import RunStarted, SceneDone
from d2crealsr.store.decisions import first_names
from d2crealsr.store.tables import records
from d2crealsr.ui.progress import ConsoleReporter
from d2crealsr.ui.terminal import Styled, plain, styled
from d2crealsr.ui.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from d2crealsr.audit.folder import PairDone
    from d2crealsr.dataset.build import BuildResult, Event
    from d2crealsr.dataset.split import SplitResult
    from d2crealsr.dataset.summary import Overview, Summary
    from d2crealsr.report.make import PairDrawn
    from d2crealsr.truth.validate import ValidationResult

__all__ = [
    "audit_progress",
    "build_progress",
    "build_summary",
    "counter",
    "findings_lines",
    "quiet_counter",
    "report_progress",
    "scene_line",
    "split_summary",
    "summary_table",
    "validation_summary",
]

_HEAD = 9
"""Width in characters at which the name of a column is broken."""
_COLOURS = {"rejected": "yellow", "failed": "red"}


def scene_line(event: SceneDone) -> str:
    """One finished scene in one line: ``[12/115] card_007 accepted  residual 0.08 HR px  3.1 s``."""
    text = f"[{event.number}/{event.total}] {event.scene} {event.status}"
    if event.accepted_by == "reviewer":
        text += " by reviewer despite" if event.reasons else " by reviewer"
    if event.reasons:
        text += f" {event.reasons}"
    if not math.isnan(event.residual_hr_px):
        text += f"  residual {event.residual_hr_px:.2f} HR px"
    if event.kept:
        return f"{text}  kept as it was  ({event.kept})"
    text += "  unchanged" if event.unchanged else "  judged again" if event.judged else f"  {event.seconds:.1f} s"
    return f"{text}  ({event.message})" if event.message and not event.unchanged else text


@contextlib.contextmanager
def build_progress(*, debug: bool = False) -> Iterator[Callable[[Event], None]]:
    """A listener for :func:`d2crealsr.dataset.build.build`, to standard error."""
    with ConsoleReporter() as reporter:

        def listen(event: Event) -> None:
            if isinstance(event, RunStarted):
                reporter.start("aligning", event.total)
                if event.changes:
                    reporter.note(event.changes)
                return
            turned_down = event.status != "accepted" and not event.unchanged
            reporter.part(scene_line(event), noteworthy=bool(event.kept) or turned_down)
            if debug and event.traceback:
                reporter.note(event.traceback)

        yield listen


@contextlib.contextmanager
def counter(what: str, total: int | None) -> Iterator[Callable[[str], None]]:
    """A listener for other long work, told the name of every piece that is done; shown in the same way."""
    with ConsoleReporter() as reporter:
        numbers = itertools.count(1)
        reporter.start(what, total)
        yield lambda name: reporter.part(f"[{next(numbers)}{f'/{total}' if total else ''}] {name}")


@contextlib.contextmanager
def report_progress() -> Iterator[Callable[[PairDrawn], None]]:
    """A listener for :func:`d2crealsr.report.make_report`, to standard error."""
    with ConsoleReporter() as reporter:
        reporter.start("drawing", None)

        def listen(pair: PairDrawn) -> None:
            done = "unchanged" if pair.unchanged else "drawn"
            reporter.part(f"[{pair.number}/{pair.total}] {pair.scene} {done}", total=pair.total)

        yield listen


@contextlib.contextmanager
def audit_progress() -> Iterator[Callable[[PairDone], None]]:
    """A listener for :func:`d2crealsr.audit.folder.audit`, to standard error."""
    with ConsoleReporter() as reporter:
        reporter.start("measuring", None)

        def listen(pair: PairDone) -> None:
            line = f"[{pair.number}/{pair.total}] {pair.scene} {pair.verdict}"
            told = f"{line}  ({pair.reason})" if pair.reason else line
            reporter.part(told, total=pair.total, noteworthy=bool(pair.reason))

        yield listen


@contextlib.contextmanager
def quiet_counter(what: str) -> Iterator[Callable[[int, int], None]]:
    """A listener for work whose parts are not named, told the numbers of parts that are done and of all."""
    with ConsoleReporter() as reporter:
        yield reporter.images(what)


def build_summary(result: BuildResult, shown_out: str) -> str:
    """The summary of a finished run, and the next command."""
    total = sum(result.status.values())
    judged = f"{result.judged} judged again, " if result.judged else ""
    work = f"{result.done} done now, {judged}{result.unchanged} unchanged"
    kept = f"{result.accepted} of {counted(total, 'scene')} accepted"
    lines: list[str | Styled] = [Styled(kept, {"bold": True}, f" ({work})")]
    if result.reviewed:
        lines.append(f"  {result.reviewed} by reviewer, overruling the checks")
    others = [(status, result.status[status]) for status in _COLOURS if status in result.status]
    lines += [Styled(f"  {count} {status}", {"fg": _COLOURS[status]}) for status, count in others]
    lines += [f"    {code}: {count}" for code, count in sorted(result.reasons.items(), key=lambda item: -item[1])]
    if not math.isnan(result.residual_median_hr_px):
        lines.append(f"residual: median {result.residual_median_hr_px:.2f} HR px over the accepted scenes")
    if result.kept:
        lines.append(f"kept: {counted(len(result.kept), 'scene')} that CAPTURES no longer has (--prune removes them)")
    lines.append(f"tables: {shown_out}/manifest.csv, alignment.csv, residuals.csv")
    lines.append("next:   " + _next(result, shlex.quote(shown_out)))
    return styled(lines)


def _next(result: BuildResult, out: str) -> str:
    """What to do after `align`: the command `split`, if it can divide the accepted scenes."""
    if result.accepted == 0:
        return "read the reasons in manifest.csv; docs/reason-codes.md says what helps"
    if result.groups > 1 or result.kept:
        return f"d2crealsr split {out}"
    pairs = "one pair" if result.accepted == 1 else f"{result.accepted} pairs of one group"
    return f"add captures of other pictures: {pairs} cannot be divided into training and test"


def split_summary(result: SplitResult) -> str:
    """Sizes of the splits, scenes left out by a reviewer, and the test scenes if they are few."""
    lines = [f"{len(result.train)} train, {len(result.test)} test ({result.new} assigned now)"]
    if result.left_out:
        lines.append(
            f"{len(result.left_out)} accepted by the checks, left out by a reviewer: {first_names(result.left_out)}"
        )
    if 0 < len(result.test) <= 30:
        lines.append(f"test: {', '.join(result.test)}")
    return styled(lines)


def summary_table(summary: Summary, *, terminal: bool | None = None) -> str:
    """The figures of the folder and the table: drawn on a terminal, plain lines with aligned columns elsewhere.

    Parameters
    ----------
    terminal : bool, optional
        Whether standard output is a terminal. By default this is detected.
    """
    terminal = sys.stdout.isatty() if terminal is None else terminal
    shown = len(summary.table)
    lines = _overview(summary.overview)
    if shown < summary.overview.total:
        lines.append(f"{shown} of them shown:")
    if not shown:
        return styled(lines)
    return "\n".join([styled(lines), "", _drawn(summary.table) if terminal else plain(_plain(summary.table))])


def _overview(found: Overview) -> list[str | Styled]:
    accepted = found.status.get("accepted", 0)
    asides = [f"{found.reviewed} by reviewer"] if found.reviewed else []
    asides += [f"{found.left_out} left out by reviewer"] if found.left_out else []
    asides += [f"{count} {name}" for name, count in found.split.items() if count]
    kept = f"{accepted} of {counted(found.total, 'scene')} accepted"
    lines: list[str | Styled] = [Styled(kept, {"bold": True}, f" ({', '.join(asides)})" if asides else "")]
    if accepted:
        lines.append(
            f"medians in HR px: residual {found.residual_p50_hr_px:.2g}, its 95th percentile "
            f"{found.residual_p95_hr_px:.2g}, predicted error {found.sigma_hr_px:.2g}"
        )
    others = [f"{count} {status}" for status, count in sorted(found.status.items()) if status != "accepted"]
    if others:
        reasons = ", ".join(f"{code} {count}" for code, count in found.reasons.items())
        lines.append(f"{', '.join(others)}: {reasons}")
    return lines


def _plain(table: pd.DataFrame) -> str:
    return table.to_string(index=False, float_format="{:.3f}".format, na_rep="", justify="left")


def _drawn(table: pd.DataFrame) -> str:
    """The table as drawn by rich, as wide as the terminal. Numbers are never cut."""
    from pandas.api.types import is_numeric_dtype
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in table.columns:
        number = is_numeric_dtype(table[name].dtype)
        least = min(table[name].str.len().max(), 11) if not number and len(table) else None
        justify: Literal["left", "right"] = "right" if number else "left"
        drawn.add_column(Text(plain(_broken(name))), justify=justify, no_wrap=number, overflow="fold", min_width=least)
    for row in records(table):
        cells = (Text(plain(_cell(cell))) for cell in row.values())
        drawn.add_row(*cells, style=_COLOURS.get(row.get("status", ""), ""))
    console = Console(highlight=False)
    console.width = max(console.width, console.measure(drawn, options=console.options.update(width=10**6)).minimum)
    with console.capture() as capture:
        console.print(drawn)
    return capture.get().rstrip()


def _cell(cell: str | float | None) -> str:
    """The text of a cell: numbers with three decimals, nothing if missing, each reason on a separate line."""
    if cell is None:
        return ""
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell).replace(";", ";\n")


def _broken(name: str) -> str:
    """The name of a column, broken into narrow lines after underscores, but not inside a unit."""
    lines = [""]
    for part in re.findall(r"[hl]r_px$|[^_]+_?", name):
        if lines[-1] and len(lines[-1] + part) > _HEAD:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


_SHOWN = (
    "scene",
    "status",
    "true_error_mean_hr_px",
    "true_error_p95_hr_px",
    "true_error_max_hr_px",
    "pixel_shift_hr_px",
)


def validation_summary(result: ValidationResult) -> str:
    """The error table, its figures over the accepted pairs, and the findings."""
    table = result.table[list(_SHOWN)].rename(columns=lambda name: name.removesuffix("_hr_px"))
    shown = table.to_string(index=False, float_format="{:.3f}".format, na_rep="") if len(table) else "no scenes"
    lines: list[str | Styled] = [shown, ""]
    if not result.measured:
        why = "no pair is accepted" if not result.summary["accepted"] else "no accepted pair could be compared"
        lines.append(Styled(f"nothing was measured: {why}", {"fg": "yellow"}))
        return styled([*lines, *(findings_lines(result.findings) if result.findings else [])])
    lines.append("Over the accepted pairs, in HR px:")
    lines += [f"  {name.removesuffix('_hr_px')}: {value:.4g}" for name, value in result.summary.items()]
    return styled([*lines, *findings_lines(result.findings)])


def findings_lines(findings: list[str]) -> list[str | Styled]:
    """A count of the findings and a line for each, or that there are none."""
    if not findings:
        return ["", Styled("no findings", {"fg": "green"})]
    head = Styled(counted(len(findings), "finding"), {"fg": "red", "bold": True})
    return ["", head, *(f"  {finding}" for finding in findings)]
