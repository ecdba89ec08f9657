"""``journal.jsonl``: results of a command that has not merged them into the tables yet.

Every line is one JSON object with a checksum of itself (:mod:`d2crealsr.store.checksums`):

- ``{"scene": NAME, "tables": {"manifest.csv": TEXT, …}}``: all rows of a scene, as CSV text with header for each table;
- ``{"cells": {SCENE: {COLUMN: TEXT}}}``: changed cells of the manifest;
- ``{"removed": [SCENE]}``: scenes that lose all their rows;
- ``{"held": {SCENE: PARTS}}`` and ``{"released": [SCENE]}``: results that are held back, and no longer held back;
- ``{"merge": {"sha256": {TABLE: DIGEST}, "dataset": ENTRIES}}``: the merge has begun, and the tables will have these
  checksums, and ``dataset.json`` these entries.

A line without a line end is the mark of a killed process and does not count. Any other line whose checksum does not
match is damaged. Applying a journal twice gives the same tables as applying it once.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from d2crealsr.errors import MachineError
from d2crealsr.store.checksums import is_intact, sealed
from d2crealsr.store.files import cannot_write, flush_to_disk, open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["JOURNAL_FILE", "Journal", "JournalWriter", "open_journal"]

JOURNAL_FILE = "journal.jsonl"

_SECONDS_BETWEEN_FLUSHES = 2.0
"""How often lines are flushed to the disk. A power failure loses at most what came since, a killed process nothing."""

_Place: TypeAlias = tuple[int, int]
"""Where a line begins in the file, and its length."""


@dataclass
class Journal:
    """What a journal says, without the rows themselves, which stay in the file.

    Attributes
    ----------
    cells : dict
        New cells of the manifest by scene, apart from those in whole rows.
    removed : set
        Scenes that have no rows any more.
    released : set
        Scenes whose earlier results are not held back any more.
    announced : dict
        By table, the checksums that merges which have begun said it will have.
    dataset : mapping
        The entries that the last merge is going to write to ``dataset.json``; empty if none has begun.
    damaged : list of int
        Numbers of the damaged lines, from 1.
    end : int
        Length of the file without an incomplete last line.
    """

    cells: dict[str, dict[str, str]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    released: set[str] = field(default_factory=set)
    announced: dict[str, set[str]] = field(default_factory=dict)
    dataset: Mapping[str, Any] = field(default_factory=dict)
    damaged: list[int] = field(default_factory=list)
    end: int = 0
    _rows: dict[str, _Place] = field(default_factory=dict)
    _held: dict[str, _Place] = field(default_factory=dict)
    _file: io.BufferedIOBase = field(default_factory=io.BytesIO)

    @property
    def replaced(self) -> set[str]:
        """Scenes with new rows."""
        return set(self._rows)

    @property
    def held(self) -> set[str]:
        """Scenes whose results are held back."""
        return set(self._held)

    @property
    def changes_rows(self) -> bool:
        """Whether scenes have new rows or lose theirs, so that all tables change."""
        return bool(self._rows or self.removed)

    def tables_of(self, scene: str) -> dict[str, str]:
        """The new rows of a scene: for each table a CSV text with header."""
        return dict(self._line(self._rows[scene])["tables"])

    def held_of(self, scene: str) -> dict[str, Any]:
        """The parts of a result that is held back."""
        return dict(self._line(self._held[scene])["held"][scene])

    def _line(self, place: _Place) -> dict[str, Any]:
        self._file.seek(place[0])
        return dict(json.loads(self._file.read(place[1])))

    def take(self, line: bytes, start: int) -> None:
        """Take an undamaged line that begins at ``start`` of the file. Raises an error if no journal has it."""
        said, place = json.loads(line), (start, len(line))
        if "scene" in said:
            scene = said["scene"]
            self._rows[scene] = place
            self.removed.discard(scene)
            self.cells.pop(scene, None)
        for scene, cells in said.get("cells", {}).items():
            self.cells.setdefault(scene, {}).update(cells)
        for scene in said.get("removed", ()):
            self._rows.pop(scene, None)
            self.cells.pop(scene, None)
            self.removed.add(scene)
        for scene in said.get("held", {}):
            self._held[scene] = place
            self.released.discard(scene)
        for scene in said.get("released", ()):
            self._held.pop(scene, None)
            self.released.add(scene)
        if "merge" in said:
            self.dataset = dict(said["merge"]["dataset"])
            for name, digest in said["merge"]["sha256"].items():
                self.announced.setdefault(name, set()).add(digest)


@contextlib.contextmanager
def open_journal(pairs: Path) -> Iterator[Journal]:
    """The journal of a pairs folder; an empty one if there is none. Its rows can be read within the block.

    Raises
    ------
    MachineError
        When it cannot be read.
    """
    path = pairs / JOURNAL_FILE
    try:
        file = open_regular(path)
    except FileNotFoundError:
        yield Journal()
        return
    except OSError as error:
        raise MachineError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    with file:
        journal = Journal(_file=file)
        for number, line in enumerate(file, start=1):
            whole = line.endswith(b"\n")
            if (whole and not _took(journal, line)) or (not whole and _begins_whole(line)):
                journal.damaged.append(number)
            journal.end += len(line) if whole else 0
        yield journal


def _took(journal: Journal, line: bytes) -> bool:
    """Whether the line is undamaged; the journal then has it."""
    body = line[:-1]
    if is_intact(body):
        with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
            journal.take(body, journal.end)
            return True
    return False


def _begins_whole(line: bytes) -> bool:
    """Whether a last line is a whole object followed by a byte that is no line end, which no killed process leaves."""
    return is_intact(line[:-1])


class JournalWriter:
    """Appends lines to the journal of a pairs folder whose lock this process holds.

    Parameters
    ----------
    pairs : Path
        The pairs folder.
    end : int
        Where the lines begin; what follows in an existing journal is cut off.
    """

    def __init__(self, pairs: Path, end: int = 0) -> None:
        self._path = pairs / JOURNAL_FILE
        self._end = end
        self._next_flush = time.monotonic() + _SECONDS_BETWEEN_FLUSHES
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            self._handle = os.open(os.fspath(self._path), flags, 0o666)
            os.ftruncate(self._handle, end)
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def append(self, content: Mapping[str, Any], *, flush: bool = False) -> None:
        """Append a line, completely or not at all, and flush it to the disk if ``flush`` or once in a while.

        Raises
        ------
        MachineError
            When the disk cannot store it.
        """
        line = memoryview(sealed(content) + b"\n")
        try:
            try:
                left = line
                while left:
                    left = left[os.write(self._handle, left) :]
            except BaseException:
                os.ftruncate(self._handle, self._end)
                raise
            self._end += len(line)
            if flush or time.monotonic() >= self._next_flush:
                flush_to_disk(self._handle)
                self._next_flush = time.monotonic() + _SECONDS_BETWEEN_FLUSHES
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)
