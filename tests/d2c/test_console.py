"""Tables that are printed as text."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from d2c.console import quality_tables
from d2c.evaluation.evaluate import Row, means


def test_an_image_that_is_called_mean_keeps_its_line():
    rows = [Row(image, "bicubic", "basicsr-y", psnr, 0.5) for image, psnr in (("mean", 20.0), ("b", 30.0))]
    table, _ = quality_tables(rows + means(rows))
    assert [line.split() for line in table.splitlines()[2:]] == [
        ["mean", "20.000"],
        ["b", "30.000"],
        ["mean", "25.000"],
    ]


def test_a_cell_that_is_missing_is_empty():
    rows = [Row("a", "bicubic", "basicsr-y", 20.0, 0.5), Row("b", "sr", "basicsr-y", 21.0, 0.5)]
    table, _ = quality_tables(rows)
    assert [line.split() for line in table.splitlines()[2:]] == [["a", "20.000"], ["b", "21.000"]]
