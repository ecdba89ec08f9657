"""The recipe ``postcards``: photographs printed as they are, and no photograph in two groups.

It is nearer to a dataset of real postcards than the five kinds of card of :mod:`.recipe`, two of which (dead leaves and
text) have far more fine detail than photographs have. Three layouts alternate: one photograph that fills the card, a
collage, and four photographs side by side, none of which is enlarged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from d2crealsr.simulate.recipe import POSTCARDS, Recipe, stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.simulate.photographs import Library
    from d2crealsr.types import Size

__all__ = ["Postcards", "postcard_recipes"]

_TOGETHER = 4
"""Photographs that are groups of their own are put together in groups of this many, for the cards that show several."""


class Postcards(NamedTuple):
    """Recipes, and what a user should know about them.

    Attributes
    ----------
    photographs : int
        How many distinct photographs the cards show.
    groups : int
        How many groups of cards there are, of which none shares a photograph with another.
    enlarged : float
        Largest enlargement of a photograph that fills a card: card px for each of its px.
    tiles : bool
        Whether a group has four photographs that are large enough to be shown side by side without enlargement.
    """

    recipes: list[Recipe]
    photographs: int
    groups: int
    enlarged: float
    tiles: bool


def postcard_recipes(count: int, seed: int, library: Library, card: Size) -> Postcards:
    """Recipes of ``count`` postcards. A recipe does not depend on ``count``.

    Parameters
    ----------
    count : int
        Number of scenes.
    seed : int
        Seed of the order of the photographs, of the collages and of the captures.
    library : Library
        Photographs. Those of a group stay together. All cards that show photographs of one group have the same
        ``group``, so that they are in the same split.
    card : Size
        Size of a landscape card in card px. It decides which photographs can be shown without enlargement.
    """
    groups = _groups(seed, library)
    sizes = {name: _landscape(library.size_of(name)) for name in library.paths}
    cell = (card.width // 2, card.height // 2)
    tiles = {group: [n for n in names if _covers(sizes[n], cell)] for group, names in groups.items()}
    recipes = [_recipe(index, seed, library, groups, tiles) for index in range(count)]
    alone = [recipe.source[0] for recipe in recipes if recipe.generator == "filled"]
    factors = [max(card.width / sizes[name][0], card.height / sizes[name][1]) for name in alone]
    return Postcards(
        recipes=recipes,
        photographs=len({name for recipe in recipes for name in recipe.source}),
        groups=len({recipe.group for recipe in recipes}),
        enlarged=max(factors, default=1.0),
        tiles=any(len(names) >= _TOGETHER for names in tiles.values()),
    )


def _landscape(size: tuple[int, int]) -> tuple[int, int]:
    return max(size), min(size)


def _covers(size: tuple[int, int], cell: tuple[int, int]) -> bool:
    return size[0] >= cell[0] and size[1] >= cell[1]


def _groups(seed: int, library: Library) -> dict[str, list[str]]:
    """Photographs by group, in random order. Single ones are put together; the last few join the group before them."""
    by_group: dict[str, list[str]] = {}
    for name, group in library.groups_of.items():
        by_group.setdefault(group, []).append(name)
    rng = stream("postcards", seed)
    order = [list(by_group)[i] for i in rng.permutation(len(by_group))]
    groups = {group: by_group[group] for group in order if len(by_group[group]) > 1}
    alone = [group for group in order if len(by_group[group]) == 1]
    if len(alone) == 1:
        return groups | {alone[0]: by_group[alone[0]]}
    single = [by_group[group][0] for group in alone]
    starts = range(0, max(1, len(single) - _TOGETHER + 1), _TOGETHER) if single else []
    for number, start in enumerate(starts, start=1):
        last = start + 2 * _TOGETHER > len(single)
        groups[f"postcards-{number:03d}"] = single[start:] if last else single[start : start + _TOGETHER]
    return groups


def _recipe(
    index: int, seed: int, library: Library, groups: dict[str, list[str]], tiles: dict[str, list[str]]
) -> Recipe:
    """One postcard: the groups take turns, and within each of them layouts and photographs do."""
    rng = stream("postcard", seed, index)
    turn, place = divmod(index, len(groups))
    group = list(groups)[place]
    names = groups[group]
    possible = [layout for layout in POSTCARDS if layout != "tiles" or len(tiles[group]) >= _TOGETHER]
    layout = possible[(place + turn) % len(possible)]
    shuffled = rng.permutation(tiles[group] if layout == "tiles" else names)
    source: Sequence[str] = [str(name) for name in shuffled[:_TOGETHER]]
    if layout == "filled":
        source = [names[turn // len(possible) % len(names)]]
    texture_seed, capture_seed = (int(n) for n in rng.integers(1, 10**6, 2))
    return Recipe(
        scene=f"{index + 1:03d}",
        group=group,
        generator=layout,
        source=tuple(source),
        source_licence="; ".join(dict.fromkeys(library.licences[name] for name in source)),
        texture_seed=texture_seed,
        capture_seed=capture_seed,
    )
