"""A run's ``log.csv`` as curves: what is read of it, and which charts are made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from d2c.d2csr.stages import TERMS
from d2c.report.charts import Series, draw
from d2c.training.log import read_log_rows

if TYPE_CHECKING:
    from pathlib import Path

    from d2c.report.charts import Chart

__all__ = ["Figure", "Log", "figures", "read_log"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Log:
    """Rows of ``log.csv`` in their order; what a row does not have is nan.

    Attributes
    ----------
    rows : list of dict
        By column name; ``at`` is the step counted over all stages.
    stage_two_at : float or None
        ``at`` where stage 2 begins.
    """

    rows: list[dict[str, float]]
    stage_two_at: float | None

    @property
    def methods(self) -> list[str]:
        """What was validated, in the order of the columns: ``bicubic, branch_1, …``."""
        prefix = "val_psnr_db_"
        return [name.removeprefix(prefix) for name in (self.rows[0] if self.rows else ()) if name.startswith(prefix)]

    def curve(self, name: str) -> list[tuple[float, float]]:
        """Points (step over all stages, value) of the rows that have the value."""
        return [(row["at"], row[name]) for row in self.rows if math.isfinite(row.get(name, math.nan))]

    def last(self, name: str) -> float:
        """The newest value of a column; nan where there is none."""
        curve = self.curve(name)
        return curve[-1][1] if curve else math.nan


def read_log(path: Path) -> Log:
    """Read what is there: no file is no rows, and a row that is being written is left out.

    Raises
    ------
    DataError
        When the file is no log.
    """
    rows = [{name: float(cell) if cell else math.nan for name, cell in cells.items()} for cells in read_log_rows(path)]
    first = max((row["step"] for row in rows if row["stage"] == 1), default=0.0)
    for row in rows:
        row["at"] = row["step"] + (first if row["stage"] == 2 else 0)
    two = first if any(row["stage"] == 2 for row in rows) and first else None
    return Log(rows=rows, stage_two_at=two)


class Figure(NamedTuple):
    """A chart with what stands beside it."""

    id: str
    title: str
    chart: Chart
    shows: str
    better: str
    worse: str
    todo: str


_LOOK = {
    "bicubic": (6, "6 4", 1.8),
    "mean": (2, "", 1.8),
    "fused": (1, "", 2.6),
    "oracle": (3, "2 3", 1.8),
}
_BRANCH = (4, "1 2", 1.2)
_DASHES = ("", "6 4", "2 3", "8 3 2 3", "1 2")


def figures(log: Log) -> list[Figure]:
    """Charts of everything the log has: quality, gain over the plain mean, losses, learning rate."""
    marks = [(log.stage_two_at, "stage 2")] if log.stage_two_at is not None else []
    step = "step, over both stages" if marks else "step"
    best = _best_branch(log)
    losses = [
        Series(name=name, points=log.curve(name), colour=k % 6 + 1, dashes=_DASHES[k % len(_DASHES)])
        for k, name in enumerate(TERMS)
    ]
    rate = [Series(name="learning rate", points=log.curve("lr"), colour=1)]
    found = [
        (
            ("quality", "Quality on the validation scenes"),
            draw(_methods(log, "psnr_db"), x_label=step, y_label="PSNR-Y [dB]", marks=marks),
            "PSNR-Y (protocol basicsr-y), mean over the validation scenes: bicubic, every branch, their plain mean, "
            "the fused output, and the oracle that knows the best branch in each pixel.",
            "Fused above bicubic and rising; the oracle far above the mean, so that there is something to choose from.",
            "Flat below bicubic, or falling while the loss falls: the network learns the training pairs by heart.",
            "Still rising: train on. Falling: more scenes. Flat below bicubic: look at the pairs (d2crealsr report).",
        ),
        (
            ("gain", "What fusing is worth"),
            draw(
                [
                    Series(name="fused − mean", points=_difference(log, "fused", "mean"), colour=1, width=2.6),
                    Series(name="best branch − mean", points=best, colour=4, dashes="1 2"),
                ],
                x_label=step,
                y_label="difference [dB]",
                marks=marks,
            ),
            "PSNR-Y of the fused output, and of the branch that is best on all scenes, less that of their plain mean.",
            "Fused above 0 in stage 2: the weight maps choose better than an average does.",
            "Fused at or below 0: an average would do, and the convergence net adds nothing.",
            "More steps of stage 2. If the oracle above is near the mean, the branches are all alike: raise --alpha.",
        ),
        (
            ("ssim", "Structural similarity"),
            draw(_methods(log, "ssim"), x_label=step, y_label="SSIM", marks=marks),
            "SSIM on Y of the same images.",
            "Higher, and in the same order as PSNR.",
            "PSNR rises and SSIM falls: the output gets smoother.",
            "Look at the crops below.",
        ),
        (
            ("loss", "Loss and its terms"),
            draw(losses, x_label=step, y_label="loss (logarithmic)", marks=marks, logarithmic=True),
            "The loss that was minimised and its parts; spread is how far the predictions are from their mean.",
            "Falling, then level; spread that stays.",
            "Rising, or jumping by orders of magnitude; spread that falls to nothing.",
            "Rising: lower --lr. No spread: raise --alpha.",
        ),
        (
            ("rate", "Learning rate"),
            draw(rate, x_label=step, y_label="learning rate (logarithmic)", marks=marks, logarithmic=True),
            "The learning rate of each step.",
            "Quality that still rises where the rate falls.",
            "A rate that is halved while the loss still falls fast.",
            "A longer run, or --lr-halve-epochs.",
        ),
    ]
    return [Figure(*name, chart, *words) for name, chart, *words in found if chart is not None]


def _methods(log: Log, what: str) -> list[Series]:
    series = []
    for method in log.methods:
        colour, dashes, width = _LOOK.get(method, _BRANCH)
        name = method.replace("_", " ")
        points = log.curve(f"val_{what}_{method}")
        series.append(Series(name=name, points=points, colour=colour, dashes=dashes, width=width))
    return series


def _difference(log: Log, method: str, base: str) -> list[tuple[float, float]]:
    lower = dict(log.curve(f"val_psnr_db_{base}"))
    return [(at, value - lower[at]) for at, value in log.curve(f"val_psnr_db_{method}") if at in lower]


def _best_branch(log: Log) -> list[tuple[float, float]]:
    best: dict[float, float] = {}
    for method in log.methods:
        if method.startswith("branch_"):
            for at, value in _difference(log, method, "mean"):
                best[at] = max(best.get(at, -math.inf), value)
    return sorted(best.items())
