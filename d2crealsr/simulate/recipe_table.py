"""Recipes as CSV rows, read and checked: ``data_manifest.csv`` and ``RAW/manifest.csv``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2crealsr.errors import TableError
from d2crealsr.simulate.recipe import GENERATORS, OF_PHOTOGRAPHS, Recipe
from d2crealsr.store.pairs import scene_problem
from d2crealsr.store.tables import read_rows

if TYPE_CHECKING:
    from pathlib import Path

    from d2crealsr.simulate.photographs import Library

__all__ = ["RECIPE_COLUMNS", "read_recipes", "recipe_row"]

RECIPE_COLUMNS = (
    *("scene", "hr", "lr", "group"),
    *("source", "source_licence", "generator", "texture_seed", "capture_seed"),
)
"""Columns of a recipe table; the first four are those of any manifest of captures."""

_NEEDED = ("scene", "group", "source", "generator", "texture_seed", "capture_seed")

_LARGEST_SEED = 2**63 - 1
_DIGITS = 100
"""Most digits of a seed, zeros before it included; Python does not read numbers of thousands of digits."""


def recipe_row(recipe: Recipe, image_format: str) -> dict[str, str | int]:
    """A recipe as a row of :data:`RECIPE_COLUMNS`; photographs are joined by ``;``."""
    name = f"{recipe.scene}.{image_format}"
    return {
        "scene": recipe.scene,
        "hr": f"hr/{name}",
        "lr": f"lr/{name}",
        "group": recipe.group,
        "source": ";".join(recipe.source),
        "source_licence": recipe.source_licence,
        "generator": recipe.generator,
        "texture_seed": recipe.texture_seed,
        "capture_seed": recipe.capture_seed,
    }


def read_recipes(path: Path, library: Library) -> list[Recipe]:
    """Read a recipe table.

    Raises
    ------
    LayoutError
        When there is no such file.
    TableError
        When columns are missing, a cell cannot be used, or a scene occurs twice; the text names the row.
    """
    header, rows = read_rows(path)
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise TableError(f"{path}: columns missing: {', '.join(missing)}; expected {', '.join(RECIPE_COLUMNS)}")
    if not rows:
        raise TableError(f"{path}: holds no scene; expected one row a scene")
    recipes: dict[str, Recipe] = {}
    for number, row in enumerate(rows, start=2):
        where = f"{path}, row {number}"
        recipe = _recipe(dict(zip(header, row, strict=True)), library, where)
        if recipe.scene.casefold() in recipes:
            raise TableError(f"{where}: scene {recipe.scene!r} occurs twice; rename one")
        recipes[recipe.scene.casefold()] = recipe
    return list(recipes.values())


def _recipe(cells: dict[str, str], library: Library, where: str) -> Recipe:
    scene, generator = cells["scene"], cells["generator"]
    if problem := scene_problem(scene):
        raise TableError(f"{where}: scene {scene[:80]!r} {problem}; rename it")
    if generator not in GENERATORS:
        raise TableError(f"{where}: generator {generator!r}, expected one of {', '.join(GENERATORS)}; correct it")
    source = tuple(name.strip() for name in cells["source"].split(";") if name.strip())
    unknown = [name for name in source if name not in library.paths]
    if unknown:
        known = ", ".join(sorted(library.paths)[:20])
        raise TableError(
            f"{where}: no photograph {unknown[0]!r}, there are {known}; correct `source`, or give --photos"
        )
    if generator in OF_PHOTOGRAPHS and not source:
        raise TableError(f"{where}: generator {generator!r} without a photograph, expected names in `source`; add one")
    return Recipe(
        scene=scene,
        group=cells["group"] or scene,
        generator=generator,
        source=source,
        source_licence=cells.get("source_licence", ""),
        texture_seed=_seed(cells, "texture_seed", where),
        capture_seed=_seed(cells, "capture_seed", where),
    )


def _seed(cells: dict[str, str], column: str, where: str) -> int:
    text = cells[column]
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) <= _LARGEST_SEED):
        wanted = f"a whole number from 0 to {_LARGEST_SEED}"
        raise TableError(f"{where}: {column} {text!r:.80}, expected {wanted}; correct it")
    return int(text)
