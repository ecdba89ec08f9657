"""How clear the edges of a frame are, and whether another frame may lie around it."""

from __future__ import annotations

import numpy as np
import pytest

from d2crealsr.imaging.frames import Frame, edges_along, evidence_around, likely_frames
from d2crealsr.imaging.straight_lines import Courses, courses

ANY = (-1.0, -1.0)


def drawn(*frames: tuple[int, int, int, int], seen: float = 1.0) -> tuple[Courses, Courses]:
    """Lines along the rows and along the columns where a view shows the sides of some frames, or a share of them."""
    rng = np.random.default_rng(1)
    ridges = [rng.random((120, 180)) < 0.05, rng.random((180, 120)) < 0.05]
    lines: list[list[tuple[float, float]]] = [[], []]
    for top, right, bottom, left in frames:
        for ridge, sides, ends, along in (
            (ridges[0], (top, bottom), (left, right), lines[0]),
            (ridges[1], (left, right), (top, bottom), lines[1]),
        ):
            for side in sides:
                shown = rng.random(ends[1] - ends[0]) < seen
                ridge[side, ends[0] : ends[1]] |= shown
                along.append((side - (ridge.shape[0] - 1) / 2, 0.0))
    level, upright = (
        courses(np.array(along).T, ridge, np.zeros_like(ridge), 40.0)
        for along, ridge in zip(lines, ridges, strict=True)
    )
    return level, upright


def framed(top: int, right: int, bottom: int, left: int) -> Frame:
    return Frame((top - 59.5, 0.0), (right - 89.5, 0.0), (bottom - 59.5, 0.0), (left - 89.5, 0.0))


def best(level: Courses, upright: Courses) -> Frame:
    return likely_frames(level, upright, None, 0.0, steps=ANY)[0]


def test_the_edges_of_a_frame_are_clearer_the_more_of_its_sides_is_seen() -> None:
    clear, faint = (drawn((30, 140, 90, 40), seen=share) for share in (1.0, 0.5))
    assert edges_along(*clear, best(*clear)) > 1.2
    assert 0 < edges_along(*faint, best(*faint)) < 0.8


@pytest.mark.parametrize("seen", [0.7, 1.0])
def test_a_frame_around_another_one_is_noticed(seen: float) -> None:
    inner, outer = (40, 120, 80, 60), (20, 150, 100, 30)
    alone, both = drawn(inner), drawn(inner, outer, seen=seen)
    assert evidence_around(*alone, best(*alone)) == 0
    assert evidence_around(*both, framed(*inner)) > 0.8
    assert evidence_around(*both, framed(*outer)) == 0
