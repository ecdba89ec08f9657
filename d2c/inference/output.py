"""Write results while they are made: PNG when all rows exist, or BigTIFF row by row if PNG would be too large."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

import numpy as np

from d2c.errors import D2CError
from d2c.inference.bicubic import bicubic
from d2crealsr.store import files, images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

__all__ = ["LUMA", "Rows", "as_grey", "as_type", "big_tiff", "is_grey", "write_png"]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of BT.601, as for the Y in which quality is measured. A grey result keeps the Y of the network's output."""


class Rows(Protocol):
    """Receives rows ``(rows, W[, 3])`` of a result, of which the first is row ``first`` of the image."""

    def __call__(self, first: int, rows: NDArray[Any]) -> None: ...


def write_png(path: Path, pixels: NDArray[Any], alpha: NDArray[Any] | None, note: tuple[str, str]) -> None:
    """Write a result ``(H, W, 3)`` completely or not at all. ``alpha`` is that of the input, enlarged bicubically.

    ``note`` is a key and a text that are stored in the file.
    """
    if alpha is not None:
        pixels = np.dstack([pixels, bicubic(alpha, pixels.shape[1], pixels.shape[0])])
    images.write_image(path, pixels, note=note)


@contextlib.contextmanager
def big_tiff(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], note: tuple[str, str] | None = None
) -> Iterator[Rows]:
    """An uncompressed BigTIFF file, written completely or not at all, which is never in memory as a whole.

    ``shape`` is ``(H, W, 3)`` for RGB, or ``(H, W)`` for grey.

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
                photometric="rgb" if len(shape) == 3 else "minisblack",
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


def is_grey(pixels: NDArray[Any]) -> bool:
    """Whether an image ``(h, w, 3)`` has equal channels."""
    return not any((pixels[..., 0] != pixels[..., k]).any() for k in (1, 2))


def as_grey(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The floats of a network with equal channels: their luma, which does not change Y.

    A network adds a slight tint to grey. This is applied where the image that was upscaled has equal channels.
    """
    return np.repeat((image @ LUMA)[..., None], 3, axis=-1)
