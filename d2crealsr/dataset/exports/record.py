"""The record that an export keeps in its folder: which files it wrote there, and from what.

A later export replaces and removes only files that the record names, and never through a link. The record names a file
before it is written, so that an export that was killed does not take its own files for somebody else's.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import LayoutError
from d2crealsr.store.files import read_text, write_text

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["RECORD_FILE", "ExportRecord", "WrittenFile"]

RECORD_FILE = ".export.json"
_FORMAT = "d2crealsr-export"


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenFile:
    """What a file was made from, and its SHA-256; empty while it is being written."""

    source: str = ""
    sha256: str = ""


@dataclass(kw_only=True)
class ExportRecord:
    """The record of a folder.

    Attributes
    ----------
    folder : Path
        Absolute path of the folder.
    layout : str
    pairs : Path
        Absolute path of the exported pairs folder.
    files : dict
        By relative path with ``/``.
    """

    folder: Path
    layout: str
    pairs: Path
    files: dict[str, WrittenFile] = field(default_factory=dict)

    @classmethod
    def claim(cls, folder: Path, layout: str, pairs: Path) -> ExportRecord:
        """The record of a folder that an earlier export made in the same way, or a new one for an empty folder.

        Raises
        ------
        LayoutError
            When the folder has files and no record, or was made from other pairs or in another layout.
        """
        try:
            text = read_text(folder / RECORD_FILE)
        except OSError:
            _refuse_filled(folder)
            return cls(folder=folder, layout=layout, pairs=pairs)
        except ValueError as error:
            raise _damaged(folder) from error
        record = cls._parsed(text, folder)
        another = "give another folder with --out"
        if record.layout != layout:
            raise LayoutError(f"{folder}: holds an export in layout {record.layout!r:.40}, not {layout!r}; {another}")
        if record.pairs != pairs and record.pairs.exists():  # pairs that were moved are still the same
            raise LayoutError(f"{folder}: holds an export of {record.pairs}; {another}")
        record.pairs = pairs
        return record

    @classmethod
    def _parsed(cls, text: str, folder: Path) -> ExportRecord:
        try:
            said = json.loads(text)
            if said["format"] != _FORMAT:
                raise _damaged(folder)
            files = {str(path): WrittenFile(**_texts(its)) for path, its in said["files"].items()}
            pairs = Path(os.path.normpath(folder / said["pairs"]))
            record = cls(folder=folder, layout=str(said["layout"]), pairs=pairs, files=files)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise _damaged(folder) from error
        if any(not _is_inside(path) for path in files):
            raise _damaged(folder)
        return record

    def refuse_others(self, paths: Iterable[str]) -> None:
        """Make sure that none of the paths that will be written is somebody else's file or leads through a link.

        Raises
        ------
        LayoutError
        """
        another = "move it away, or give another folder with --out"
        for path in paths:
            if path not in self.files and os.path.lexists(self.folder / path):
                raise LayoutError(f"{self.folder / path}: is there, and no export wrote it; {another}")
            if link := self.link_above(path):
                raise LayoutError(f"{link}: is a link, through which nothing is written; {another}")

    def link_above(self, path: str) -> Path | None:
        """The first folder on the way to a path that is a link."""
        above = list(PurePosixPath(path).parents)[-2::-1]
        return next((self.folder / each for each in above if (self.folder / each).is_symlink()), None)

    def write(self) -> None:
        """Write the record; raises MachineError."""
        files = {path: {"source": its.source, "sha256": its.sha256} for path, its in sorted(self.files.items())}
        pairs = Path(os.path.relpath(self.pairs, self.folder)).as_posix()
        content = {"format": _FORMAT, "layout": self.layout, "pairs": pairs, "files": files}
        write_text(self.folder / RECORD_FILE, json.dumps(content, indent=1) + "\n")


def _refuse_filled(folder: Path) -> None:
    """Raise LayoutError if a folder has any file that is not hidden."""
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    if example := next((path for path in there if not path.name.startswith(".")), None):
        raise LayoutError(
            f"{folder}: holds files that no export wrote ({example.name}); give a new or empty folder with --out"
        )


def _texts(said: dict[str, Any]) -> dict[str, str]:
    if not all(isinstance(value, str) for value in said.values()):
        raise TypeError
    return said


def _is_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return "\0" not in path and bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts


def _damaged(folder: Path) -> LayoutError:
    return LayoutError(
        f"{folder / RECORD_FILE}: is not the record of an export, so its files are unknown; give another folder with "
        "--out, or remove this one"
    )
