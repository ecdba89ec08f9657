"""Recipes: what each scene is made from. They consist of numbers and names; :mod:`.tables` reads their files."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.simulate.photographs import Library

__all__ = [
    "GENERATORS",
    "KINDS",
    "OF_PHOTOGRAPHS",
    "POSTCARDS",
    "Recipe",
    "default_recipes",
    "page_recipes",
    "stream",
]

KINDS = ("leaves", "photos", "mixed", "text", "smooth")
"""The five kinds of card, in equal shares: dead leaves, a collage of photographs, photographs with dead leaves and
text, text, one single smooth photograph."""

POSTCARDS = ("filled", "photos", "tiles")
"""The kinds of card of the recipe ``postcards``: one photograph that fills the card, a collage, four side by side."""

GENERATORS = (*KINDS, "filled", "tiles", "plain", "repeated")
"""All kinds of card. The last two are nuisances: almost no texture, and one repeated pattern."""

OF_PHOTOGRAPHS = ("photos", "mixed", "smooth", "filled", "tiles")
"""The kinds of card that show photographs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What one scene is made from.

    Attributes
    ----------
    group : str
        The printed picture. Scenes of one group share photographs and must be in the same split.
    generator : str
        Kind of card, one of :data:`GENERATORS`.
    source : tuple of str
        Names of the photographs on the card; empty if there are none.
    texture_seed, capture_seed : int
        The first determines what the card looks like, the second how it is photographed.
    """

    scene: str
    group: str
    generator: str
    source: tuple[str, ...] = ()
    source_licence: str = ""
    texture_seed: int = 0
    capture_seed: int = 0


def stream(purpose: str, *seeds: int) -> np.random.Generator:
    """A separate random generator for each purpose, so that an additional draw for one never changes another."""
    return np.random.default_rng([zlib.crc32(purpose.encode()), *seeds])


def default_recipes(count: int, seed: int, library: Library) -> list[Recipe]:
    """Recipes of ``count`` scenes in which the five kinds of card alternate.

    A recipe does not depend on ``count``. Photographs come from ``library``; a card uses photographs of one group only.
    """
    return [_recipe(index, seed, library) for index in range(count)]


def page_recipes(count: int, seed: int, library: Library) -> list[Recipe]:
    """Recipes of ``count`` scenes, each of another page of ``library``, in the order of their names.

    A page fills its card. If there are fewer pages than scenes, there are as many scenes as pages.
    """
    return [
        Recipe(
            scene=f"{index + 1:03d}",
            group=library.groups_of[page],
            generator="smooth",
            source=(page,),
            source_licence=library.licences[page],
            texture_seed=index + 1,
            capture_seed=int(stream("page", seed, index).integers(1, 10**6)),
        )
        for index, page in enumerate(sorted(library.paths)[:count])
    ]


def _recipe(index: int, seed: int, library: Library) -> Recipe:
    kind = KINDS[index % len(KINDS)]
    rng = stream("recipe", seed, index)
    texture_seed, capture_seed = (int(n) for n in rng.integers(1, 10**6, 2))
    source = _photographs(kind, seed + index // len(KINDS), rng, library)
    group = library.groups_of[source[0]] if source else f"{kind}-{texture_seed:06d}"
    return Recipe(
        scene=f"{index + 1:03d}",
        group=group,
        generator=kind,
        source=source,
        source_licence="; ".join(dict.fromkeys(library.licences[name] for name in source)) or "generated",
        texture_seed=texture_seed,
        capture_seed=capture_seed,
    )


def _photographs(kind: str, turn: int, rng: np.random.Generator, library: Library) -> tuple[str, ...]:
    """Photographs of a card: the groups take turns, so that they are used equally often."""
    if kind in ("leaves", "text"):
        return ()
    if kind == "smooth":
        names: Sequence[str] = library.smooth
        return (names[turn % len(names)],)
    groups = list(dict.fromkeys(library.groups_of.values()))
    shift = 0 if kind == "photos" else len(groups) // 2
    group = groups[(turn + shift) % len(groups)]
    names = [name for name, of in library.groups_of.items() if of == group]
    return tuple(str(name) for name in rng.permutation(names)[:4])
