"""A folder of simulated captures: choose the scenes, make them in parallel, and write the tables about them."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

from d2crealsr.errors import MachineError, SettingsError
from d2crealsr.jobs.workers import run_tasks
from d2crealsr.simulate import records
from d2crealsr.simulate.nuisances import MARKED_CARDS
from d2crealsr.simulate.photographs import Library, folder_library, wheel_library
from d2crealsr.simulate.postcards import postcard_recipes
from d2crealsr.simulate.recipe import Recipe, default_recipes, page_recipes
from d2crealsr.simulate.recipe_table import read_recipes, recipe_row
from d2crealsr.simulate.shoot import CARD_PX_PER_HR_PX, landscape_card, shoot
from d2crealsr.simulate.storage import encode_capture
from d2crealsr.store import files, images
from d2crealsr.store.locks import lock_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from d2crealsr.simulate.settings import SimulateSettings

__all__ = ["RECIPES", "RecipeName", "simulate"]

RecipeName = Literal["postcards"]
RECIPES: tuple[RecipeName, ...] = get_args(RecipeName)
"""Recipes that can be named in place of a manifest."""

_VERSION = 1
"""Increase this when the same recipe and settings give other pixels than before, so that old scenes are made again."""


def simulate(
    out: Path,
    *,
    settings: SimulateSettings,
    manifest: Path | None = None,
    photos: Path | None = None,
    recipe: RecipeName | None = None,
    jobs: int = 1,
    on_scene: Callable[[str], None] | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """Make a folder of captures: ``hr/``, ``lr/``, ``reference/``, ``manifest.csv`` and ``truth.csv``.

    Scenes that an earlier run made with the same recipe and settings are kept. If more scenes are requested they are
    added; if fewer are requested the others stay. The files have the same bytes for any number of jobs.

    Parameters
    ----------
    out : Path
        Folder to fill. It is created if it does not exist.
    settings : SimulateSettings
        Sizes, seeds, nuisances, file format.
    manifest : Path, optional
        A recipe such as the repository's ``data_manifest.csv``. Without one, ``settings.scenes`` scenes are drawn.
    photos : Path, optional
        Folder of the user's own photographs, which replace those in the scikit-image wheel.
    recipe : str, optional
        Which recipe the scenes are drawn from if there is no manifest: ``postcards`` for photographs alone. By default
        the five kinds of card alternate.
    jobs : int
        Scenes at a time; 0 for one per core.
    on_scene : callable, optional
        Called with the name of each scene when it is finished, in any order.
    note : callable
        Is told how many distinct photographs the postcards show, and how much detail they have.

    Returns
    -------
    DataFrame
        ``truth.csv``, one row per scene, sorted by scene.

    Raises
    ------
    SettingsError
        When cards with marks are requested without their pages.
    TableError, LayoutError
        When the recipe is broken, photographs are missing, or the folder contains other files or captures that were
        made with another recipe or other settings.
    LockError, MachineError
        When another run uses the folder, or the disk cannot store the files.
    """
    library = folder_library(photos) if photos else wheel_library()
    _check_choices(settings, manifest, photos, recipe)
    recipes = _postcards(settings, library, note) if recipe else _recipes(settings, manifest, library)
    told = on_scene or (lambda scene: None)
    try:
        with lock_folder(out):
            records.check_folder(out, settings, recipes, lambda recipe: _fingerprint(recipe, settings, library))
            _remove_leftovers(out)
            todo = [each for each in recipes if _finished(out, each, settings, library) is None]
            for each in recipes:
                if each not in todo:
                    told(each.scene)
            with contextlib.closing(run_tasks(partial(_make, out, settings, library), todo, jobs=jobs)) as scenes:
                for scene in scenes:
                    told(scene)
            return _write_tables(out, recipes, settings, library)
    except OSError as error:
        raise MachineError(f"{out}: cannot be written ({error.strerror}); make room or check permissions") from error


def _check_choices(
    settings: SimulateSettings, manifest: Path | None, photos: Path | None, recipe: RecipeName | None
) -> None:
    """Refuse choices that exclude each other."""
    marked = MARKED_CARDS in settings.nuisances
    if marked and photos is None:
        raise SettingsError(
            f"nuisances: {MARKED_CARDS} needs the rendered pages of `d2crealsr cards`, expected a folder of them in "
            "--photos; add it"
        )
    if recipe not in (None, *RECIPES):
        raise SettingsError(f"recipe: got {recipe!r}, expected one of {', '.join(RECIPES)}; change --recipe")
    if recipe and (manifest or marked):
        other = "--manifest names the scenes" if manifest else f"--nuisance {MARKED_CARDS} takes the pages as they are"
        raise SettingsError(f"recipe: got {recipe!r}, but {other}; leave one of them out")


def _postcards(settings: SimulateSettings, library: Library, note: Callable[[str], None]) -> list[Recipe]:
    """The recipes of postcards, and words about the photographs that they show."""
    made = postcard_recipes(settings.scenes, settings.seed, library, landscape_card(settings.sensor))
    groups = "one group (split needs two)" if made.groups == 1 else f"{made.groups} groups"
    note(f"cards: {len(made.recipes)}, distinct photographs on them: {made.photographs}, in {groups}")
    px = made.enlarged / CARD_PX_PER_HR_PX
    if px > 1:
        note(
            f"a px of the smallest photograph that fills a card covers {px:.1f} HR px, so that HR has detail for "
            f"×{max(1.0, settings.scale / px):.1f} of ×{settings.scale} there; larger photographs or a smaller --size "
            "carry more"
        )
    if not made.tiles:
        note("no card shows four photographs, because no group has four that fill a quarter without enlargement")
    return made.recipes


def _recipes(settings: SimulateSettings, manifest: Path | None, library: Library) -> list[Recipe]:
    """What the scenes are made from: the recipes of a table, a scene for each page of cards, or drawn ones."""
    marked = MARKED_CARDS in settings.nuisances
    if manifest is None:
        return (page_recipes if marked else default_recipes)(settings.scenes, settings.seed, library)
    recipes = read_recipes(manifest, library)
    for recipe in recipes:
        if marked and not recipe.source:
            raise SettingsError(f"{manifest}: scene {recipe.scene} has no page of cards in `source`; add one")
    return recipes


def _make(out: Path, settings: SimulateSettings, library: Library, recipe: Recipe) -> str:
    """Make the files of one scene. Its record is written last, so that a scene with a record is complete."""
    scene = shoot(recipe, settings, library=library)
    session = scene.truth.session
    manifest_row = recipe_row(recipe, settings.image_format)
    records.write(out, recipe.scene, manifest=manifest_row)  # claim the files before writing them
    for path, pixels, shot in zip(
        _captures(out, recipe, settings.image_format), (scene.hr, scene.lr), (session.hr, session.lr), strict=True
    ):
        files.write_bytes(path, encode_capture(pixels, settings.image_format, shot.orientation))
    images.write_image(_reference(out, recipe), scene.reference)
    row = scene.truth.row(recipe.scene) | {
        "generator": session.card_kind or recipe.generator,
        "texture_seed": recipe.texture_seed,
        "capture_seed": recipe.capture_seed,
        "seed": settings.seed,
        "nuisances": ";".join(_named(settings)),
    }
    records.write(
        out, recipe.scene, fingerprint=_fingerprint(recipe, settings, library), truth=row, manifest=manifest_row
    )
    return recipe.scene


def _named(settings: SimulateSettings) -> list[str]:
    """The nuisances of a run, each once. Their order does not matter."""
    return sorted(set(settings.nuisances))


def _captures(out: Path, recipe: Recipe, image_format: str) -> tuple[Path, Path]:
    name = f"{recipe.scene}.{image_format}"
    return out / "hr" / name, out / "lr" / name


def _reference(out: Path, recipe: Recipe) -> Path:
    return out / "reference" / f"{recipe.scene}.png"


def _fingerprint(recipe: Recipe, settings: SimulateSettings, library: Library) -> str:
    """Hash of everything that the pixels of a scene depend on."""
    wrong = library.others(recipe.group, recipe.source) if "wrong-scene" in settings.nuisances else ()
    photographs = (*recipe.source, *wrong)
    decides = {
        "version": _VERSION,
        "recipe": dataclasses.asdict(recipe) | {"source_licence": ""},
        "settings": dataclasses.asdict(settings) | {"scenes": 0, "nuisances": _named(settings)},
        "photographs": [files.sha256_of(library.paths[name]) for name in photographs],
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _finished(out: Path, recipe: Recipe, settings: SimulateSettings, library: Library) -> dict[str, Any] | None:
    """The row of truth of a finished scene; None when the scene must be made (again)."""
    needed = (*_captures(out, recipe, settings.image_format), _reference(out, recipe))
    if not all(path.is_file() for path in needed):
        return None
    record = records.read(out, recipe.scene)
    done = record is not None and record.get("fingerprint") == _fingerprint(recipe, settings, library)
    return dict(record["truth"]) if done and record is not None and isinstance(record.get("truth"), dict) else None


def _remove_leftovers(out: Path) -> None:
    """Files that a killed run was writing."""
    for folder in ("hr", "lr", "reference", records.FOLDER):
        for path in (out / folder).glob(f"{files.TEMPORARY_PREFIX}*"):
            path.unlink(missing_ok=True)


def _write_tables(out: Path, recipes: list[Recipe], settings: SimulateSettings, library: Library) -> pd.DataFrame:
    import pandas as pd

    rows = {recipe.scene: _finished(out, recipe, settings, library) for recipe in recipes}
    listed = {recipe.scene: recipe_row(recipe, settings.image_format) for recipe in recipes}
    for scene, record in records.others(out, listed):  # made by an earlier run that asked for more scenes
        rows[scene], listed[scene] = record["truth"], record["manifest"]
    truth = pd.DataFrame([row for _, row in sorted(rows.items()) if row is not None])
    manifest = pd.DataFrame([row for _, row in sorted(listed.items())])
    for name, table in (("truth.csv", truth), ("manifest.csv", manifest)):
        files.write_text(out / name, table.to_csv(index=False, lineterminator="\n"))
    return truth
