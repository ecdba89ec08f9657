"""Merge the journal into the tables. It can be killed anywhere: the next merge gives the same bytes.

Rows of scenes that did not change are copied from the old table as text, scene by scene, and new rows come from the
journal in the same way. Memory therefore does not grow with the tables. The order of the writes:

1. the new tables, under temporary names;
2. a line of the journal with their checksums;
3. their names, the manifest last;
4. the results that are held back, then ``dataset.json``;
5. the journal is removed.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from d2crealsr.store.changes import changed_error
from d2crealsr.store.columns import TABLES
from d2crealsr.store.description import (
    DATASET_FILE,
    FORMAT_VERSION,
    SHA256,
    WITH_CHECKSUM,
    entries_of,
    load_description,
    write_description,
)
from d2crealsr.store.files import atomic_path, cannot_write, sha256_of
from d2crealsr.store.held import read_held, write_held
from d2crealsr.store.journal import JOURNAL_FILE, Journal, JournalWriter, open_journal
from d2crealsr.store.table_text import NewTable, OldTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["merge_journal", "record_cells", "recover"]

_MANIFEST = "manifest.csv"
_VERSION = "version"
_WRITTEN_ORDER = (*(name for name in TABLES if name != _MANIFEST), _MANIFEST)
"""The manifest last, so that a scene with a row in it has its rows in the other tables too."""


def recover(pairs: Path, *, upgrade: bool) -> None:
    """Merge what a killed command left in the journal. The caller holds the lock and has refused changed files."""
    if (pairs / JOURNAL_FILE).exists():
        merge_journal(pairs, upgrade=upgrade)


def merge_journal(
    pairs: Path, *, entries: Mapping[str, Any] | None = None, upgrade: bool = False, accept: bool = False
) -> None:
    """Merge the journal into the tables, and record their checksums in ``dataset.json``.

    Parameters
    ----------
    pairs : Path
        The pairs folder, whose lock the caller holds.
    entries : mapping, optional
        New entries of ``dataset.json``. By default they stay as they are.
    upgrade : bool
        Bring a folder of an earlier version to the present one: its version, and the columns of all tables.
    accept : bool
        Accept tables that were edited, and leave out damaged lines of the journal.

    Raises
    ------
    TableError
        When a table was changed since it was written, unless ``accept``. The journal then stays.
    MachineError
        When the disk cannot store the result. The journal then stays.
    """
    described = load_description(pairs) if (pairs / DATASET_FILE).exists() else {}
    with open_journal(pairs) as journal:
        if journal.damaged and not accept:
            raise changed_error(pairs, [JOURNAL_FILE])
        before = journal.dataset or described
        version = FORMAT_VERSION if upgrade else before.get(_VERSION)
        dataset = {} if version is None else {_VERSION: version, **entries_of(before if entries is None else entries)}
        known = None if accept or described.get(_VERSION) != FORMAT_VERSION else described.get(SHA256, {})
        names = _to_write(pairs, journal, upgrade)
        kept = [name for name in WITH_CHECKSUM if name not in names and (pairs / name).exists()]
        sha256 = {name: sha256_of(pairs / name) for name in kept}
        with contextlib.ExitStack() as stack:  # at its end, the new tables replace the old ones
            tables = _opened(stack, pairs, names)
            present = sha256 | {name: table.old.sha256 for name, table in tables.items()}
            if known is not None:
                _refuse_unknown(pairs, present, known, journal)
            _fill(tables, journal, pairs)
            sha256 |= {name: table.close() for name, table in tables.items()}
            if names:
                _announce(pairs, journal, sha256, dataset)
        if journal.held or journal.released:
            held = {scene: parts for scene, parts in read_held(pairs).items() if scene not in journal.released}
            write_held(pairs, held | {scene: journal.held_of(scene) for scene in sorted(journal.held)})
    if dataset:
        write_description(pairs, dataset, sha256, dataset[_VERSION])
    try:
        (pairs / JOURNAL_FILE).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(pairs / JOURNAL_FILE, error) from error


def record_cells(pairs: Path, cells: Mapping[str, Mapping[str, str]]) -> None:
    """Change cells of the manifest, by scene and column, all of them or none. The version of the format stays.

    The caller holds the lock and has called :func:`recover`. Errors as :func:`merge_journal`.
    """
    with contextlib.closing(JournalWriter(pairs)) as writer:
        writer.append({"cells": cells}, flush=True)
    merge_journal(pairs)


def _to_write(pairs: Path, journal: Journal, upgrade: bool) -> list[str]:
    """Names of the tables that change, in the order in which they are replaced."""
    names = set(TABLES) if journal.changes_rows else {_MANIFEST} if journal.cells else set()
    if upgrade:
        names |= {name for name in TABLES if not OldTable.has_present_header(pairs / name, TABLES[name])}
    return [name for name in _WRITTEN_ORDER if name in names]


def _opened(stack: contextlib.ExitStack, pairs: Path, names: Sequence[str]) -> dict[str, NewTable]:
    """The tables that change. Leaving the stack replaces them in the order of their names."""
    tables = {}
    for name in reversed(names):  # what is entered last is left first
        old = stack.enter_context(OldTable.open(pairs / name, TABLES[name]))
        path = stack.enter_context(atomic_path(pairs / name))
        tables[name] = stack.enter_context(contextlib.closing(NewTable(old, path)))
    return tables


def _refuse_unknown(pairs: Path, sha256: Mapping[str, str], recorded: Mapping[str, str], journal: Journal) -> None:
    """Raise TableError if a table is neither as recorded nor as an interrupted merge left it."""
    for name in WITH_CHECKSUM:
        digest = sha256.get(name)
        if digest and digest != recorded.get(name) and digest not in journal.announced.get(name, ()):
            raise changed_error(pairs, [name])


def _announce(pairs: Path, journal: Journal, sha256: Mapping[str, str], dataset: Mapping[str, Any]) -> None:
    """Append the line that makes the new tables known before they replace the old ones."""
    with contextlib.closing(JournalWriter(pairs, journal.end)) as writer:
        writer.append({"merge": {SHA256: sha256, "dataset": dataset}}, flush=True)


def _fill(tables: Mapping[str, NewTable], journal: Journal, pairs: Path) -> None:
    """Write the rows of all scenes, sorted by scene."""
    manifest = tables[_MANIFEST].old if _MANIFEST in tables else None
    if manifest is None:
        with OldTable.open(pairs / _MANIFEST, TABLES[_MANIFEST]) as read:
            scenes = read.scenes
    else:
        scenes = manifest.scenes
    replaced = journal.replaced
    for scene in sorted((scenes | replaced) - journal.removed):
        new = journal.tables_of(scene) if scene in replaced else None
        for name, table in tables.items():
            cells = journal.cells.get(scene, {}) if name == _MANIFEST else {}
            if new is not None:
                table.add(new.get(name, ""), cells)
            else:
                table.copy(scene, cells)
