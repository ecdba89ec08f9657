"""Draw the figures of docs/training-evidence.md from the tables in benchmarks/results.

    python tools/evidence_figures.py docs/images

`misalignment.svg` shows the PSNR that shifts cost at ×8 and at ×2, and what remains of HR's amplitude by frequency.
`how-many-cards.svg` shows PSNR against the number of photographs in training.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from d2crealsr.plots.style import BLUE, GREY, ORANGE, PURPLE, TEAL, log_axis, theme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"

CURVES = {
    "training pairs, each in its own direction": (BLUE, "o", "-"),
    "all training pairs in one direction": (ORANGE, "s", "-"),
    "one direction, trained on flips and turns": (PURPLE, "v", ":"),
    "test pairs, each in its own direction": (TEAL, "^", "--"),
}
"""Colour, marker and line of what is shifted."""

TRAINED = {
    "small": (BLUE, "o", "-", "network of 92,800 parameters"),
    "tiny": (ORANGE, "s", "--", "network of 12,328 parameters"),
    "filter": (TEAL, "^", ":", "best linear filter"),
}
"""Colour, marker, line and name of what is trained on more and more cards."""

_LINEAR_DB = 0.1
_TICKS_DB = (-0.3, -0.1, 0, 0.1, 0.3, 1, 3, 10)


class Row(NamedTuple):
    """A row of the table of misalignment."""

    scale: int
    shifted: str
    hr_px: float
    loss_db: float
    half_width_db: float
    kept: dict[float, float]


def read_rows(path: Path) -> list[Row]:
    """The table as it is stored."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Row(
                scale=int(row["scale"]),
                shifted=row["shifted"],
                hr_px=float(row["hr_px"]),
                loss_db=float(row["loss_db"]),
                half_width_db=float(row["half_width_db"]),
                kept={float(name[5:]): float(value) for name, value in row.items() if name.startswith("kept_")},
            )
            for row in csv.DictReader(file)
        ]


def with_intervals(
    ax: Axes, measured: Sequence[tuple[float, float, float]], colour: str, marker: str, line: str, label: str
) -> None:
    """A curve through (x, y, half-width of the interval of y)."""
    x, y, half_width = zip(*measured, strict=True)
    ax.errorbar(
        x, y, yerr=half_width, color=colour, marker=marker, linestyle=line, capsize=2, elinewidth=0.8, label=label
    )


def losses(ax: Axes, rows: Sequence[Row], scale: int) -> None:
    """PSNR lost against the shift in HR px, with a second axis in LR px."""
    for shifted, (colour, marker, line) in CURVES.items():
        found = [row for row in rows if (row.scale, row.shifted) == (scale, shifted) and row.hr_px]
        measured = [(row.hr_px, row.loss_db, row.half_width_db) for row in found]
        with_intervals(ax, measured, colour, marker, line, shifted)
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set_xscale("log")
    log_axis(ax.xaxis)
    ax.set_yscale("symlog", linthresh=_LINEAR_DB)
    ax.set_yticks(_TICKS_DB, [f"{value:g}" for value in _TICKS_DB])
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set(ylim=(-0.4, 12), xlabel="shift [HR px]", ylabel="PSNR-Y lost [dB]", title=f"×{scale}")
    ax.grid(axis="y", linewidth=0.5)
    top = ax.secondary_xaxis("top", functions=(lambda hr_px: hr_px / scale, lambda lr_px: lr_px * scale))
    log_axis(top.xaxis)
    top.set_xlabel("shift [LR px]")


def amplitudes(ax: Axes, rows: Sequence[Row], scale: int) -> None:
    """The share of HR's amplitude that the output of the filter keeps, for random shifts of the training pairs."""
    shifted, (_, marker, _) = next(iter(CURVES.items()))
    found = [row for row in rows if (row.scale, row.shifted) == (scale, shifted)]
    for row, line in zip((found[0], *found[-2:]), ("-", "--", ":"), strict=True):
        label = f"{row.hr_px:g} HR px" if row.hr_px else "no shift"
        ax.plot(list(row.kept), list(row.kept.values()), color=BLUE, marker=marker, linestyle=line, label=label)
    ax.axvline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    ax.set(xlabel="frequency [cycles per LR px]", ylabel="share of HR's amplitude kept", ylim=(-0.05, 1.1))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    ax.grid(axis="y", linewidth=0.5)
    ax.legend(title="training pairs shifted,\neach in its own direction", loc="upper right")


def misalignment(rows: Sequence[Row]) -> Figure:
    """Both scales side by side: losses above, amplitudes below."""
    figure = Figure(figsize=(9.5, 8.5), layout="constrained")
    grid = figure.subplots(2, 2, height_ratios=(1.4, 1))
    for column, scale in enumerate((8, 2)):
        losses(grid[0][column], rows, scale)
        amplitudes(grid[1][column], rows, scale)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def how_many_cards(lines: Sequence[dict[str, str]], runs: Sequence[dict[str, str]]) -> Figure:
    """PSNR against the number of photographs: means with intervals, and each run of the networks as a dot."""
    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    ax = figure.subplots()
    for network, (colour, marker, line, label) in TRAINED.items():
        own = [row for row in lines if row["network"] == network]
        measured = [(float(row["cards"]), float(row["test_db"]), float(row["half_width_db"])) for row in own]
        with_intervals(ax, measured, colour, marker, line, label)
        if network != "filter":
            dots = [(1.05 * int(row["cards"]), float(row["test_db"])) for row in runs if row["network"] == network]
            ax.scatter(*zip(*dots, strict=True), s=14, color=colour, alpha=0.5, linewidths=0)
    counts = sorted({int(row["cards"]) for row in lines})
    ax.set_xscale("log")
    ax.set_xticks(counts, [str(count) for count in counts])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="photographs in training", ylabel="PSNR-Y on new photographs [dB]")
    ax.grid(axis="y", linewidth=0.5)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 0.18))
    return figure


def table(name: str) -> list[dict[str, str]]:
    """A stored table."""
    with (RESULTS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main(folder: Path) -> None:
    """Write the figures, which have a white ground so that they can be read on dark pages."""
    with theme("light"), rc_context({"svg.hashsalt": "d2crealsr"}):
        figures = {
            "misalignment": misalignment(read_rows(RESULTS / "misalignment.csv")),
            "how-many-cards": how_many_cards(table("how-many-cards.csv"), table("how-many-cards-runs.csv")),
        }
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.svg", facecolor="white", metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
