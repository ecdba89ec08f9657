"""Records that the simulator keeps beside its captures: which files it made, and from what."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import LayoutError
from d2crealsr.simulate.recipe_table import recipe_row
from d2crealsr.store import files
from d2crealsr.store.ownership import holdings, refuse_foreign, refuse_links

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from d2crealsr.simulate.recipe import Recipe
    from d2crealsr.simulate.settings import SimulateSettings

__all__ = ["FOLDER", "check_folder", "others", "read", "write"]

FOLDER = ".scenes"
"""Folder with one record per scene: the fingerprint of its inputs, and its rows of truth and of the manifest."""

_SETTINGS = ".simulation.json"
_FREE = ("scenes",)
_RECIPE = ("group", "source", "generator", "texture_seed", "capture_seed")


def check_folder(
    out: Path, settings: SimulateSettings, recipes: Sequence[Recipe], fingerprint: Callable[[Recipe], str]
) -> None:
    """Make sure that the folder is new or was simulated with the same settings and recipe, and record the settings.

    Raises
    ------
    LayoutError
        When it contains other files or was made otherwise. The text names them, or the first setting or recipe cell
        that differs.
    """
    refuse_links(out, "hr", "lr", "reference", FOLDER, _SETTINGS)
    wanted = {name: value for name, value in dataclasses.asdict(settings).items() if name not in _FREE}
    wanted = json.loads(json.dumps(wanted | {"nuisances": sorted(set(settings.nuisances))}))
    known = _json(out / _SETTINGS)
    if known is None and not any(True for _ in _recorded(out)) and (found := holdings(out)):
        holding, example = next(iter(found.items()))
        raise LayoutError(
            f"{out}: holds {holding} ({example.name}) that no simulation made; give another folder with --out"
        )
    refuse_foreign(out, own="captures")
    _refuse_unrecorded(out)
    for name, value in wanted.items():
        before = (known or {}).get(name, value)
        if before != value:
            raise LayoutError(_differs(out, f"{name} {_shown(before)}", _shown(value)))
    for recipe in recipes:
        record = read(out, recipe.scene)
        listed = None if record is None else record.get("manifest")
        if isinstance(listed, dict):
            _check_recipe(out, listed, recipe_row(recipe, settings.image_format))
        elif record is not None and record.get("fingerprint") != fingerprint(recipe):  # from an earlier version
            raise LayoutError(_differs(out, f"another recipe or other settings (scene {recipe.scene})", "this one"))
    files.write_text(out / _SETTINGS, json.dumps(wanted) + "\n")


def _check_recipe(out: Path, listed: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    for name in _RECIPE:
        if listed.get(name) != row[name]:
            raise LayoutError(_differs(out, f"scene {row['scene']} of {name} {listed.get(name)!r}", f"{row[name]!r}"))


def _differs(out: Path, before: str, now: str) -> str:
    return f"{out}: was simulated with {before}, now it is {now}; ask for the same, or give another folder with --out"


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _refuse_unrecorded(out: Path) -> None:
    """Refuse captures that no record names. They are not ours and could be taken for scenes."""
    recorded = dict(_recorded(out))
    for side in ("hr", "lr", "reference"):
        for path in sorted((out / side).iterdir()) if (out / side).is_dir() else ():
            if not path.name.startswith(".") and path.stem not in recorded:
                raise LayoutError(
                    f"{out}: holds {side}/{path.name}, which no simulation made; give another folder with --out"
                )


def write(out: Path, scene: str, **record: Any) -> None:
    """Write a scene's record: ``manifest`` before its files are made, ``fingerprint`` and ``truth`` after."""
    files.write_text(out / FOLDER / f"{scene}.json", json.dumps(record, indent=1) + "\n")


def read(out: Path, scene: str) -> dict[str, Any] | None:
    """The record of a scene; None if there is no readable one."""
    return _json(out / FOLDER / f"{scene}.json")


def others(out: Path, listed: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Finished scenes that are not listed, with their records."""
    for scene, record in _recorded(out):
        complete = all(isinstance(record.get(name), dict) for name in ("truth", "manifest"))
        if (
            scene not in listed
            and complete
            and all((out / record["manifest"][side]).is_file() for side in ("hr", "lr"))
        ):
            yield scene, record


def _recorded(out: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((out / FOLDER).glob("[!.]*.json")):
        yield path.stem, _json(path) or {}


def _json(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        return content if isinstance(content, dict) else None
    return None
