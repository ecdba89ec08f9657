"""Accept edits that somebody made in the tables of a pairs folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError, TableError
from d2crealsr.store.changes import changed_files
from d2crealsr.store.columns import TABLES
from d2crealsr.store.description import DATASET_FILE, FORMAT_VERSION, load_description
from d2crealsr.store.files import remove_leftovers
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.merge import merge_journal
from d2crealsr.store.pairs import load_table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["accept_edits"]


def accept_edits(pairs: str | os.PathLike[str]) -> tuple[str, ...]:
    """Check the tables of a pairs folder against the schema, and record their present checksums.

    Damaged lines of the journal are left out; `align` then does their scenes again.

    Returns
    -------
    tuple of str
        Names of the files that were changed since they were written.

    Raises
    ------
    LayoutError
        When it is no pairs folder of a version with checksums.
    TableError
        When a table violates the format, or has lost the leading zeros of scenes. Nothing is recorded then.
    MachineError
        When another command holds the folder, or the disk cannot store the result.
    """
    folder = Path(os.path.realpath(pairs))
    if load_description(folder).get("version") != FORMAT_VERSION:
        raise LayoutError(
            f"{folder / DATASET_FILE}: is of format 1, which has no checksums, so edits need not be accepted; "
            "run d2crealsr align to bring the folder to the present format"
        )
    with lock_folder(folder):
        remove_leftovers(folder)
        changed = changed_files(folder)
        scenes = {name: set(load_table(folder, name)["scene"]) for name in TABLES if (folder / name).exists()}
        _refuse_lost_zeros(folder, scenes)
        merge_journal(folder, accept=True)
    return changed


def _refuse_lost_zeros(folder: Path, scenes: Mapping[str, set[str]]) -> None:
    """Raise TableError where a table has scene 7 and another 0007: a program has read the names as numbers."""
    everything = set().union(*scenes.values())
    for name, own in scenes.items():
        for scene in sorted(everything - own):
            number = scene.lstrip("0") or "0"
            if scene.isdecimal() and number in own and not any({scene, number} <= both for both in scenes.values()):
                raise TableError(
                    f"{folder / name}: got scene {number}, expected {scene} as in the other tables; a program read the "
                    "names as numbers: restore the file, and read it with dtype={'scene': str} or as text"
                )
