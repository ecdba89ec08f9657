"""Decoded images as memory-mapped files: decoded once, read in pieces, never all in memory.

A file is named by the SHA-256 of the image file's content, so that renaming an image costs nothing and a changed image
is decoded again. The hash is computed from the same bytes that are decoded. An image that is replaced in the meantime
is therefore never stored under a wrong hash. Files are written completely or not at all. A lock lets two processes that
start together share the work. A complete cache is used even if its folder cannot be written, as on a read-only medium.

A file contains the three colour planes one after the other, ``(3, H, W)``, as the network reads them. A patch can then
be cut by copying whole rows. The arrays that the cache returns look like any image, ``(H, W, 3)``. They are opened on
access, and only a limited number stays open: a process may open about a thousand files, and a dataset has many more.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from d2c.data.patches import PixelPair
from d2c.data.reduction import as_pixels
from d2c.errors import ConfigError, D2CError, DataError
from d2crealsr.store import ImageError, MachineError, files, images
from d2crealsr.store.locks import file_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from d2c.data.layouts import Pair

    Mapped: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]

__all__ = ["CachedImages", "CachedPairs", "ImageCache"]

_OPEN_AT_MOST = 256
"""Most images that stay open at once, if the process may open four times as many files."""


class ImageCache:
    """A folder of decoded images.

    Parameters
    ----------
    folder : Path
        Created when needed. It need not be writable if it has all images. Anything in it may be deleted while no
        command is running.
    convert_profile : bool
        Whether to convert images with another colour profile to sRGB, or to refuse them.
    """

    def __init__(self, folder: Path, *, convert_profile: bool = False) -> None:
        self.folder, self.convert_profile = folder, convert_profile

    def images(self, paths: Iterable[Path], progress: Callable[[int, int], None] | None = None) -> CachedImages:
        """Content hash and memory-mapped ``(H, W, 3)`` RGB pixels of each image file; missing ones are decoded.

        ``progress`` is called with the number of images done and in all.
        """
        wanted = list(dict.fromkeys(paths))
        digests, stored = {}, {}
        with self._locked() as obstacle:
            for done, path in enumerate(wanted, start=1):
                digests[path], stored[path] = self._store(path, obstacle)
                if progress is not None:
                    progress(done, len(wanted))
        return CachedImages(digests, stored)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[OSError | MachineError | None]:
        """Lock the folder while images are stored. What keeps it from being written is yielded, if anything does."""
        with contextlib.ExitStack() as held:
            obstacle: OSError | MachineError | None = None
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                held.enter_context(file_lock(self.folder / ".lock"))
                files.remove_leftovers(self.folder)
            except (FileExistsError, NotADirectoryError) as error:
                raise ConfigError(f"cache: {self.folder} is no folder; name another one with --cache") from error
            except (OSError, MachineError) as error:
                obstacle = error
            yield obstacle

    def _not_written(self, error: OSError | MachineError) -> D2CError:
        why = error.__cause__ if isinstance(error, MachineError) else error
        return D2CError(
            f"cache {self.folder}: cannot be written ({getattr(why, 'strerror', None) or why}); "
            "make room, or move it by --cache"
        )

    def _store(self, path: Path, obstacle: OSError | MachineError | None) -> tuple[str, Path]:
        """Make sure that the planes of an image are stored; returns the hash of its content and the file of its planes.

        If there is an obstacle to writing, they must be stored already.

        The header is checked each time, because an earlier version may have taken other colours for sRGB.
        """
        try:
            content = images.bytes_of(path)
            digest = hashlib.sha256(content).hexdigest()
            foreign = images.foreign_colours(content, path.name, convert=self.convert_profile)
            mapped = self.folder / (f"{digest}-srgb.npy" if foreign else f"{digest}.npy")
            if _open(mapped) is not None:
                return digest, mapped
            if obstacle is not None:
                raise self._not_written(obstacle) from obstacle
            decoded = images.decode_image(content, path.name, convert=self.convert_profile)
        except ImageError as error:
            raise DataError(error.at(path)) from error
        try:
            with files.atomic_path(mapped) as temporary, temporary.open("wb") as file:
                np.save(file, np.ascontiguousarray(np.moveaxis(decoded, -1, 0)))
        except MachineError as error:
            raise self._not_written(error) from error
        if _open(mapped) is None:
            raise D2CError(f"cache {mapped}: cannot be read back; check the disk, or move it by --cache")
        return digest, mapped


class CachedImages(Mapping[Path, "tuple[str, Mapped]"]):
    """Images of a cache by the path of the image file: hash and pixels, which are opened on access.

    ``digests`` contains only the hashes.
    """

    def __init__(self, digests: Mapping[Path, str], stored: Mapping[Path, Path]) -> None:
        self.digests, self._stored = digests, stored
        self._opened = functools.lru_cache(_open_at_most())(_opened)

    def __reduce__(self) -> tuple[type[CachedImages], tuple[Mapping[Path, str], Mapping[Path, Path]]]:
        """To another process go the names of the files, and not the open images."""
        return CachedImages, (self.digests, self._stored)

    def __len__(self) -> int:
        return len(self.digests)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.digests)

    def __getitem__(self, path: Path) -> tuple[str, Mapped]:
        return self.digests[path], self._opened(self._stored[path])


class CachedPairs(Sequence[PixelPair]):
    """Pairs of images in a cache, which are opened on access."""

    def __init__(self, pairs: Sequence[Pair], cached: CachedImages) -> None:
        self.pairs, self.cached = pairs, cached

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: Any) -> Any:
        pair = self.pairs[index]
        return as_pixels(pair, self.cached[pair.lr][1], self.cached[pair.hr][1])


def _open(path: Path) -> Mapped | None:
    """The mapped image; None if the file is missing, damaged, or of an older version with interleaved colours."""
    try:
        planes: Mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return np.moveaxis(planes, 0, -1) if planes.ndim == 3 and planes.shape[0] == 3 else None


def _opened(path: Path) -> Mapped:
    """The mapped image, which must have been stored before."""
    pixels = _open(path)
    if pixels is None:
        raise D2CError(f"cache {path}: was removed or damaged while it was in use; run the command again")
    return pixels


def _open_at_most() -> int:
    """How many images may stay open: at most a quarter of the files that this process may open."""
    limit = files.open_files_limit()
    return _OPEN_AT_MOST if limit is None else max(2, min(_OPEN_AT_MOST, limit // 4))
