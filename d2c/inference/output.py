"""Write results while they are made: PNG when all rows exist, or BigTIFF row by row if PNG would be too large."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

import numpy as np

from d2c.errors import D2CError
from d2crealsr.store import files, images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

__all__ = ["Rows", "as_type", "big_tiff", "finisher", "png"]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of BT.601, as for the Y in which quality is measured. A grey result keeps the Y of the network's output."""


class Rows(Protocol):
    """Receives rows ``(rows, W, 3)`` of a result, of which the first is row ``first`` of the image."""

    def __call__(self, first: int, rows: NDArray[Any]) -> None: ...


@contextlib.contextmanager
def png(
    path: Path,
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    alpha: NDArray[Any] | None,
    note: tuple[str, str] | None = None,
) -> Iterator[Rows]:
    """A PNG file, which is written completely or not at all when the block ends; ``alpha`` is ``(H, W)``.

    ``note`` is a key and a text that are stored in the file.
    """
    pixels = np.empty(shape, dtype)

    def write(first: int, rows: NDArray[Any]) -> None:
        pixels[first : first + len(rows)] = rows

    yield write
    images.write_image(path, pixels if alpha is None else np.dstack([pixels, alpha]), note=note)


@contextlib.contextmanager
def big_tiff(
    path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any], note: tuple[str, str] | None = None
) -> Iterator[Rows]:
    """An uncompressed BigTIFF file, written completely or not at all, which is never in memory as a whole.

    ``note`` is a key and a text that are stored in the description of the file.

    Raises
    ------
    D2CError
        When the disk has no room for it. Nothing has been computed then.
    """
    import tifffile

    with files.atomic_path(path) as temporary:
        try:
            mapped = tifffile.memmap(
                temporary,
                shape=shape,
                dtype=dtype,
                bigtiff=True,
                photometric="rgb",
                metadata=dict([note] if note else []),
            )
            with temporary.open("rb+") as file:
                files.reserve(file.fileno(), temporary.stat().st_size)
        except OSError as error:
            raise D2CError(f"{path}: cannot be written ({error.strerror or error}); make room on its disk") from error

        def write(first: int, rows: NDArray[Any]) -> None:
            mapped[first : first + len(rows)] = rows
            mapped.flush()

        yield write


def as_type(image: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Convert floats on [0, 1] to integers of the full range, clipped and rounded once."""
    peak = np.iinfo(dtype).max
    return np.asarray(np.rint(np.clip(image, 0, 1) * np.float32(peak)).astype(dtype))


def finisher(pixels: NDArray[Any], *, grey: bool) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """A function that is applied to the network's floats before they are written.

    A network adds a slight tint to grey. If the image ``(h, w, 3)`` has equal channels and ``grey`` is set, all
    channels of the result are replaced by their luma, which does not change Y. Other pictures stay as they are.
    """
    if not grey or any((pixels[..., 0] != pixels[..., k]).any() for k in (1, 2)):
        return lambda image: image
    return lambda image: np.repeat((image @ _LUMA)[..., None], 3, axis=-1)
