"""Quality against cost: parameters, multiply-adds, and crops seen in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from d2c.errors import ConfigError
from d2crealsr.store import files
from d2crealsr.ui.versions import how_to_install

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from d2c.comparison.cells import Cell
    from d2c.comparison.tables import Entry

__all__ = ["curves_figure", "pyplot", "quality_figure", "save_figure"]

_COSTS = {
    "parameters": "trained parameters",
    "multiply_adds_per_lr_pixel": "multiply-adds per LR pixel",
    "crops": "crops seen in training",
}
_MEASURES = {"psnr_db": "PSNR in dB", "ssim": "SSIM"}
_MARKERS = "os^vDPX*<>"
_DASHES = ("-", "--", ":", "-.")


def _style(k: int) -> dict[str, Any]:
    """Colour, marker and dashes of the k-th line. After ten lines the markers are hollow and the lines broken."""
    again = k // len(_MARKERS)
    look = {"color": f"C{k % 10}", "marker": _MARKERS[k % len(_MARKERS)], "linestyle": _DASHES[again % len(_DASHES)]}
    return look | ({"markerfacecolor": "none"} if again else {})


def pyplot() -> Any:
    """Matplotlib without a window, from the extra ``report``."""
    try:
        import matplotlib as mpl
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ConfigError(f"plots need matplotlib: it is not installed; run: {how_to_install('report')}") from error
    mpl.use("Agg")
    return plt


def quality_figure(table: pd.DataFrame, lines: Sequence[Entry], title: str) -> Any:
    """PSNR and SSIM of the lines of one test set and protocol against their costs; bars are the range over seeds.

    Methods without a cost (bicubic has no parameters) are horizontal lines.
    """
    figure, grid = pyplot().subplots(len(_MEASURES), len(_COSTS), figsize=(13, 7), squeeze=False, sharey="row")
    for row, (measure, measure_label) in enumerate(_MEASURES.items()):
        for column, (cost, cost_label) in enumerate(_COSTS.items()):
            axes = grid[row][column]
            for k, line in enumerate(lines):
                _point(axes, table[table["method"] == line.name].iloc[0], measure, cost, line.label, k)
            if (table[cost] > 0).any():
                axes.set_xscale("log")
            axes.set_xlabel(cost_label)
            axes.grid(visible=True, alpha=0.3)
        grid[row][0].set_ylabel(measure_label)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, fontsize=8, frameon=False)
    figure.suptitle(title)
    figure.tight_layout(rect=(0, 0.05 + 0.02 * (len(lines) // 4), 1, 1))
    return figure


def _point(axes: Any, row: Any, measure: str, cost: str, label: str, k: int) -> None:
    value, style = row[measure], _style(k)
    if not row[cost]:
        axes.axhline(value, color=style["color"], linestyle=style["linestyle"], linewidth=1, label=label)
        return
    below, above = value - row[f"{measure}_least"], row[f"{measure}_most"] - value
    axes.errorbar(row[cost], value, [[below], [above]], **(style | {"linestyle": ""}), capsize=3, label=label)


def curves_figure(cells: Sequence[Cell], title: str) -> Any:
    """PSNR and SSIM on the validation pairs against the crops seen, a line for each training."""
    figure, grid = pyplot().subplots(1, 2, figsize=(13, 5))
    names = list(dict.fromkeys(cell.method.name for cell in cells))
    for cell in cells:
        curve, k = cell.curve(), names.index(cell.method.name)
        label = cell.method.label if cell is next(c for c in cells if c.method.name == cell.method.name) else None
        for axes, column in zip(grid, (1, 2), strict=True):
            x, y = [point[0] for point in curve], [point[column] for point in curve]
            axes.plot(x, y, **_style(k), markersize=4, linewidth=1, label=label)
    for axes, label in zip(grid, _MEASURES.values(), strict=True):
        axes.set_xlabel("crops seen")
        axes.set_ylabel(f"{label}, validation pairs, basicsr-y")
        axes.grid(visible=True, alpha=0.3)
    grid[0].legend(fontsize=7, frameon=False)
    figure.suptitle(title)
    figure.tight_layout()
    return figure


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG and as PDF, completely or not at all, and close it."""
    for suffix in (".png", ".pdf"):
        with files.atomic_path(path.with_suffix(suffix)) as temporary:
            figure.savefig(
                temporary, format=suffix[1:], dpi=150, metadata={"CreationDate": None} if suffix == ".pdf" else None
            )
    pyplot().close(figure)
