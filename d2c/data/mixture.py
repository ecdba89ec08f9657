"""In which order a run uses the pairs of several datasets, if each of them gives a fixed share of the patches.

The patches of a stage are numbered from 0. Which dataset a patch comes from, and which of its pairs, depends only on
the seed, the stage and this number. Of any number of successive patches each dataset has its share, but for rounding:
a dataset with the share s has the patches at which ⌊s·k + u⌋ grows, where u is drawn once (systematic sampling; Madow &
Madow 1944, doi:10.1214/aoms/1177731312). Within a dataset, every pair is used once before any is used again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Mixture", "spread_evenly"]

_ORDER, _OFFSETS = 2, 3
"""Parts of the keys of the random numbers. The parts 0 and 1 belong to :class:`d2c.data.patches.CropSource`."""


@dataclass(frozen=True)
class Mixture:
    """Datasets and their shares of the patches.

    Parameters
    ----------
    members : sequence of sequences of int
        The places of each dataset's pairs among all pairs. No dataset is empty.
    weights : sequence of float
        Numbers above 0, in proportion to the shares.
    """

    members: Sequence[Sequence[int]]
    weights: Sequence[float]

    def pairs(self, key: tuple[int, int], first: int, count: int, shares: Sequence[float] | None = None) -> list[int]:
        """The places of the pairs for ``count`` patches from number ``first`` on. ``key`` is (seed, stage).

        With ``shares``, one for each place, pairs of a dataset are used as often as these say.

        Examples
        --------
        >>> from collections import Counter
        >>> drawn = Mixture([[0, 1], [2, 3, 4, 5]], [1, 3]).pairs((0, 1), 0, 16)
        >>> sum(place < 2 for place in drawn), sorted(Counter(drawn).values())
        (4, [2, 2, 3, 3, 3, 3])
        """
        offsets = np.random.default_rng((*key, _OFFSETS)).random(len(self.members)).tolist()
        orders: dict[tuple[int, int], list[int]] = {}
        found = []
        for patch in range(first, first + count):
            dataset, number = self._dataset(patch, offsets)
            own = self.members[dataset]
            turn, position = divmod(number, len(own))
            if (dataset, turn) not in orders:
                rng = np.random.default_rng((*key, _ORDER, dataset, turn))
                order = rng.permutation(len(own)).tolist()
                if shares is not None:
                    order = spread_evenly(order, [shares[place] for place in own], rng.random())
                orders[dataset, turn] = order
            found.append(own[orders[dataset, turn][position]])
        return found

    def _dataset(self, patch: int, offsets: Sequence[float]) -> tuple[int, int]:
        """The dataset of a patch, and the number of earlier patches of that dataset.

        One dataset after the other is separated from those that follow it.
        """
        left = math.fsum(self.weights)
        for dataset, (weight, offset) in enumerate(zip(self.weights[:-1], offsets, strict=False)):
            before, after = (math.floor(weight / left * number + offset) for number in (patch, patch + 1))
            if after > before:
                return dataset, before
            patch, left = patch - before, left - weight
        return len(self.weights) - 1, patch


def spread_evenly(order: Sequence[int], weights: Sequence[float], offset: float) -> list[int]:
    """The places of an epoch of as many crops as there are pairs, each pair as often as its weight says.

    A pair that is due 1.3 times is used once or twice. Equal weights leave the order as it is.

    Parameters
    ----------
    order : sequence of int
        A permutation of the places.
    weights : sequence of float
        Above 0, for each place.
    offset : float
        Between 0 and 1, at random for each epoch.

    Examples
    --------
    >>> spread_evenly([2, 0, 3, 1], [1, 1, 1, 1], 0.3), spread_evenly([2, 0, 3, 1], [2, 1, 0.5, 0.5], 0.3)
    ([2, 0, 3, 1], [1, 0, 2, 0])
    """
    due = np.cumsum(weights) * (len(order) / math.fsum(weights))
    drawn = np.searchsorted(due[:-1], np.arange(len(order)) + offset, side="right")
    return [int(drawn[place]) for place in order]
