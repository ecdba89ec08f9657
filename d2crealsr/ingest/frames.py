"""The frames of a memory card: each is read once, and its sketch, its EXIF data and its hash are kept."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d2crealsr.errors import ImageError
from d2crealsr.ingest.sketches import Sketch, sketch_of
from d2crealsr.jobs.workers import run_in_order
from d2crealsr.store.exif import NO_EXIF, ExifData, read_exif
from d2crealsr.store.files import sha256_of
from d2crealsr.store.images import read_capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from d2crealsr.ingest.measured import Measured

__all__ = ["Frame", "read_frame", "read_frames"]


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
    exif: ExifData = NO_EXIF
    sketch: Sketch | None = None
    problem: str = ""

    @property
    def order(self) -> tuple[bool, str, str]:
        """Frames in the order of shooting: by time, those without one last, by name where that is the same."""
        return not self.exif.time, self.exif.time, self.path.as_posix()


def read_frames(
    paths: Iterable[Path], measured: Measured, *, jobs: int, on_frame: Callable[[int, int], None]
) -> list[Frame]:
    """Read frames in parallel, in the order of the paths. Those that an earlier run measured are only hashed."""
    todo = list(paths)
    frames = []
    for frame in run_in_order(functools.partial(read_frame, measured=measured), todo, jobs=jobs):
        frames.append(frame)
        on_frame(len(frames), len(todo))
    return frames


def read_frame(path: Path, measured: Measured, *, sha256: str = "") -> Frame:
    """Read one frame, or what is known of it. ``sha256`` is the hash under which it is known, if it is not its own."""
    known_as = sha256 or _sha256(path)
    try:
        if (sketch := measured.sketch(known_as)) is None:
            capture = read_capture(path, convert=True)
            known_as, sketch = sha256 or capture.sha256, sketch_of(capture.pixels, capture.toned("srgb").tone)
            measured.keep_sketch(known_as, sketch)
        return Frame(path=path, sha256=known_as, exif=_exif(path), sketch=sketch)
    except ImageError as error:
        return Frame(path=path, sha256=known_as, problem=str(error).removeprefix(f"{path.name}: "))


def _exif(path: Path) -> ExifData:
    try:
        return read_exif(path)
    except ImageError:  # damaged EXIF data do not make a picture useless
        return NO_EXIF


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError:
        return hashlib.sha256(path.as_posix().encode(errors="surrogateescape")).hexdigest()
