"""Frames of one card are parted by camera and by pauses, but only where each part has an HR and an LR."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from d2crealsr.ingest.frames import Frame
from d2crealsr.ingest.grouping import Card
from d2crealsr.ingest.links import Link
from d2crealsr.ingest.takes import Take, takes_of
from d2crealsr.store.exif import ExifData
from d2crealsr.types import Size


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
    assert [take.card.numbers for take in takes] == parts
    assert not any(take.joined or take.doubtful for take in takes)


def test_a_shot_taken_again_joins_the_nearest_shooting() -> None:
    frames = [frame(str(n), minute) for n, minute in enumerate((0, 1, 100, 101, 140))]
    links = [Link(inner, outer, np.eye(3), 8.0, 99, 0.9, True) for inner in (0, 2) for outer in (1, 3, 4)]
    first, second = takes_of(Card((0, 2), {8: tuple(links)}, ()), frames)
    assert {link.outer for link in first.card.lr[8]} == {1}
    assert {link.outer for link in second.card.lr[8]} == {3, 4}


def at(place: float) -> np.ndarray:
    """Where HR lies in LR."""
    return np.array([[0.1, 0, place], [0, 0.1, 0], [0, 0, 1]])


def two_lr(minutes: tuple[int | None, ...], cameras: str, places: tuple[float, float]) -> Take:
    """The one shooting of an HR (0) that lies in two LR frames (1 and 2), with a frame of another card (3)."""
    frames = [frame(str(n), minute, camera) for n, (minute, camera) in enumerate(zip(minutes, cameras, strict=True))]
    sketch = SimpleNamespace(size=Size(600, 400))
    frames = [replace(each, sketch=sketch) for each in frames]
    links = tuple(Link(0, outer, at(place), 8.0, 99, 0.9, True) for outer, place in zip((1, 2), places, strict=True))
    (take,) = takes_of(Card((0,), {8: links}, ()), frames, {3})
    return take


@pytest.mark.parametrize(
    ("minutes", "cameras", "places", "joined", "doubtful"),
    [
        ((0, 1, 2, 9), "AAAA", (0, 5), set(), set()),  # in one go
        ((0, 1, 3, 2), "AAAA", (0, 5), {2}, set()),  # another card came between: perhaps a card with the same picture
        ((0, 1, 3, 2), "AAAA", (0, 0.5), set(), set()),  # the camera was not moved, and the card neither
        ((0, 100, 1, 9), "AAAA", (0, 5), {1}, set()),  # long after
        ((0, 1, 3, 9), "ABCA", (0, 5), set(), {0, 1, 2}),  # three cameras
        ((0, 1, 3, 9), "ABCA", (0, 0.5), set(), set()),
        ((None, None, None, None), "AAAA", (0, 5), set(), {0, 1, 2}),  # no clock
        ((7, 7, 7, 7), "AAAA", (0, 5), set(), {0, 1, 2}),  # a clock that stands
        ((0, 50, 53, 51), "AAAA", (0, 5), set(), {0, 1, 2}),  # all HR first; another card between both LR
        ((0, 50, 53, 9), "AAAA", (0, 5), set(), set()),
    ],
)
def test_an_lr_that_may_be_of_another_card_with_the_same_picture_is_never_taken_before_others(
    minutes: tuple[int | None, ...], cameras: str, places: tuple[float, float], joined: set[int], doubtful: set[int]
) -> None:
    take = two_lr(minutes, cameras, places)
    assert (take.joined, take.doubtful) == (joined, doubtful)
    assert (take.without_doubts() is None) == bool(doubtful)


@pytest.mark.parametrize(("shift", "doubtful"), [(3.0, set()), (30.0, {0, 1, 2})])
def test_two_shots_whose_whole_frames_agree_were_taken_from_one_place(shift: float, doubtful: set[int]) -> None:
    frames = [replace(frame(str(n), None), sketch=SimpleNamespace(size=Size(600, 400))) for n in range(3)]
    links = tuple(Link(0, outer, at(place), 8.0, 99, 0.9, True) for outer, place in ((1, 0), (2, 9)))
    alike = Link(1, 2, np.array([[1, 0, shift], [0, 1, 0], [0, 0, 1.0]]), 1.0, 99, 0.9, True)
    (take,) = takes_of(Card((0,), {8: links}, (), (alike,)), frames)
    assert take.doubtful == doubtful
