"""Where one frame lies in another, and which frames were taken from one place without the card being moved."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from d2crealsr.imaging import geometry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d2crealsr.ingest.links import Link
    from d2crealsr.types import Array, Size

__all__ = ["joined", "overlap", "side_by_side"]

_SAME_PLACE = 0.02
"""Largest distance between the corners of two outlines at one place, as a share of their diagonal. A tripod that stays
moves them by less. Cards that are laid down anew by hand are displaced and turned by several per cent."""


def overlap(one: Link, other: Link, sizes: Sequence[Size]) -> float:
    """Area that two inner frames share in an outer one, divided by the area that they cover together."""
    a, b = (_box(link, sizes) for link in (one, other))
    common = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    areas = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])
    return float(common / (areas - common))


def side_by_side(links: Iterable[Link], alike: Iterable[Link], sizes: Sequence[Size]) -> list[tuple[int, int]]:
    """Pairs of frames of one kind that were taken from one place.

    Two inner ones lie at one place of an outer one, or an inner one at one place of two outer ones, or, by the links
    between ``alike`` ones, all corners of a frame lie at those of the other.
    """
    by_end: dict[tuple[str, int], list[tuple[int, Link]]] = defaultdict(list)
    for link in links:
        by_end["inner", link.inner].append((link.outer, link))
        by_end["outer", link.outer].append((link.inner, link))
    found = [
        (one, other)
        for shown in by_end.values()
        for (one, first), (other, second) in itertools.combinations(shown, 2)
        if sizes[one] == sizes[other] and _apart(_outline(first, sizes), _outline(second, sizes)) <= _SAME_PLACE
    ]
    return found + [
        (link.inner, link.outer)
        for link in alike
        if sizes[link.inner] == sizes[link.outer]
        and _apart(_outline(link, sizes), geometry.corners(sizes[link.outer])) <= _SAME_PLACE
    ]


def joined(numbers: Iterable[int], together: Iterable[tuple[int, int]]) -> list[set[int]]:
    """Frames joined into sets by pairs, in the order of their smallest numbers."""
    sets = {number: {number} for number in numbers}
    for one, other in together:
        both = sets.get(one, {one}) | sets.get(other, {other})
        sets.update(dict.fromkeys(both, both))
    return sorted({id(each): each for each in sets.values()}.values(), key=min)


def _outline(link: Link, sizes: Sequence[Size]) -> Array:
    """The corners of the inner frame in the outer one, (4, 2)."""
    return geometry.project(link.H_inner_to_outer, geometry.corners(sizes[link.inner]))


def _box(link: Link, sizes: Sequence[Size]) -> Array:
    """The rectangle around the inner frame's place in the outer one: left, top, right, bottom."""
    outline = _outline(link, sizes)
    return np.concatenate([outline.min(axis=0), outline.max(axis=0)])


def _apart(one: Array, other: Array) -> float:
    """Largest distance between corresponding corners of two outlines, as a share of the diagonal."""
    diagonal = np.linalg.norm(np.ptp(np.concatenate([one, other]), axis=0))
    return float(np.linalg.norm(one - other, axis=1).max() / max(diagonal, 1e-9))
