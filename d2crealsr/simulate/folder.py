"""A folder of simulated captures: which scenes are to be made, made side by side, and the tables about them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

import joblib
import pandas as pd

from d2crealsr import opencv
from d2crealsr.simulate.photographs import Library, folder_library, wheel_library
from d2crealsr.simulate.recipe import Recipe, default_recipes
from d2crealsr.simulate.shoot import shoot
from d2crealsr.simulate.storage import encode_capture
from d2crealsr.simulate.tables import read_recipes, recipe_row
from d2crealsr.store import files, images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from d2crealsr.simulate.settings import SimulateSettings

__all__ = ["simulate"]

_VERSION = 1
"""Raised when the same recipe and settings come to give other pixels, so that old scenes are made again."""

_RECORDS = ".scenes"
"""Folder with one record a finished scene: what it was made from, and its row of truth."""


def simulate(
    out: Path,
    *,
    settings: SimulateSettings,
    manifest: Path | None = None,
    photos: Path | None = None,
    jobs: int = 1,
    on_scene: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Make a folder of captures: ``hr/``, ``lr/``, ``reference/``, ``manifest.csv`` and ``truth.csv``.

    Scenes that are there from an earlier run with the same recipe and settings are left alone. The files are the same
    bytes for any number of jobs.

    Parameters
    ----------
    out : Path
        Folder to fill; it is made if need be.
    settings : SimulateSettings
        Sizes, seeds, nuisances, file format.
    manifest : Path, optional
        A recipe such as the repository's ``data_manifest.csv``; else ``settings.scenes`` scenes are drawn.
    photos : Path, optional
        Folder of the user's own photographs in place of those in the scikit-image wheel.
    jobs : int
        Processes; −1 for one a core.
    on_scene : callable, optional
        Called with each scene's name when it is finished, in no fixed order.

    Returns
    -------
    DataFrame
        ``truth.csv``, one row a scene, sorted by scene.

    Raises
    ------
    TableError, LayoutError, MachineError
        A broken recipe; missing photographs.
    """
    library = folder_library(photos) if photos else wheel_library()
    recipes = read_recipes(manifest, library) if manifest else default_recipes(settings.scenes, settings.seed, library)
    out.mkdir(parents=True, exist_ok=True)
    todo = []
    for recipe in recipes:
        if _record(out, recipe, _fingerprint(recipe, settings, library), settings) is None:
            todo.append(recipe)
        elif on_scene:
            on_scene(recipe.scene)
    work = (joblib.delayed(_make)(out, recipe, settings, library) for recipe in todo)
    for scene in joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(work):
        if on_scene:
            on_scene(scene)
    return _write_tables(out, recipes, settings, library)


def _make(out: Path, recipe: Recipe, settings: SimulateSettings, library: Library) -> str:
    """Make one scene's files; its record last, so that a scene with a record is complete."""
    opencv.use_one_thread()
    scene = shoot(recipe, settings, library=library)
    record = out / _RECORDS / f"{recipe.scene}.json"
    record.unlink(missing_ok=True)
    for other in _captures(out, recipe, "png" if settings.image_format == "jpg" else "jpg"):
        other.unlink(missing_ok=True)  # of an earlier run in the other format: two files of one scene would clash
    session = scene.truth.session
    for path, pixels, shot in zip(
        _captures(out, recipe, settings.image_format), (scene.hr, scene.lr), (session.hr, session.lr), strict=True
    ):
        files.write_bytes(path, encode_capture(pixels, settings.image_format, shot.orientation))
    images.write_image(_reference_path(out, recipe), scene.reference)
    row = scene.truth.row(recipe.scene) | {
        "generator": session.card_kind or recipe.generator,
        "texture_seed": recipe.texture_seed,
        "capture_seed": recipe.capture_seed,
        "seed": settings.seed,
        "nuisances": ";".join(settings.nuisances),
    }
    fingerprint = _fingerprint(recipe, settings, library)
    files.write_text(record, json.dumps({"fingerprint": fingerprint, "truth": row}, indent=1) + "\n")
    return recipe.scene


def _captures(out: Path, recipe: Recipe, image_format: str) -> tuple[Path, Path]:
    name = f"{recipe.scene}.{image_format}"
    return out / "hr" / name, out / "lr" / name


def _reference_path(out: Path, recipe: Recipe) -> Path:
    return out / "reference" / f"{recipe.scene}.png"


def _fingerprint(recipe: Recipe, settings: SimulateSettings, library: Library) -> str:
    """Hash of everything a scene's pixels depend on."""
    decides = {
        "version": _VERSION,
        "recipe": dataclasses.asdict(recipe) | {"scene": "", "group": "", "source_licence": ""},
        "settings": dataclasses.asdict(settings) | {"scenes": 0, "nuisances": sorted(set(settings.nuisances))},
        "photographs": [files.sha256_of(library.paths[name]) for name in recipe.source],
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _record(out: Path, recipe: Recipe, fingerprint: str, settings: SimulateSettings) -> dict[str, Any] | None:
    """A finished scene's row of truth; None when it must be made (again)."""
    needed = (*_captures(out, recipe, settings.image_format), _reference_path(out, recipe))
    try:
        record = json.loads((out / _RECORDS / f"{recipe.scene}.json").read_text(encoding="utf-8"))
        current = record["fingerprint"] == fingerprint and all(path.is_file() for path in needed)
        return dict(record["truth"]) if current else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_tables(out: Path, recipes: list[Recipe], settings: SimulateSettings, library: Library) -> pd.DataFrame:
    recipes = sorted(recipes, key=lambda recipe: recipe.scene)
    rows = [_record(out, recipe, _fingerprint(recipe, settings, library), settings) for recipe in recipes]
    truth = pd.DataFrame([row for row in rows if row is not None])
    manifest = pd.DataFrame([recipe_row(recipe, settings.image_format) for recipe in recipes])
    files.write_text(out / "truth.csv", truth.to_csv(index=False, float_format="%.17g", lineterminator="\n"))
    files.write_text(out / "manifest.csv", manifest.to_csv(index=False, lineterminator="\n"))
    return truth
