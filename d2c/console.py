"""Tables that the commands print as plain text."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from d2crealsr.ui.progress import ConsoleReporter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from d2c.evaluation.evaluate import Row
    from d2c.evaluation.perceptual import DistanceRow
    from d2c.networks.base.entry import Network
    from d2c.networks.base.memory import StepMemory
    from d2c.networks.base.upscaler import Plan

__all__ = ["ConsoleReporter", "plan_table", "quality_tables", "sizes_table", "step_table"]


def quality_tables(rows: Sequence[Row | DistanceRow]) -> list[str]:
    """Rows of an evaluation as text. Each protocol has two tables, PSNR in dB and SSIM, with one line per image.

    A perceptual distance has one.
    """
    from d2c.evaluation.perceptual import DistanceRow, title

    texts = []
    for protocol in dict.fromkeys(row.protocol for row in rows):
        chosen = [row for row in rows if row.protocol == protocol]
        distances = [row for row in chosen if isinstance(row, DistanceRow)]
        if distances:
            words = f"{title(distances[0].protocol)}, smaller is better"
            texts.append(_table(words, [(r.image, r.method, f"{r.distance:.4f}") for r in distances]))
            continue
        texts.append(_table(f"PSNR in dB, {protocol}", [(r.image, r.method, f"{r.psnr_db:.3f}") for r in chosen]))
        texts.append(_table(f"SSIM, {protocol}", [(r.image, r.method, f"{r.ssim:.4f}") for r in chosen]))
    return texts


def _table(title: str, cells: Sequence[tuple[str, str, str]]) -> str:
    """Cells (line, column, text) below the names of their columns, as plain text that never cuts a number."""
    columns = list(dict.fromkeys(column for _, column, _ in cells))
    lines: list[tuple[str, dict[str, str]]] = []
    last: dict[str, dict[str, str]] = {}
    for line, column, text in cells:
        if column in last.get(line, {column: ""}):  # an image may have the name of the means
            last[line] = {}
            lines.append((line, last[line]))
        last[line][column] = text
    first = max(len(line) for line, _ in lines)
    wide = {column: max(10, len(column) + 2) for column in columns}
    rows = [" " * first + "".join(f"{column:>{wide[column]}}" for column in columns)]
    rows += [f"{line:<{first}}" + "".join(f"{found.get(c, ''):>{wide[c]}}" for c in columns) for line, found in lines]
    return "\n".join([title, *rows])


def plan_table(plans: Sequence[tuple[str, Plan, float]]) -> str:
    """Cost of upscaling each file: one line for each (name, plan, seconds)."""
    lines = [["file", "LR", "memory", "temporary", "result up to", "time about", "how"]]
    for name, plan, seconds in plans:
        how = f"strips of {plan.strip} LR rows" + (", feature maps in files" if plan.spill else "")
        how += "" if plan.turned is None else ", eight times"
        sizes = (f"{size / 1e9:.2f} GB" for size in (plan.memory, plan.spilled, plan.result))
        time_ = f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 3600:.1f} h"
        lines.append([name, f"{plan.width}x{plan.height}", *sizes, time_, how])
    return _aligned(lines)


def step_table(steps: Mapping[str, StepMemory], free: int | None, device: str) -> str:
    """Predicted peak memory of a training step, one line per stage: the total and its parts."""
    columns = list(next(iter(steps.values()))._asdict())
    lines = ["memory of a step, GB" + "".join(f"{column:>13}" for column in columns)]
    for kind, memory in steps.items():
        lines.append(f"{kind:<20}" + "".join(f"{value / 1e9:>13.3f}" for value in memory._asdict().values()))
    need = max(memory.total for memory in steps.values())
    if free is not None:
        verdict = "it fits" if need <= free else "it does not fit: lower --patch or --batch, or raise --accumulate"
        lines.append(f"free on {device}: {free / 1e9:.3f}; {verdict}")
    return "\n".join(lines)


def sizes_table(networks: Sequence[Network]) -> Iterator[str]:
    """The lines of the table of sizes, one for each scale, each as soon as it is counted."""
    from d2c.networks.base.count import size_rows

    widths = [
        max(map(len, ["network", *(network.name for network in networks)])),
        max(map(len, ["size", *(size for network in networks for size in network.sizes())])),
        *(5, 13, 21, 10),  # the counts are not known yet; 13 characters hold nine digits and more
    ]

    def line(*cells: str) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(cells, [*widths, 0], strict=True)).rstrip()

    yield line("network", "size", "scale", "parameters", "multiply-adds / LR px", "padding to", "paper")
    for row in itertools.chain.from_iterable(map(size_rows, networks)):
        for scale, count in row["parameters"].items():
            cost = row["multiply_adds_per_lr_pixel"][scale]
            facts = (f"x{scale}", f"{count:,}", f"{cost:,}", str(row["padding"]), row["paper"])
            yield line(row["name"], row["size"], *facts)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells as text with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    return "\n".join(rows)
