"""Which files of a pairs folder were changed since they were written, and what a command does about it.

Tables are compared with the checksums in ``dataset.json``, or with those that an interrupted merge announced in the
journal. A folder of format 1 has no checksums, and a table without a ``dataset.json`` is read without a check.
"""

from __future__ import annotations

import json
import os
import shlex
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import ChangedWarning, TableError
from d2crealsr.store.checksums import is_intact
from d2crealsr.store.description import DATASET_FILE, FORMAT_NAME, FORMAT_VERSION, SHA256, WITH_CHECKSUM
from d2crealsr.store.files import read_bytes, sha256_of
from d2crealsr.store.journal import JOURNAL_FILE, open_journal

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["changed_error", "changed_files", "missing_tables", "refuse_if_changed", "warn_if_changed"]

_ATTEMPTS = 5
"""How often the files are compared while another command is replacing them."""


def changed_files(pairs: Path) -> tuple[str, ...]:
    """Names of the files that were changed since they were written."""
    for _ in range(_ATTEMPTS):
        before = _stamps(pairs)
        found = _compared(pairs)
        if not found or _stamps(pairs) == before:
            break
    return found


def warn_if_changed(pairs: str | os.PathLike[str]) -> None:
    """Issue one :class:`~d2crealsr.errors.ChangedWarning` that names the changed files, if there are any."""
    if found := changed_files(Path(pairs)):
        warnings.warn(_said(Path(pairs), found), ChangedWarning, stacklevel=2)


def refuse_if_changed(pairs: Path) -> None:
    """Raise TableError that names the changed files, if there are any."""
    if found := changed_files(pairs):
        raise changed_error(pairs, found)


def missing_tables(pairs: Path) -> tuple[str, ...]:
    """Names of the tables whose checksums ``dataset.json`` has, and which are not there."""
    try:
        content = _content(read_bytes(pairs / DATASET_FILE)) or {}
    except OSError:  # whoever needs it says so
        return ()
    recorded = content.get(SHA256)
    known = recorded if isinstance(recorded, dict) else {}
    return tuple(name for name in WITH_CHECKSUM if name in known and not (pairs / name).exists())


def changed_error(pairs: Path, names: Sequence[str]) -> TableError:
    """The error about changed files."""
    return TableError(_said(pairs, names))


def _said(pairs: Path, names: Sequence[str]) -> str:
    which = f"{names[0]} was" if len(names) == 1 else f"{', '.join(names)}: each was"
    return (
        f"{pairs}: {which} changed since it was written; restore it from a copy or, if the edit was made on purpose, "
        f"run d2crealsr verify --accept-edits {shlex.quote(str(pairs))}"
    )


def _stamps(pairs: Path) -> list[tuple[int, int, int] | None]:
    """What changes when one of the files is replaced or grows."""

    def stamp(path: Path) -> tuple[int, int, int] | None:
        try:
            known = path.stat()
        except OSError:
            return None
        return known.st_ino, known.st_size, known.st_mtime_ns

    return [stamp(pairs / name) for name in (DATASET_FILE, JOURNAL_FILE, *WITH_CHECKSUM)]


def _compared(pairs: Path) -> tuple[str, ...]:
    """As :func:`changed_files`, if no other command replaces the files in the meantime."""
    with open_journal(pairs) as journal:
        announced = journal.announced
        found = [JOURNAL_FILE] if journal.damaged else []
    try:
        data = read_bytes(pairs / DATASET_FILE)
    except OSError:  # whoever needs it says so
        return tuple(found)
    content = _content(data)
    if content is None:
        return DATASET_FILE, *found
    intact, recorded = is_intact(data), content.get(SHA256)
    if content.get("format") != FORMAT_NAME or content.get("version") != FORMAT_VERSION:
        return tuple(found) if intact or recorded is None else (DATASET_FILE, *found)
    changed = [] if intact else [DATASET_FILE]
    for name in WITH_CHECKSUM:
        try:
            digest = sha256_of(pairs / name)
        except OSError:  # whoever needs it says so
            continue
        if not (isinstance(recorded, dict) and digest == recorded.get(name)) and digest not in announced.get(name, ()):
            changed.append(name)
    return (*changed, *found)


def _content(data: bytes) -> dict[str, Any] | None:
    """The object of ``dataset.json``; None if the file holds none, as after damage."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
