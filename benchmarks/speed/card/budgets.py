"""Figures that a reader looks for first: ratios between cells, beside what is wanted of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from benchmarks.result_tables import Row
from benchmarks.speed.card.schedule import hours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.speed.card.cell import Cell

__all__ = ["budget_rows", "hour_rows", "ratio"]

NOT_RUN = "not run"

_RATIOS = {
    ("stage 1", 4, "fp32"): ("≥ 3", "5"),
    ("stage 1", 4, "tf32"): ("≥ 2.5", "4"),
    ("stage 1", 4, "bf16"): ("≥ 3", "6"),
    ("stage 2", 4, "fp32"): ("≥ 2", "3"),
    ("stage 2", 4, "tf32"): ("≥ 2", "3"),
    ("stage 2", 4, "bf16"): ("≥ 2", "3"),
    ("joint", 16, "bf16"): ("≥ 3", "5"),
    ("upscaling 432x288", "", "fp32"): ("≥ 2.5", "4"),
    ("upscaling 432x288", "", "tf32"): ("≥ 2.5", "4"),
    ("upscaling 432x288", "", "bf16"): ("≥ 2.5", "4"),
}


def ratio(cell: Cell, cells: Sequence[Cell]) -> float | None:
    """Times of the fastest way of the factored network over that of a cell of d2c."""
    alike = [other for other in cells if (other.what, other.patches, other.precision) == _key(cell)]
    best = min((c.found["ms"] for c in alike if c.network == "factored" and "ms" in c.found), default=None)
    if best is None or cell.network != "d2c" or "ms" not in cell.found:
        return None
    return float(best / cell.found["ms"])


def _key(cell: Cell) -> tuple[str, int | str, str]:
    return cell.what, cell.patches, cell.precision


def budget_rows(cells: Sequence[Cell]) -> list[Row]:
    """One row for each budget; ``not run`` where a cell of it has no figure."""
    rows = [
        _row(", ".join(str(part) for part in key if part) + ", times as fast", _best_ratio(key, cells), *wanted)
        for key, wanted in _RATIOS.items()
    ]
    kernels = [c.found["kernels"] for c in cells if c.what == "launches, stage 1" and "kernels" in c.found]
    rows.append(_row("kernels of a step, stage 1, 4", f"{max(kernels)}" if kernels else None, "≤ 1200", "600"))
    for patches, wanted in ((4, ("≥ 10", "20")), (16, ("≥ 20", "40"))):
        shares = [c.found["share"] for c in cells if _key(c) == ("stage 1", patches, "bf16") and "share" in c.found]
        found = f"{100 * max(shares):.1f}" if shares else None
        rows.append(_row(f"share of the card's rate, stage 1, {patches}, bf16, %", found, *wanted))
    for precision in ("tf32", "bf16"):
        engine, command = (_fastest(key, cells) for key in (("stage 1", 4, precision), ("d2c train", 4, precision)))
        found = f"{command / engine:.2f}" if engine and command else None
        rows.append(_row(f"d2c train over the engine alone, {precision}", found, "≤ 1.05", "1.0"))
    return rows


def _row(what: str, found: str | None, budget: str, goal: str) -> Row:
    return {"what": what, "found": found or NOT_RUN, "budget": budget, "reach for": goal}


def _best_ratio(key: tuple[str, int | str, str], cells: Sequence[Cell]) -> str | None:
    ratios = [found for cell in cells if _key(cell) == key and (found := ratio(cell, cells))]
    return f"{max(ratios):.2f}" if ratios else None


def _fastest(key: tuple[str, int | str, str], cells: Sequence[Cell]) -> float | None:
    """Milliseconds of the fastest way of d2c that the command has too: without what only this program switches on."""
    times = [c.found["ms"] for c in cells if _key(c) == key and c.network == "d2c" and "ms" in c.found]
    return min(times, default=None)


def hour_rows(cells: Sequence[Cell]) -> list[Row]:
    """The whole schedule of preset ``paper``, by the steps of the command and by those of the engine alone."""
    rows: list[Row] = []
    for precision in dict.fromkeys(c.precision for c in cells if c.what == "d2c train"):
        command = next(c for c in cells if _key(c) == ("d2c train", 4, precision))
        said = command.remark if re.match(r"\d", command.remark) else command.remark or NOT_RUN
        rows.append({"preset paper, 4 patches": f"d2c train, {precision}", "steps a second; whole schedule": said})
        first, second = (_fastest((stage, 4, precision), cells) for stage in ("stage 1", "stage 2"))
        said = hours(first / 1e3, second / 1e3) if first and second else NOT_RUN
        rows.append({"preset paper, 4 patches": f"engine alone, {precision}", "steps a second; whole schedule": said})
    return rows
