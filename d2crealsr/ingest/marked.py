"""Links between frames whose cards have printed marks (:mod:`d2crealsr.imaging.marks`).

All marks of a card have one number. Where two frames see the same number, the mapping between them follows from the
corners of the marks; where they see different numbers, they show different cards, even if these share a picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from d2crealsr.imaging import geometry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from d2crealsr.types import Array, Matrix, Size

__all__ = ["Marks", "mapping_by_marks", "of_other_cards"]

_CERTAIN = 2
"""Marks of one number that a frame must have to exclude a card of another number. One could be a misreading."""

_PLACED_SHARE = 0.5
"""Largest distance, as a share of a mark's side, at which a mark lies where the mapping puts it."""


class Marks(NamedTuple):
    """The marks of the card in a frame: their number, 0 if there are none, and their corners in px, (N, 4, 2)."""

    number: int
    corners: NDArray[np.float64]

    @property
    def sides(self) -> Array:
        """Mean side of each mark in px."""
        sides: Array = np.linalg.norm(self.corners - np.roll(self.corners, 1, axis=1), axis=2).mean(axis=1)
        return sides

    @classmethod
    def nearest_to_centre(cls, found: list[tuple[int, Array]], size: Size) -> Marks:
        """Of the marks of a frame those of the card in its middle: the number with most marks, else the nearest one."""
        numbers = {number for number, _ in found}
        if not numbers:
            return cls(0, np.empty((0, 4, 2)))
        by_number = {wanted: [corners for number, corners in found if number == wanted] for wanted in numbers}
        middle = geometry.frame_centre(size)

        def rank(number: int) -> tuple[int, float]:
            corners = np.array(by_number[number])
            return -len(corners), float(np.linalg.norm(corners.mean(axis=(0, 1)) - middle))

        best = min(sorted(numbers), key=rank)
        return cls(best, np.array(by_number[best]))


def of_other_cards(one: Marks, other: Marks) -> bool:
    """Whether two frames certainly show different cards."""
    certain = min(len(one.corners), len(other.corners)) >= _CERTAIN
    return certain and one.number != other.number


def mapping_by_marks(inner: Marks, outer: Marks) -> Iterator[tuple[Matrix, int]]:
    """Possible mappings from one frame to another by their marks, with the number of marks that agree.

    The marks of a card are all alike, so each of the one frame may be each of the other. A mapping by one mark is tried
    on the others, and fitted to all that it explains. Those mappings are given that explain most.
    """
    if not inner.number or inner.number != outer.number:
        return
    tried = [_explained(_similarity(mark, place), inner, outer) for mark in inner.corners for place in outer.corners]
    most = max(map(len, tried))
    for pairs in tried:
        if len(pairs) == most > 0:
            source, target = (np.concatenate(side) for side in zip(*pairs, strict=True))
            fitted = _similarity if most == 1 else geometry.fitted_homography
            yield fitted(source, target), most


def _similarity(source: Array, target: Array) -> Matrix:
    """The turn, scale and shift that best map (N, 2) points to others. A single mark determines no more."""
    x, u = (points[:, 0] + 1j * points[:, 1] for points in (source, target))
    factor = np.vdot(x - x.mean(), u - u.mean()) / np.vdot(x - x.mean(), x - x.mean())
    shift = u.mean() - factor * x.mean()
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag], [0, 0, 1.0]])


def _explained(H: Matrix, inner: Marks, outer: Marks) -> list[tuple[Array, Array]]:
    """Marks of both frames that a mapping brings together."""
    pairs = []
    sides = outer.sides
    for mark in inner.corners:
        apart = np.linalg.norm(outer.corners.mean(axis=1) - geometry.project(H, mark).mean(axis=0), axis=1)
        nearest = int(np.argmin(apart))
        if apart[nearest] < _PLACED_SHARE * sides[nearest]:
            pairs.append((mark, outer.corners[nearest]))
    return pairs
