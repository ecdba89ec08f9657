"""Write a comparison to its folder: tables, page and plots."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from d2c.comparison.pages import page
from d2c.comparison.plots import curves_figure, quality_figure, save_figure
from d2c.comparison.tables import differences, entries, summary
from d2c.metrics import PROTOCOLS
from d2crealsr.store import files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d2c.comparison.compare import Comparison
    from d2c.comparison.test_sets import TestSet

__all__ = ["write_results"]


def write_results(
    out: Path, name: str, title: str, about: Sequence[str], found: Comparison, tests: Sequence[TestSet]
) -> str:
    """Write ``NAME.csv, NAME-images.csv, NAME-differences.csv, NAME.md`` and the plots; returns the page."""
    lines = entries(found)
    table, compared = summary(lines, tests, PROTOCOLS), differences(lines, tests, PROTOCOLS)
    for suffix, frame in (("", table), ("-images", found.rows), ("-differences", compared)):
        files.write_text(out / f"{name}{suffix}.csv", frame.to_csv(index=False, float_format="%.6f"))
    plots = {
        f"{name}-{tested.name}-{protocol}": (tested, protocol, f"{tested.name} ×{tested.scale}, {protocol}")
        for tested in tests
        for protocol in PROTOCOLS
    }
    trained = [cell for cell, _ in found.cells if cell.method.network]
    course = [f"{name}-crops"] if any(cell.curve() for cell in trained) else []
    tables = page(title, [*about, *found.failures], lines, table, compared)
    text = "\n".join([tables, "## Plots", *map(_shown, [*plots, *course])])
    files.write_text(out / f"{name}.md", text)
    for plot, (tested, protocol, heading) in plots.items():
        chosen = table[(table["test"] == tested.name) & (table["protocol"] == protocol)]
        save_figure(quality_figure(chosen, lines, heading), out / "plots" / f"{plot}.png")
    for plot in course:
        save_figure(curves_figure(trained, lines, title), out / "plots" / f"{plot}.png")
    return text


def _shown(plot: str) -> str:
    """A plot in the page, and its PDF."""
    place = f"plots/{quote(plot)}"
    return f"\n![{plot}]({place}.png)\n\n[The plot as PDF]({place}.pdf)\n"
