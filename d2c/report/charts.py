"""Lay out line charts: the positions of lines, ticks and marks, from which the page's template makes an SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Chart", "Line", "Mark", "Series", "draw", "ticks"]

WIDTH, HEIGHT = 480, 290
LEFT, RIGHT, TOP, BOTTOM = 64, 14, 12, 44
"""Margins of the plotted area, in units of the drawing."""
_LARGEST = 1e100
"""Largest value that is drawn. Larger ones are not measurements, and their differences may be infinite."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One line: points (x, y), its colour (1 … 6 of the page), and dashes by which it differs without colour too."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int
    dashes: str = ""
    width: float = 1.8


class Mark(NamedTuple):
    """A tick or a vertical line: its position in the drawing, and its text."""

    at: float
    text: str


class Line(NamedTuple):
    """A drawn series: the ``path`` of an SVG, and the last value for the legend and for screen readers."""

    name: str
    path: str
    colour: int
    dashes: str
    width: float
    last: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A drawing of ``WIDTH`` × ``HEIGHT`` units."""

    lines: list[Line]
    x_ticks: list[Mark]
    y_ticks: list[Mark]
    marks: list[Mark]
    x_label: str
    y_label: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def draw(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    marks: Sequence[tuple[float, str]] = (),
    logarithmic: bool = False,
) -> Chart | None:
    """Lay out a chart; None if there is nothing to draw.

    Parameters
    ----------
    series : sequence of Series
        The lines. Points are left out if they are not finite, larger than 1e100, or not positive on a logarithmic
        scale.
    marks : sequence of (x, text)
        Vertical lines.
    logarithmic : bool
        Whether the scale of y is logarithmic.
    """

    def drawn(y: float) -> bool:
        return abs(y) < _LARGEST and (y > 1 / _LARGEST or not logarithmic)

    kept = [(s, [(x, y) for x, y in s.points if drawn(y)]) for s in series]
    kept = [(s, points) for s, points in kept if points]
    if not kept:
        return None
    xs = [x for _, points in kept for x, _ in points] + [0.0]
    ys = [math.log10(y) if logarithmic else y for _, points in kept for _, y in points]
    x_low, x_high = min(xs), max(xs) or 1.0
    low, high = min(ys), max(ys)
    pad = 0.04 * (high - low) or max(abs(high) * 0.01, 1e-3)
    low, high = low - pad, high + pad

    def at_x(x: float) -> float:
        return round(LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT), 1)

    def at_y(y: float) -> float:
        value = math.log10(y) if logarithmic else y
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    def path(points: Sequence[tuple[float, float]]) -> str:
        return "M" + "L".join(f"{at_x(x):g},{at_y(y):g}" for x, y in points)

    values = _decades(low, high) if logarithmic else ticks(low, high)
    return Chart(
        lines=[Line(s.name, path(points), s.colour, s.dashes, s.width, points[-1][1]) for s, points in kept],
        x_ticks=[Mark(at_x(x), f"{x:g}") for x in ticks(x_low, x_high)],
        y_ticks=[Mark(at_y(y), f"{y:.6g}") for y in values],
        marks=[Mark(at_x(x), text) for x, text in marks if x_low <= x <= x_high],
        x_label=x_label,
        y_label=y_label,
    )


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) between two numbers.

    Examples
    --------
    >>> ticks(0, 650), ticks(20.13, 20.41)
    ([0.0, 200.0, 400.0, 600.0], [20.15, 20.2, 20.25, 20.3, 20.35, 20.4])
    """
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, … between two logarithms, or only powers of ten if there are many."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    factors = (1, 2, 5) if high - low < 3 else (1,)
    values = [float(f"{factor}e{power}") for power in powers for factor in factors]
    return [value for value in values if low <= math.log10(value) <= high]
