"""From links between frames to cards: which frames are the HR of one card, and which are its LR at which scale.

An HR frame lies in others, and no other lies in it. Two frames are HR of one card if they lie at the same place of a
third, or in each other at about the same size. A frame also lies in the HR of another card that has the same photograph
on it, only smaller; the LR frames of both then tell the two cards apart.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from d2crealsr.ingest.places import joined, overlap
from d2crealsr.settings import AlignSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from d2crealsr.ingest.links import Link
    from d2crealsr.types import Size

__all__ = ["SCALES", "Card", "cards_of", "nominal_scale"]

SCALES = (2, 3, 4, 8)
"""Scales of which scenes are made."""

_ALIKE = 1.5
"""Largest ratio of the sizes at which two frames show a card if they are two shots of one kind."""

_SAME_PLACE = 0.5
"""Smallest overlap of the places of two HR frames in an LR frame, as a share of both together."""


class Card(NamedTuple):
    """The frames of one card: those that can be HR, and by scale the links to those that can be LR.

    ``alike`` are the links between HR and HR or between LR and LR of about the same size.
    """

    hr: tuple[int, ...]
    lr: Mapping[int, tuple[Link, ...]]
    misfits: tuple[Link, ...]
    alike: tuple[Link, ...] = ()

    @property
    def numbers(self) -> frozenset[int]:
        """All frames but the misfits."""
        return frozenset({*self.hr, *(link.outer for links in self.lr.values() for link in links)})


def nominal_scale(scale: float) -> int | None:
    """The scale of a scene whose HR has ``scale`` px on an LR px, of those that QA accepts; None if it fits none."""
    settings = AlignSettings()
    fits = [s for s in SCALES if settings.min_scale_ratio <= scale / s <= settings.max_scale_ratio]
    return min(fits, key=lambda s: abs(np.log(scale / s)), default=None)


def cards_of(links: Sequence[Link], sizes: Sequence[Size]) -> list[Card]:
    """The cards that links show, in the order of their first HR frame."""
    apart = _of_one_card(links)
    outer = {link.outer for link in apart}
    places = [link for link in apart if link.inner not in outer]
    shots = {link.inner for link in places}
    together = _at_one_place(places, sizes)
    together += [(link.inner, link.outer) for link in links if _are_shots_of_one_kind(link, shots, outer)]
    alike = [link for link in links if 1 / _ALIKE < link.scale < _ALIKE]
    cards = []
    for hr in joined(shots, together):
        lr: dict[int, list[Link]] = defaultdict(list)
        misfits: list[Link] = []
        for link in places:
            if link.inner in hr:
                scale = nominal_scale(link.scale)
                (misfits if scale is None else lr[scale]).append(link)
        card = Card(tuple(sorted(hr)), {s: tuple(lr[s]) for s in sorted(lr)}, tuple(misfits))
        numbers = card.numbers
        cards.append(card._replace(alike=tuple(link for link in alike if numbers >= {link.inner, link.outer})))
    return cards


def _of_one_card(links: Sequence[Link]) -> list[Link]:
    """The links to wider frames, without those to another card that has the same photograph on it.

    Of one card, every frame that shows the outer frame shows the inner one too. A link is left out where both frames
    contradict this: the outer one lies in a wider frame that does not show the inner one, and the inner one in a wider
    frame that does not show the outer one, and does not lie in it.
    """
    apart = [link for link in links if link.scale >= _ALIKE]
    shown, wider = defaultdict[int, set[int]](set), defaultdict[int, set[int]](set)
    for link in links:
        shown[link.inner].add(link.outer)
    for link in apart:
        wider[link.inner].add(link.outer)

    def contradicted(inner: int, outer: int) -> bool:
        others = wider[inner] - shown[outer] - {outer}
        return bool(wider[outer] - shown[inner]) and any(outer not in shown[other] for other in others)

    return [link for link in apart if not contradicted(link.inner, link.outer)]


def _are_shots_of_one_kind(link: Link, shots: set[int], outer: set[int]) -> bool:
    """Whether a link is between an HR frame and another frame that shows the same card at about the same size."""
    ends = {link.inner, link.outer}
    return 1 / _ALIKE < link.scale < _ALIKE and bool(shots & ends) and not outer & ends


def _at_one_place(links: Iterable[Link], sizes: Sequence[Size]) -> list[tuple[int, int]]:
    """Pairs of inner frames that lie at the same place of an outer frame."""
    by_outer: dict[int, list[Link]] = defaultdict(list)
    for link in links:
        by_outer[link.outer].append(link)
    return [
        (one.inner, other.inner)
        for shown in by_outer.values()
        for one, other in itertools.combinations(shown, 2)
        if overlap(one, other, sizes) > _SAME_PLACE
    ]
