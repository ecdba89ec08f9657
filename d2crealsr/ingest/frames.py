"""The frames of a memory card: each is read once, and its sketch, its EXIF data and its hash are kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d2crealsr.errors import ImageError
from d2crealsr.ingest.sketches import Sketch, sketch_of
from d2crealsr.jobs.workers import run_in_order
from d2crealsr.store.exif import ExifData, read_exif
from d2crealsr.store.files import sha256_of
from d2crealsr.store.images import read_capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = ["Frame", "read_frames"]

_NO_EXIF = ExifData("", "", "", "", 0.0, 0.0, (0, 0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """One file of a memory card.

    Attributes
    ----------
    path : Path
    sha256 : str
        Of its content; empty if it cannot be read.
    exif : ExifData
    sketch : Sketch or None
        None if it is no image that can be read; ``problem`` says why.
    """

    path: Path
    sha256: str = ""
    exif: ExifData = _NO_EXIF
    sketch: Sketch | None = None
    problem: str = ""

    @property
    def order(self) -> tuple[bool, str, str]:
        """Frames in the order of shooting: by time, those without one last, by name where that is the same."""
        return not self.exif.time, self.exif.time, self.path.as_posix()


def read_frames(paths: Iterable[Path], *, jobs: int, on_frame: Callable[[int, int], None]) -> list[Frame]:
    """Read frames in parallel, in the order of the paths."""
    todo = list(paths)
    frames = []
    for frame in run_in_order(_read, todo, jobs=jobs):
        frames.append(frame)
        on_frame(len(frames), len(todo))
    return frames


def _read(path: Path) -> Frame:
    try:
        capture = read_capture(path, convert=True)
        return Frame(path=path, sha256=capture.sha256, exif=_exif(path), sketch=sketch_of(capture.pixels))
    except ImageError as error:
        return Frame(path=path, sha256=_sha256(path), problem=str(error))


def _exif(path: Path) -> ExifData:
    try:
        return read_exif(path)
    except ImageError:  # damaged EXIF data do not make a picture useless
        return _NO_EXIF


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError:
        return hashlib.sha256(path.as_posix().encode(errors="surrogateescape")).hexdigest()
