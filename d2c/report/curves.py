"""Read a run's ``log.csv``, and make charts of it."""

from __future__ import annotations

import fnmatch
import functools
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from d2c.evaluation.evaluate import is_one_of_many
from d2c.networks.base.stage import MOVED
from d2c.report.charts import Series, draw
from d2c.training.log import read_log_rows

if TYPE_CHECKING:
    from pathlib import Path

    from d2c.networks import Difference, Network, TrainSettings
    from d2c.report.charts import Chart

__all__ = ["Figure", "Log", "figures", "read_log"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Log:
    """Rows of ``log.csv`` in their order. Missing values are nan.

    Attributes
    ----------
    rows : list of dict
        Values by column name. ``at`` is the step, counted over all stages.
    stages : list of (float, str)
        For each stage after the first: ``at`` of its beginning, and its name.
    """

    rows: list[dict[str, float]]
    stages: list[tuple[float, str]]

    @property
    def methods(self) -> list[str]:
        """The validated methods in the order of the columns, ``bicubic`` first."""
        prefix = "val_psnr_db_"
        return [name.removeprefix(prefix) for name in (self.rows[0] if self.rows else ()) if name.startswith(prefix)]

    @property
    def terms(self) -> list[str]:
        """The loss and its terms, in the order of the columns, where ``total`` follows the weights of the terms."""
        names = [name for name in (self.rows[0] if self.rows else ()) if not name.startswith("val_")]
        terms = names[names.index("total") :] if "total" in names else []
        return [name for name in terms if name not in (MOVED, "at")]

    def curve(self, name: str) -> list[tuple[float, float]]:
        """Points (step over all stages, value) of the rows that have the value."""
        return [(row["at"], row[name]) for row in self.rows if math.isfinite(row.get(name, math.nan))]

    def last(self, name: str) -> float:
        """The last value of a column; nan if there is none."""
        curve = self.curve(name)
        return curve[-1][1] if curve else math.nan


def read_log(path: Path) -> Log:
    """Read the log. A missing file has no rows, and a row that is being written is left out.

    Raises
    ------
    DataError
        When the file is not a log.
    """
    rows = [{name: float(cell) if cell else math.nan for name, cell in cells.items()} for cells in read_log_rows(path)]
    marks: list[tuple[float, str]] = []
    before = 0.0
    for stage, group in itertools.groupby(rows, key=lambda row: row["stage"]):
        if before:
            marks.append((before, f"stage {stage:.0f}"))
        last = before
        for row in group:
            row["at"] = last + row["step"]
            before = max(before, row["at"])
    return Log(rows=rows, stages=marks)


class Figure(NamedTuple):
    """A chart with its title and text."""

    id: str
    title: str
    chart: Chart
    shows: str
    better: str
    worse: str
    todo: str


_BICUBIC, _MAIN, _ONE_OF_MANY = (6, "6 4", 1.8), (1, "", 2.6), (4, "1 2", 1.2)
_OTHERS = ((2, "", 1.8), (3, "2 3", 1.8), (5, "8 3 2 3", 1.8))
"""Colour, dashes and width of lines."""
_DASHES = ("", "6 4", "2 3", "8 3 2 3", "1 2")


class _Words(NamedTuple):
    title: str
    shows: str
    better: str
    worse: str
    todo: str


_QUALITY = _Words(
    "Quality on the validation scenes",
    "PSNR-Y (protocol basicsr-y), mean over the validation scenes, of bicubic interpolation and of what the "
    "network makes.",
    "{main} above bicubic and rising.",
    "Flat below bicubic, or falling while the loss falls: the network learns the training pairs by heart.",
    "Still rising: train on. Falling: more scenes. Flat below bicubic: look at the pairs (d2crealsr report).",
)
_SSIM = _Words(
    "Structural similarity",
    "SSIM on Y of the same images.",
    "Higher, and in the same order as PSNR.",
    "PSNR rises and SSIM falls: the output gets smoother.",
    "Look at the crops below.",
)
_LOSS = _Words(
    "Loss and its terms",
    "The loss that was minimised, and its parts.",
    "Falling, then level.",
    "Rising, or jumping by orders of magnitude.",
    "Rising: lower --lr.",
)
_MOVED = _Words(
    "How far HR patches were moved",
    "Mean length of the shifts of --realign in a step.",
    "Falling to about 0 where pairs are well aligned. At the start, with a poor prediction, shifts are too long.",
    "Level above .25 LR px: many pairs are misaligned.",
    "d2crealsr audit names them.",
)
_RATE = _Words(
    "Learning rate",
    "The learning rate of each step.",
    "Quality that still rises where the rate falls.",
    "A rate that is halved while the loss still falls fast.",
    "A longer run, or --lr-halve-{unit}.",
)


def figures(log: Log, network: Network, train: TrainSettings) -> list[Figure]:
    """Charts of all values in the log: quality, comparisons of the network, losses, learning rate."""
    chart = functools.partial(draw, x_label="step, over all stages" if log.stages else "step", marks=log.stages)
    quality = _QUALITY._replace(better=_QUALITY.better.format(main=network.main.capitalize()))
    course = _RATE._replace(todo=_RATE.todo.format(unit="steps" if train.lr_halve_steps else "epochs"))
    rate = [Series(name="learning rate", points=log.curve("lr"), colour=1)]
    found = [
        ("quality", quality, chart(_methods(log, "psnr_db", network), y_label="PSNR-Y [dB]")),
        *(
            (f"difference-{number}", _words_of(each), chart(_differences(log, each), y_label="difference [dB]"))
            for number, each in enumerate(network.differences, start=1)
        ),
        ("ssim", _SSIM, chart(_methods(log, "ssim", network), y_label="SSIM")),
        ("loss", _LOSS, chart(_losses(log), y_label="loss (logarithmic)", logarithmic=True)),
        ("moved", _MOVED, chart(_moved(log), y_label="length [HR px]")),
        ("rate", course, chart(rate, y_label="learning rate (logarithmic)", logarithmic=True)),
    ]
    return [
        Figure(
            name,
            words.title,
            drawn,
            " ".join(filter(None, (words.shows, network.remarks.get(name)))),
            words.better,
            words.worse,
            words.todo,
        )
        for name, words, drawn in found
        if drawn is not None
    ]


def _words_of(chart: Difference) -> _Words:
    return _Words(chart.title, chart.shows, chart.better, chart.worse, chart.todo)


def _losses(log: Log) -> list[Series]:
    return [
        Series(name=name, points=log.curve(name), colour=k % 6 + 1, dashes=_DASHES[k % len(_DASHES)])
        for k, name in enumerate(log.terms)
    ]


def _moved(log: Log) -> list[Series]:
    return [Series(name="shift", points=log.curve(MOVED), colour=1)]


def _methods(log: Log, what: str, network: Network) -> list[Series]:
    series, others = [], itertools.cycle(_OTHERS)
    for method in log.methods:
        if is_one_of_many(method):
            look = _ONE_OF_MANY
        else:
            look = {"bicubic": _BICUBIC, network.main: _MAIN}.get(method) or next(others)
        colour, dashes, width = look
        points = log.curve(f"val_{what}_{method}")
        series.append(Series(name=method.replace("_", " "), points=points, colour=colour, dashes=dashes, width=width))
    return series


def _differences(log: Log, chart: Difference) -> list[Series]:
    series = []
    for number, (name, patterns, base) in enumerate(chart.lines):
        colour, dashes, width = (_MAIN, _ONE_OF_MANY)[number % 2]
        best: dict[float, float] = {}
        for method in log.methods:
            if any(fnmatch.fnmatchcase(method, pattern) for pattern in patterns):
                for at, value in _difference(log, method, base):
                    best[at] = max(best.get(at, -math.inf), value)
        series.append(Series(name=name, points=sorted(best.items()), colour=colour, dashes=dashes, width=width))
    return series


def _difference(log: Log, method: str, base: str) -> list[tuple[float, float]]:
    lower = dict(log.curve(f"val_psnr_db_{base}"))
    return [(at, value - lower[at]) for at, value in log.curve(f"val_psnr_db_{method}") if at in lower]
