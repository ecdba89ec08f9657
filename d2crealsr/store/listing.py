"""List the images of a folder, and report other files that are left out but that somebody may miss."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.errors import MachineError
from d2crealsr.store.readers import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PLACEHOLDER", "UNREAD", "Listing", "any_of", "few_of", "folded", "is_unread", "list_images", "shown"]

UNREAD = "of a kind that is not read; export it as TIFF or JPEG"

PLACEHOLDER = "{scale}"
"""Placeholder for the scale in the documentation, and so perhaps in file names that were copied from it."""

_UNREAD_SUFFIXES = re.compile(
    r"\.(avif|jxl|jfif|jfi|jpe|jif|gif|psd|psb|exr|hdr|ppm|pgm|pbm|pnm|tga|svg|ico|qoi|"
    r"npy|pdf|eps|raw|ptx|kdc|dcr|dcs|cap|gpr|bay)",
    re.IGNORECASE,
)
_NAMED = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """Contents of a folder, sorted: image files, pictures of formats that are not read, and links to folders."""

    folder: Path
    images: tuple[Path, ...]
    unread: tuple[Path, ...] = ()
    links: tuple[Path, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each kind of file that is left out."""
        literal = [path for path in self.images if PLACEHOLDER in path.name]
        said = []
        if self.unread:
            said.append(f"{few_of(self.unread, self.folder, 'file')} left out, {UNREAD}")
        if self.links:
            said.append(f"{few_of(self.links, self.folder, 'folder link')} left out; copy the folder in its place")
        if literal:
            said.append(
                f"{few_of(literal, self.folder, 'file')} named with a literal {PLACEHOLDER}; "
                f"write the number instead, as in {literal[0].name.replace(PLACEHOLDER, '8')}"
            )
        return tuple(said)


def list_images(folder: Path, *, deep: bool = True) -> Listing:
    """List the image files of a folder except hidden ones, at any depth or, with ``deep`` false, only directly in it.

    A link that leads nowhere counts as an image, so that the error is reported when it is read. Links to folders are
    not followed.

    Raises
    ------
    MachineError
        When a folder cannot be listed.
    """
    images, unread, links = [], [], []
    for root, folders, names in os.walk(folder, onerror=_cannot_list):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links += [Path(root, name) for name in folders if Path(root, name).is_symlink()]
        for path in (Path(root, name) for name in names if not name.startswith(".")):
            if path.suffix.lower() in IMAGE_SUFFIXES and (path.is_file() or path.is_symlink()):
                images.append(path)
            elif is_unread(path) or path.suffix.lower() in IMAGE_SUFFIXES:
                unread.append(path)
        if not deep:
            break
    return Listing(
        folder=folder, images=tuple(sorted(images)), unread=tuple(sorted(unread)), links=tuple(sorted(links))
    )


def is_unread(path: Path) -> bool:
    """Whether the ending of a file is that of a picture format that is not read."""
    return _UNREAD_SUFFIXES.fullmatch(path.suffix) is not None


def folded(name: str) -> str:
    """A name in the form in which some disks compare it: without differences in case and in how accents are encoded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def few_of(paths: Iterable[Path], folder: Path, what: str) -> str:
    """The number of paths and the first of them: ``4 files (a.png, b.png, c.png, …) are``."""
    listed = list(paths)
    names = [shown(path, folder) for path in listed[:_NAMED]] + (["…"] if len(listed) > _NAMED else [])
    plural, verb = ("", "is") if len(listed) == 1 else ("s", "are")
    return f"{len(listed)} {what}{plural} ({', '.join(names)}) {verb}"


def any_of(texts: Iterable[str]) -> str:
    """What may be given, one or the other: ``a; b; or c``."""
    *others, last = texts
    return "; ".join((*others, f"or {last}"))


def shown(path: Path, folder: Path) -> str:
    """A path within the folder, in which characters that a terminal would not show are written as escapes."""
    name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name)


def _cannot_list(error: OSError) -> None:
    raise MachineError(f"{error.filename}: cannot be listed ({error.strerror}); check its permissions") from error
