"""Tables as text: the rows of each scene are found in an old table and copied to a new one without being loaded."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError, MachineError
from d2crealsr.store.files import open_regular
from d2crealsr.store.tables import csv_rows, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from d2crealsr.store.columns import Column

__all__ = ["NewTable", "OldTable"]


class OldTable:
    """Where the rows of each scene are in a table.

    A table as this package writes it has one header and one line for each row, and its rows are only located. Any
    other, such as one that a spreadsheet saved, is read whole.

    Attributes
    ----------
    header : list of str
        The columns of the new table: the declared ones in their order, then those that others added.
    sha256 : str
        Of the file; empty if there is none.
    """

    def __init__(self, path: Path, columns: Sequence[Column], file: io.BufferedIOBase) -> None:
        self._file = file
        self._places: dict[str, list[list[int]]] = {}
        self._rows: dict[str, list[list[str]]] = {}
        declared = [column.name for column in columns]
        first = file.readline()
        there = next(csv.reader([first.decode("utf-8-sig", "replace")]), [])
        self.header = [*declared, *(name for name in there if name not in declared)]
        file.seek(0)
        self.sha256 = hashlib.file_digest(file, "sha256").hexdigest() if first else ""
        if first and (first != csv_rows([self.header]).encode() or not self._located(len(first))):
            self._read_whole(path)

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path, columns: Sequence[Column]) -> Iterator[OldTable]:
        """The table in a file, which may be missing. Its rows can be copied within the block.

        Raises
        ------
        TableError
            When it is no CSV file.
        MachineError
            When it cannot be read.
        """
        try:
            file: io.BufferedIOBase = open_regular(path)
        except FileNotFoundError:
            file = io.BytesIO()
        except OSError as error:
            raise MachineError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
        with file:
            yield cls(path, columns, file)

    @staticmethod
    def has_present_header(path: Path, columns: Sequence[Column]) -> bool:
        """Whether a table is there and begins with all declared columns in their order."""
        try:
            with open_regular(path) as file:
                there = file.readline().decode("utf-8", "replace").rstrip("\n").split(",")
        except OSError:
            return False
        return there[: len(columns)] == [column.name for column in columns]

    @property
    def scenes(self) -> set[str]:
        """Scenes with rows."""
        return (self._places.keys() | self._rows.keys()) - {""}  # spreadsheets leave empty rows at the end

    def text_of(self, scene: str) -> bytes:
        """The rows of a scene under :attr:`header`, without the header."""
        if scene in self._rows:
            return encoded(self._rows[scene])
        parts = []
        for start, end in self._places.get(scene, ()):
            self._file.seek(start)
            parts.append(self._file.read(end - start))
        return b"".join(parts)

    def _located(self, start: int) -> bool:
        """Find the rows of each scene; False if the lines are not as this package writes them."""
        self._file.seek(start)
        row, begun, last = b"", start, ""
        for line in self._file:
            row, start = row + line, start + len(line)
            if row.count(b'"') % 2:  # within a quoted cell
                continue
            if b"\r" in row or not row.endswith(b"\n"):
                return False
            scene = self._scene_of(row)
            if scene == last and scene in self._places:
                self._places[scene][-1][1] = start
            else:
                self._places.setdefault(scene, []).append([begun, start])
            row, begun, last = b"", start, scene
        return not row

    def _scene_of(self, row: bytes) -> str:
        if not row.startswith(b'"'):
            return row.partition(b",")[0].rstrip(b"\n").decode("utf-8", "replace")
        return str(next(csv.reader(io.StringIO(row.decode("utf-8", "replace"), newline="")))[0])

    def _read_whole(self, path: Path) -> None:
        self._places = {}
        with contextlib.suppress(LayoutError):
            there, rows = read_rows(path)
            place = there.index("scene") if "scene" in there else 0
            for row in rows:
                self._rows.setdefault(row[place], []).append(arranged(row, there, self.header))


class NewTable:
    """A table that is written scene by scene, in ascending order of the scenes."""

    def __init__(self, old: OldTable, path: Path) -> None:
        self.old = old
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        self._header = encoded([old.header])
        self._write(self._header)

    def copy(self, scene: str, cells: Mapping[str, str]) -> None:
        """Copy the rows of a scene from the old table; ``cells`` are changed."""
        text = self.old.text_of(scene)
        self._write(self._changed(text.decode("utf-8"), self.old.header, cells) if cells else text)

    def add(self, text: str, cells: Mapping[str, str]) -> None:
        """Add the rows of a CSV text with header; ``cells`` are changed."""
        data = text.encode(errors="backslashreplace")
        if data.startswith(self._header) and not cells:
            self._write(data[len(self._header) :])
        elif data:
            header, *rows = csv.reader(io.StringIO(data.decode(), newline=""))
            self._write(self._changed(csv_rows(rows), header, cells))

    def close(self) -> str:
        """Close the file; returns the SHA-256 of what was written."""
        self._file.close()
        return self._digest.hexdigest()

    def _changed(self, text: str, header: Sequence[str], cells: Mapping[str, str]) -> bytes:
        """Rows under the new header, with other cells."""
        changed = []
        for row in csv.reader(io.StringIO(text, newline="")):
            named = {**dict(zip(header, row, strict=True)), **cells}
            changed.append([named.get(name, "") for name in self.old.header])
        return encoded(changed)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)


def arranged(row: Sequence[str], there: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The cells of a row under other columns; columns that it lacks are empty."""
    named = dict(zip(there, row, strict=True))
    return [named.get(name, "") for name in wanted]


def encoded(rows: Sequence[Sequence[str]]) -> bytes:
    return csv_rows(rows).encode(errors="backslashreplace")
