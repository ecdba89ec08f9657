"""How frames get into the raw folder: as copies without personal data, as whole copies, or as links."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from d2crealsr.errors import ImageError, LayoutError, MachineError
from d2crealsr.store.files import cannot_write, read_bytes, sha256_of, write_bytes
from d2crealsr.store.personal import has_notes, without_personal_data
from d2crealsr.ui.text import counted

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FILES", "FilesAs", "Placing", "SourceError"]

FilesAs: TypeAlias = Literal["copy", "hardlink", "symlink"]
FILES: tuple[FilesAs, ...] = ("copy", "hardlink", "symlink")
"""Ways in which a frame gets into the folder."""

_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK)


class SourceError(LayoutError):
    """A frame cannot be brought into the folder, because its file is gone or has changed since it was measured."""


@dataclass
class Placing:
    """Brings frames into the folder, and remembers which of them keep personal data there.

    Attributes
    ----------
    way : {"copy", "hardlink", "symlink"}
    keep_private : bool
        Whether copies keep what the camera wrote into the file.
    """

    way: FilesAs
    keep_private: bool = False
    _linked: dict[Path, None] = field(default_factory=dict)
    _earlier: dict[Path, None] = field(default_factory=dict)
    _unknown: dict[str, str] = field(default_factory=dict)
    _noted: dict[Path, None] = field(default_factory=dict)

    def place(self, source: Path, target: Path, sha256: str) -> bool:
        """Bring a frame into the folder; False if it is there already. The source is never changed.

        Parameters
        ----------
        sha256 : str
            Hash of the source, as it was measured.

        Raises
        ------
        SourceError
            When the source cannot be read any more, or has changed since it was measured.
        LayoutError
            When another file is in its place.
        MachineError
            When the disk cannot store it.
        """
        there = sha256_of(target) if target.is_file() else ""
        if there == sha256 and self.keep_private:
            return False
        try:
            data = read_bytes(source)
        except OSError as error:
            raise SourceError(f"{source}: cannot be read ({error.strerror}); put the file back") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise SourceError(f"{source}: was changed while it was read; run the same command again")
        cleaned = self._cleaned(data, source)
        if there in (sha256, hashlib.sha256(cleaned).hexdigest()):
            if there == sha256 and cleaned != data:
                (self._earlier if self._is_own(source, target) else self._linked)[source] = None
            return False
        if os.path.lexists(target):
            raise LayoutError(f"{target}: another file is in the place of {source.name}; move it away")
        if self.way == "copy":
            write_bytes(target, data if self.keep_private else cleaned)
        else:
            self._link(source, target)
            if cleaned != data and not self.keep_private:
                self._linked[source] = None
        return True

    @property
    def notes(self) -> list[str]:
        """A sentence for each kind of file that keeps personal data in the folder, though it was not asked for."""
        said = []
        kept = "serial numbers, names or GPS positions"
        if self._linked:
            said.append(
                f"{kept} stay in {counted(len(self._linked), 'linked file')} (as {_first(self._linked)}), since a link "
                "leads to the file of the camera; --files copy leaves them out"
            )
        if self._earlier:
            said.append(
                f"{kept} stay in {counted(len(self._earlier), 'copy', 'copies')} of an earlier run, made with "
                f"--keep-private or by an earlier version (as {_first(self._earlier)}); remove them from the raw "
                "folder, and run the same command again"
            )
        if self._noted:
            said.append(
                f"the notes of the maker, in which serial numbers and the owner's name can stand, stay in "
                f"{counted(len(self._noted), 'copy', 'copies')} of camera RAW (as {_first(self._noted)}), which cannot "
                "be developed without them; the GPS position and what else EXIF says of persons was left out"
            )
        if self._unknown:
            name, why = next(iter(self._unknown.items()))
            said.append(f"{kept} may stay in {counted(len(self._unknown), 'file')} (as {name}: {why})")
        return said

    def _cleaned(self, data: bytes, source: Path) -> bytes:
        name = source.name
        try:
            cleaned = without_personal_data(data, name)
            if self.way == "copy" and not self.keep_private and has_notes(data):
                self._noted[source] = None
            return cleaned
        except ImageError as error:
            if not self.keep_private:
                self._unknown[name] = str(error).removeprefix(f"{name}: ")
            return data

    @staticmethod
    def _is_own(source: Path, target: Path) -> bool:
        return not target.is_symlink() and not target.samefile(source)

    def _link(self, source: Path, target: Path) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if self.way == "symlink":
                target.symlink_to(os.path.realpath(source))
            else:
                os.link(os.path.realpath(source), target)
        except OSError as error:
            if self.way == "hardlink" and error.errno in _NO_LINKS:
                raise MachineError(
                    f"{target}: no hard link to {source} is possible ({error.strerror}); use --files copy"
                ) from error
            raise cannot_write(target, error) from error


def _first(paths: dict[Path, None]) -> str:
    """The name of the first of some files, each of which may have been placed several times."""
    return next(iter(paths)).name
