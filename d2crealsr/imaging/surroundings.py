"""What surrounds a picture looks like: the colours of a desk, or a blank strip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from d2crealsr.imaging.channels import largest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.imaging.card_view import Float32, Mask

__all__ = ["UsualColours", "off_plane"]

_BINS = 16
_KERNEL = (0.25, 0.5, 0.25)
_ROUNDS = 4
_NEAREST, _SURELY_NEAR = 0.7, 0.02
"""Share of the pixels through which a plane is fitted again, and the distance within which all are."""


class UsualColours:
    """How often colours occur among some pixels: a histogram of three dimensions, a little blurred.

    Parameters
    ----------
    parts : sequence of (N, 3) ndarray
        Colours to learn from. If there are several parts, colours that only one of them has do not count, as those of a
        hand that lies on one side of a card.
    span : (2, 3) ndarray
        Range of each channel that is divided into bins.
    rare : float
        Share of the pixels whose colours are taken as too rare to belong to the others.
    """

    def __init__(self, parts: Sequence[Float32], span: Float32, rare: float) -> None:
        low, high = span
        self._low, self._per_unit = low, _BINS / np.maximum(high - low, np.float32(1e-3))
        each = np.stack([self._counted(part) for part in parts])
        self._counts = each.sum(axis=0) - (each.max(axis=0) if len(parts) > 1 else 0)
        self._least = np.quantile(self._counts[self._bins(np.concatenate(parts))], rare)

    def _counted(self, pixels: Float32) -> Float32:
        at = np.ravel_multi_index(self._bins(pixels), (_BINS,) * 3)
        counts = np.bincount(at, minlength=_BINS**3).astype(np.float32).reshape((_BINS,) * 3)
        for axis in range(3):
            padded = np.pad(counts, [(1, 1) if each == axis else (0, 0) for each in range(3)])
            parts = [np.take(padded, range(start, start + _BINS), axis) for start in range(3)]
            counts = np.tensordot(np.array(_KERNEL, np.float32), np.stack(parts), axes=1)
        return np.asarray(counts, np.float32)

    def _bins(self, pixels: Float32) -> tuple[NDArray[np.intp], ...]:
        at = np.clip((pixels - self._low) * self._per_unit, 0, _BINS - 1).astype(np.intp)
        return tuple(np.moveaxis(at, -1, 0))

    def unlike(self, pixels: Float32) -> Mask:
        """Which of some pixels (..., 3) have colours that are rare among those that were learnt."""
        return np.asarray(self._counts[self._bins(pixels)] < self._least)


def off_plane(pixels: Float32, strip: Mask) -> Float32:
    """How far the colours of an image are from the even course that those of a strip mostly follow, (h, w).

    The course is a plane in each channel, so that light may fall off to one side. The result is the largest difference
    of a channel.
    """
    height, width = strip.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    terms = np.stack([np.ones_like(x), x / width - np.float32(0.5), y / height - np.float32(0.5)], axis=-1)
    used = strip
    for _ in range(_ROUNDS):
        course = np.linalg.lstsq(terms[used], pixels[used], rcond=None)[0]
        off = largest_of(np.abs(pixels - terms @ course))
        used = strip & (off <= max(_SURELY_NEAR, float(np.quantile(off[strip], _NEAREST))))
    return np.asarray(off, np.float32)
