"""Plots of a comparison: lines that can be told apart, and axes of counts."""

import pytest

pytest.importorskip("matplotlib")
from d2c.comparison.plots import _style


def test_no_two_of_forty_lines_look_alike():
    looks = [tuple(sorted(_style(k).items())) for k in range(40)]
    assert len({*looks}) == 40
    marks = [(look["marker"], look["color"], look.get("markerfacecolor")) for look in map(_style, range(20))]
    assert len({*marks}) == 20, "points without a line between them can be told apart as well"
