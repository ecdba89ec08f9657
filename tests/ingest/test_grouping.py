"""Links between frames become cards, also where two cards have the same photograph on them."""

from __future__ import annotations

import numpy as np

from d2crealsr.ingest.grouping import cards_of
from d2crealsr.ingest.links import Link
from d2crealsr.types import Size


def cards(*links: tuple[int, int, float]) -> list[tuple[tuple[int, ...], dict[int, set[int]]]]:
    """HR frames, and LR frames by scale, of the cards that links (inner, outer, scale) show."""
    found = cards_of(
        [Link(inner, outer, np.diag([1 / s, 1 / s, 1.0]), s, 99, 0.9, True) for inner, outer, s in links],
        [Size(120, 80)] * 10,
    )
    return [(card.hr, {scale: {link.outer for link in lr} for scale, lr in card.lr.items()}) for card in found]


def test_a_card_that_shows_the_photograph_of_another_card_keeps_its_own_frames() -> None:
    # 0 and 1 are a card; 2 and 3 are a collage on which the photograph of the first is four times smaller.
    assert cards((0, 1, 8.0), (2, 3, 8.0), (0, 2, 4.0)) == [((0,), {8: {1}}), ((2,), {8: {3}})]


def test_frames_of_one_card_at_several_scales_stay_together() -> None:
    assert cards((0, 1, 2.0), (0, 2, 8.0), (1, 2, 4.0)) == [((0,), {2: {1}, 8: {2}})]


def test_a_card_stays_whole_where_a_frame_at_a_large_scale_is_found_from_the_middle_one_only() -> None:
    # Two frames at x2 and one at x8, in which HR itself was not found.
    links = ((0, 1, 2.0), (0, 2, 2.0), (1, 2, 1.0), (2, 1, 1.0), (1, 3, 4.0), (2, 3, 4.0))
    assert cards(*links) == [((0,), {2: {1, 2}})]
