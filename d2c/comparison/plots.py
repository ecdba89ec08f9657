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

    Methods without a cost (bicubic has no parameters) are horizontal lines. A cost that all trained methods share is
    left out.
    """
    costs = {name: label for name, label in _COSTS.items() if table.loc[table[name] > 0, name].nunique() > 1}
    costs = costs or dict([next(iter(_COSTS.items()))])
    figure, grid = pyplot().subplots(len(_MEASURES), len(costs), figsize=(13, 7.5), squeeze=False, sharey="row")
    for row, (measure, measure_label) in enumerate(_MEASURES.items()):
        for column, (cost, cost_label) in enumerate(costs.items()):
            axes = grid[row][column]
            for k, line in enumerate(lines):
                _point(axes, table[table["method"] == line.name].iloc[0], measure, cost, line.label, k)
            _count_axis(axes, cost_label)
        grid[row][0].set_ylabel(measure_label)
    _finish(figure, grid[0][0], title)
    return figure


def _point(axes: Any, row: Any, measure: str, cost: str, label: str, k: int) -> None:
    value, style = row[measure], _style(k)
    if not row[cost]:
        axes.axhline(value, color=style["color"], linestyle="--", linewidth=1, label=label)
        return
    below, above = value - row[f"{measure}_least"], row[f"{measure}_most"] - value
    axes.errorbar(row[cost], value, [[below], [above]], **(style | {"linestyle": ""}), capsize=3, label=label)


def _count_axis(axes: Any, label: str) -> None:
    """A logarithmic axis of counts, which are written as 50k and 2M; nothing to scale if no method has a count."""
    from matplotlib import ticker

    axes.set_xlabel(label)
    axes.grid(visible=True, alpha=0.3)
    if any(line.get_xdata()[0] > 1 for line in axes.get_lines()):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
        axes.xaxis.set_minor_formatter(ticker.NullFormatter())


def _finish(figure: Any, named: Any, title: str) -> None:
    """The title above, and the names of the lines of one of the axes below."""
    handles, labels = named.get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, fontsize=8, frameon=False)
    figure.suptitle(title)
    height = figure.get_size_inches()[1]
    figure.tight_layout(rect=(0, (0.15 + 0.19 * -(-len(labels) // 4)) / height, 1, 1))


def curves_figure(cells: Sequence[Cell], lines: Sequence[Entry], title: str) -> Any:
    """PSNR and SSIM on the validation pairs against the crops seen: the mean over the seeds, in a band of their range.

    A method looks as it does in :func:`quality_figure` of these lines.
    """
    figure, grid = pyplot().subplots(1, 2, figsize=(13, 6))
    names = [line.name for line in lines]
    by_method: dict[str, list[Cell]] = {}
    for cell in cells:
        by_method.setdefault(cell.method.name, []).append(cell)
    for name, trained in by_method.items():
        style = _style(names.index(name))
        points: dict[int, list[tuple[float, float]]] = {}
        for cell in trained:
            for crops, psnr, ssim in cell.curve():
                points.setdefault(crops, []).append((psnr, ssim))
        x = sorted(points)
        for column, axes in enumerate(grid):
            seeds = [[point[column] for point in points[crops]] for crops in x]
            means = [sum(values) / len(values) for values in seeds]
            least, most = [min(values) for values in seeds], [max(values) for values in seeds]
            axes.plot(x, means, **style, markersize=4, linewidth=1, label=trained[0].method.label)
            axes.fill_between(x, least, most, color=style["color"], alpha=0.1, lw=0)
    for axes, label in zip(grid, _MEASURES.values(), strict=True):
        axes.set_xlabel("crops seen")
        axes.set_ylabel(f"{label}, validation pairs, basicsr-y")
        axes.grid(visible=True, alpha=0.3)
    _finish(figure, grid[0], f"{title}: mean over the seeds, in a band of their range")
    return figure


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG and as PDF, completely or not at all, and close it."""
    for suffix in (".png", ".pdf"):
        with files.atomic_path(path.with_suffix(suffix)) as temporary:
            figure.savefig(
                temporary, format=suffix[1:], dpi=150, metadata={"CreationDate": None} if suffix == ".pdf" else None
            )
    pyplot().close(figure)
