"""Where an upscaled image is likelier to be wrong: the error that its local gradient lets expect, as a grey picture.

Of all maps that were compared with the error and need no training (``benchmarks.training.confidence``), the local
gradient of the result orders it best. It needs nothing but the result itself, so it is the same however that was made.

The gradient becomes an error by a curve that was fitted to ``builtin:x8`` on validation pairs
(``benchmarks.training.confidence_levels``). For other checkpoints the map is an order, and its values are no levels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from d2c.inference import output
from d2c.metrics import y_basicsr
from d2crealsr.store import ImageError, images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

__all__ = ["HALF", "NAME", "UNIT", "changes", "enlarged", "finished_result", "likely_error", "write_map"]

NAME = "confidence"
"""Ends the name of the file."""
HALF = 14.0
"""Gradient in 8-bit levels per LR px at which a grey value is half of 255."""
UNIT = (
    f"255 g / (g + {HALF:g}) of the gradient g of Y in 8-bit levels per LR pixel; "
    "with builtin:x8 about ten times the error of Y in 8-bit levels, below 130 up to 27 times"
)
"""What a grey value is; stored in the file."""

_SMOOTHED = 0.5
"""Standard deviation of the Gaussian in LR px, chosen on validation pairs (``benchmarks.training.confidence``)."""
_AT_A_TIME = 2**19
"""Pixels of the result that are in memory as floats; each takes about 60 bytes."""


def changes(image: NDArray[Any], scale: int) -> Plane:
    """How quickly an image changes, for each LR px.

    It is the gradient of Y by central differences, as a root mean square over the pixels of one LR px, which is then
    smoothed by a Gaussian of half an LR px. Along a side of one pixel the gradient is 0.

    Parameters
    ----------
    image : (s·h, s·w, 3) ndarray
        RGB of 8 or 16 bit, or floats on [0, 1]. It may be a mapped file: it is read in strips.
    scale : int
        Pixels per LR px, s.

    Returns
    -------
    (h, w) ndarray of float32
        In 8-bit levels per LR px.
    """
    height = image.shape[0]
    parts = []
    for first, last in _strips(height, image.shape[1], scale):
        above, below = max(0, first - 1), min(height, last + 1)  # so that no strip has a border of its own
        down, across = _gradient(y_basicsr(image[above:below]))
        squares = np.asarray(down**2 + across**2)[first - above : last - above]
        parts.append(squares.reshape(-1, scale, image.shape[1] // scale, scale).mean(axis=(1, 3)))
    return np.asarray(gaussian_filter(scale * np.sqrt(np.concatenate(parts)), _SMOOTHED), np.float32)


def _gradient(plane: NDArray[Any]) -> list[NDArray[Any]]:
    """Central differences of a plane downwards and across; 0 along a side of one pixel."""
    sides = enumerate(plane.shape)
    return [np.gradient(plane, axis=axis) if side > 1 else np.zeros_like(plane) for axis, side in sides]


def likely_error(image: NDArray[Any], scale: int) -> Plane:
    """The grey values ``(h, w)`` of the map of an image, for each LR px: 0 where nothing changes, below 255 everywhere.

    A tenth of it is the error of Y in 8-bit levels, as a root mean square, that ``builtin:x8`` has where its results
    change as quickly.
    """
    found = changes(image, scale)
    return np.asarray(255 * found / (found + HALF), np.float32)


def enlarged(values: Plane, scale: int, first: int, last: int) -> NDArray[np.uint8]:
    """Rows ``first`` to ``last`` (exclusive) of values ``(h, w)``, bilinearly enlarged to ``(s·h, s·w)`` of 8 bit."""
    height, width = values.shape
    above, below, down = _between(np.arange(first, last), scale, height)
    left, right, across = _between(np.arange(scale * width), scale, width)
    rows = values[above] + (values[below] - values[above]) * down[:, None]
    wide = rows[:, left] + (rows[:, right] - rows[:, left]) * across
    return np.asarray(np.rint(np.clip(wide, 0, 255)), np.uint8)


def write_map(path: Path, image: NDArray[Any], scale: int, note: tuple[str, str]) -> None:
    """Write the map of an upscaled image completely or not at all: a PNG, or a BigTIFF row by row for a ``.tif``."""
    height, width = image.shape[:2]
    values = likely_error(image, scale)
    strips = ((first, enlarged(values, scale, first, last)) for first, last in _strips(height, width, scale))
    if path.suffix == ".tif":
        with output.big_tiff(path, (height, width), np.dtype(np.uint8), note) as write:
            for first, rows in strips:
                write(first, rows)
    else:
        images.write_image(path, np.concatenate([rows for _, rows in strips]), note=note)


def finished_result(path: Path) -> NDArray[Any]:
    """The pixels ``(H, W, 3)`` of a result that is there already; those of a BigTIFF as a mapped file.

    Raises
    ------
    ImageError
        When it cannot be read.
    """
    if path.suffix != ".tif":
        return images.read_image_and_alpha(path)[0]
    import tifffile

    try:
        return np.asarray(tifffile.memmap(path, mode="r"))
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise ImageError(f"{path.name}: the data is truncated or damaged") from error


def _strips(height: int, width: int, scale: int) -> Iterator[tuple[int, int]]:
    """The rows of an image in strips of whole LR px, which do not take much memory."""
    rows = scale * max(1, _AT_A_TIME // (width * scale))
    for first in range(0, height, rows):
        yield first, min(height, first + rows)


def _between(places: NDArray[np.int_], scale: int, count: int) -> tuple[Any, Any, Plane]:
    """For places in an enlarged row: the values on both sides, and how far each place is from the first one."""
    found = np.clip((places + 0.5) / scale - 0.5, 0, count - 1)
    before = found.astype(int)
    return before, np.minimum(before + 1, count - 1), (found - before).astype(np.float32)
