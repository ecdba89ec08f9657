"""The largest rectangle of allowed cells, against trying all."""

from __future__ import annotations

import numpy as np

from d2crealsr.imaging.largest_rectangle import largest_rectangle


def test_no_rectangle_of_allowed_cells_is_larger() -> None:
    for seed in range(8):
        allowed = np.random.default_rng(seed).random((6, 8)) < 0.75
        x, y, width, height = largest_rectangle(allowed)
        assert allowed[y : y + height, x : x + width].all()
        areas = [
            (right - left) * (bottom - top)
            for top in range(6)
            for bottom in range(top + 1, 7)
            for left in range(8)
            for right in range(left + 1, 9)
            if allowed[top:bottom, left:right].all()
        ]
        assert width * height == max(areas)


def test_without_allowed_cells_it_is_empty() -> None:
    assert largest_rectangle(np.zeros((3, 4), dtype=bool)) == (0, 0, 0, 0)
