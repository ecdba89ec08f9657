"""Decoded images as memory-mapped files: decoded once, read in pieces, never all in memory.

A file is named after the SHA-256 of the image file's content, so that renaming costs nothing and a changed image is
decoded anew. Files appear complete or not at all, and a lock makes two processes that start together share the work.

A file holds the three colour planes one after the other, ``(3, H, W)``, as the network reads them: a patch is then cut
by copying rows, with no sample moved on its own. What is handed out looks like any image, ``(H, W, 3)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from filelock import FileLock

from d2c.errors import D2CError, DataError
from d2crealsr.store import ImageError, MachineError, files, images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    Mapped: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]

__all__ = ["ImageCache"]


class ImageCache:
    """A folder of decoded images.

    Parameters
    ----------
    folder : Path
        Made when needed. Anything in it may be deleted while nothing runs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def images(
        self, paths: Iterable[Path], progress: Callable[[int, int], None] | None = None
    ) -> dict[Path, tuple[str, Mapped]]:
        """Content hash and memory-mapped ``(H, W, 3)`` RGB pixels of each image file; missing ones are decoded.

        ``progress`` is called with the number of images done and in all.
        """
        wanted = list(dict.fromkeys(paths))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / ".lock"):
                files.remove_leftovers(self.folder)
                found = {}
                for done, path in enumerate(wanted, start=1):
                    found[path] = self._image(path)
                    if progress is not None:
                        progress(done, len(wanted))
                return found
        except (OSError, MachineError) as error:
            why = error.__cause__ if isinstance(error, MachineError) else error
            raise D2CError(
                f"cache {self.folder}: cannot be written ({getattr(why, 'strerror', None) or why}); "
                "make room, or move it by --cache"
            ) from error

    def _image(self, path: Path) -> tuple[str, Mapped]:
        digest = files.sha256_of(path)
        mapped = self.folder / f"{digest}.npy"
        pixels = _open(mapped)
        if pixels is None:
            try:
                decoded = images.read_image(path)
            except ImageError as error:
                raise DataError(f"{path}: {error}") from error
            with files.atomic_path(mapped) as temporary, temporary.open("wb") as file:
                np.save(file, np.ascontiguousarray(np.moveaxis(decoded, -1, 0)))
            pixels = _open(mapped)
            if pixels is None:
                raise D2CError(f"cache {mapped}: cannot be read back; check the disk, or move it by --cache")
        return digest, pixels


def _open(path: Path) -> Mapped | None:
    """The mapped image; None where the file is missing, damaged, or of an older version (colours within pixels)."""
    try:
        planes: Mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return np.moveaxis(planes, 0, -1) if planes.ndim == 3 and planes.shape[0] == 3 else None
