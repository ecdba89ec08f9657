"""Frames of one card are parted by camera and by pauses, but only where each part has an HR and an LR."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from d2crealsr.ingest.frames import Frame
from d2crealsr.ingest.grouping import Card
from d2crealsr.ingest.links import Link
from d2crealsr.ingest.takes import takes_of
from d2crealsr.store.exif import ExifData


def frame(name: str, minute: int | None, camera: str = "A") -> Frame:
    time = "" if minute is None else f"2026-05-01T{10 + minute // 60:02d}:{minute % 60:02d}:00"
    return Frame(path=Path(name), sha256=name, exif=ExifData("", camera, "", "", 50.0, 8.0, (0, 0), time=time))


@pytest.mark.parametrize(
    ("minutes", "cameras", "parts"),
    [
        ((0, 1, 100, 101), "AAAA", [{0, 1}, {2, 3}]),  # HR, LR, a pause, HR, LR
        ((0, 1, 2, 3), "AAAA", [{0, 1, 2, 3}]),  # all in one go
        ((0, 100, 1, 101), "AAAA", [{0, 1, 2, 3}]),  # first both HR, then both LR
        ((0, 1, 0, 1), "AABB", [{0, 1}, {2, 3}]),  # two cameras side by side
        ((0, 1, 100, 101), "ABAB", [{0, 1, 2, 3}]),  # HR by one camera and LR by the other
        ((None, None, None, None), "AAAA", [{0, 1, 2, 3}]),  # no clock
    ],
)
def test_shootings(minutes: tuple[int | None, ...], cameras: str, parts: list[set[int]]) -> None:
    frames = [frame(str(n), minute, camera) for n, (minute, camera) in enumerate(zip(minutes, cameras, strict=True))]
    links = tuple(Link(inner, outer, np.eye(3), 8.0, 99, 0.9, True) for inner in (0, 2) for outer in (1, 3))
    takes = takes_of(Card((0, 2), {8: links}, ()), frames)
    assert [{*take.hr, *(link.outer for link in take.lr[8])} for take in takes] == parts


def test_a_shot_taken_again_joins_the_nearest_shooting() -> None:
    frames = [frame(str(n), minute) for n, minute in enumerate((0, 1, 100, 101, 140))]
    links = [Link(inner, outer, np.eye(3), 8.0, 99, 0.9, True) for inner in (0, 2) for outer in (1, 3, 4)]
    first, second = takes_of(Card((0, 2), {8: tuple(links)}, ()), frames)
    assert {link.outer for link in first.lr[8]} == {1}
    assert {link.outer for link in second.lr[8]} == {3, 4}
