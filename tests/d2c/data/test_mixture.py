"""The order in which pairs of several datasets are used, with given shares of the patches."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from d2c.data.mixture import Mixture

MEMBERS = [range(3), range(3, 10), range(10, 12)]


@pytest.mark.parametrize("weights", [(1, 1, 1), (3, 1, 0.5), (0.01, 5, 100), (1e-3, 1, 1e-3)])
def test_every_run_of_patches_has_the_shares_but_for_rounding(weights):
    drawn = Mixture(MEMBERS, weights).pairs((4, 1), 0, 3000)
    origin = np.array([next(k for k, own in enumerate(MEMBERS) if place in own) for place in drawn])
    for first, count in ((0, 3000), (700, 500), (1234, 40)):
        for dataset, weight in enumerate(weights):
            got = int(np.sum(origin[first : first + count] == dataset))
            assert abs(got - count * weight / sum(weights)) < 3


def test_pairs_of_a_dataset_are_used_equally_often():
    times = Counter(Mixture(MEMBERS, (2, 1, 1)).pairs((0, 1), 0, 1000))
    for own in MEMBERS:
        assert max(times[place] for place in own) - min(times[place] for place in own) <= 1


def test_any_part_of_the_patches_can_be_drawn_alone():
    mixture = Mixture(MEMBERS, (0.3, 0.5, 0.2))
    whole = mixture.pairs((7, 2), 0, 500)
    assert [mixture.pairs((7, 2), first, 4) for first in range(0, 500, 4)] == [
        whole[first : first + 4] for first in range(0, 500, 4)
    ]


def test_the_order_depends_on_seed_and_stage():
    mixture = Mixture(MEMBERS, (1, 2, 3))
    drawn = [tuple(mixture.pairs(key, 0, 50)) for key in ((0, 1), (0, 2), (1, 1))]
    assert len(set(drawn)) == 3
