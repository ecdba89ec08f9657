"""Accept edits that somebody made in the tables of a pairs folder."""

from __future__ import annotations

import os
from pathlib import Path

from d2crealsr.errors import LayoutError
from d2crealsr.store.changes import changed_files
from d2crealsr.store.columns import TABLES
from d2crealsr.store.description import DATASET_FILE, FORMAT_VERSION, load_description
from d2crealsr.store.files import remove_leftovers
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.merge import merge_journal
from d2crealsr.store.pairs import load_table

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
        When a table violates the format. Nothing is recorded then.
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
        for name in TABLES:
            if (folder / name).exists():
                load_table(folder, name)
        merge_journal(folder, accept=True)
    return changed
