"""The exact least-squares filter from LR to HR: what is left to a network after the best linear filter?

Every HR pixel of an LR pixel (a phase of the scale) is a linear function of the 9×9 LR pixels around it in all three
colours, plus a constant. All phases and colours have the same 244 inputs, so the normal equations of all of them share
one matrix. They are added up over all pixels in float64 and solved once. There are no seeds and no steps. As Y is a
linear function of the colours, the Y of the result is the least-squares estimate of Y from the same inputs, too.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from d2c.errors import CheckpointError, DataError
from d2c.metrics import to_float
from d2crealsr.store import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from d2c.data.patches import PixelPair

    Float64 = NDArray[np.float64]

__all__ = ["SIDE", "LinearFilter", "fit"]

SIDE = 9
"""Side of the square of LR pixels that an HR pixel is computed from."""

_GREY = 0.5
_PIXELS_AT_A_TIME = 1 << 15
"""LR pixels whose inputs are in memory at a time: 64 MB."""
_CUTOFF = 1e-13
"""Share of the largest eigenvalue below which a combination of inputs counts as constant, as colours of grey images."""


@dataclass(frozen=True, eq=False)
class LinearFilter:
    """The filter of a scale: ``weights`` (244, 3·s²), inputs by outputs, on values less a medium grey."""

    scale: int
    weights: Float64

    @property
    def parameters(self) -> int:
        """Number of fitted weights."""
        return int(self.weights.size)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds per LR pixel; those of the constant are additions."""
        return int((self.weights.shape[0] - 1) * self.weights.shape[1])

    def __call__(self, lr: NDArray[Any]) -> NDArray[np.float32]:
        """The HR image ``(s·h, s·w, 3)`` on [0, 1], not clipped, of an LR image ``(h, w, 3)``."""
        height, width = lr.shape[:2]
        made = np.empty((self.scale * height, self.scale * width, 3), np.float32)
        for rows, inputs in _inputs(lr):
            made[self.scale * rows.start : self.scale * rows.stop] = _from_phases(
                inputs @ self.weights + _GREY, rows.stop - rows.start, width, self.scale
            )
        return made

    def save(self, path: Path) -> None:
        """Write the filter, completely or not at all."""
        buffer = io.BytesIO()
        np.savez(buffer, scale=np.int64(self.scale), weights=self.weights)
        files.write_bytes(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> LinearFilter:
        """A filter that :meth:`save` wrote."""
        try:
            with np.load(io.BytesIO(files.read_bytes(path)), allow_pickle=False) as stored:
                scale, weights = int(stored["scale"]), np.asarray(stored["weights"], np.float64)
        except (ValueError, KeyError, EOFError, OSError) as error:
            raise CheckpointError(f"{path}: is not a filter; delete it to fit it again") from error
        if weights.shape != (3 * SIDE**2 + 1, 3 * scale**2):
            raise CheckpointError(f"{path}: holds weights of shape {weights.shape}; delete it to fit it again")
        return cls(scale, weights)


def fit(pairs: Sequence[PixelPair], scale: int, progress: Callable[[int, int], None] | None = None) -> LinearFilter:
    """The filter with the least mean squared error over all pixels of all pairs, colours on [0, 1].

    Pixels outside of an image repeat its border. If inputs depend on each other, as in grey images, the solution with
    the smallest weights is taken.

    Raises
    ------
    DataError
        When there are no pairs.
    """
    if not pairs:
        raise DataError("no pairs to fit a filter to; give a folder that has some")
    inputs_count, outputs = 3 * SIDE**2 + 1, 3 * scale**2
    gram, moments, pixels = np.zeros((inputs_count, inputs_count)), np.zeros((inputs_count, outputs)), 0
    for done, pair in enumerate(pairs, start=1):
        lr, hr = np.asarray(pair.lr), np.asarray(pair.hr)
        for rows, inputs in _inputs(lr):
            wanted = to_float(hr[scale * rows.start : scale * rows.stop]) - _GREY
            gram += inputs.T @ inputs
            moments += inputs.T @ _to_phases(wanted, scale)
            pixels += len(inputs)
        if progress is not None:
            progress(done, len(pairs))
    values, vectors = np.linalg.eigh(gram / pixels)
    kept = values > _CUTOFF * values[-1]
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    return LinearFilter(scale, inverse @ (moments / pixels))


def _inputs(lr: NDArray[Any]) -> Iterator[tuple[slice, Float64]]:
    """Strips of rows of an image, and the inputs ``(pixels, 244)`` of their pixels."""
    height, width = lr.shape[:2]
    half = SIDE // 2
    padded = np.pad(to_float(lr) - _GREY, ((half, half), (half, half), (0, 0)), mode="edge")
    count = max(1, _PIXELS_AT_A_TIME // width)
    for first in range(0, height, count):
        rows = slice(first, min(first + count, height))
        part = padded[rows.start : rows.stop + SIDE - 1]
        flat = np.lib.stride_tricks.sliding_window_view(part, (SIDE, SIDE), axis=(0, 1)).reshape(-1, 3 * SIDE**2)
        yield rows, np.concatenate([flat, np.ones((len(flat), 1))], axis=1)


def _to_phases(hr: Float64, scale: int) -> Float64:
    """HR rows ``(s·h, s·w, 3)`` as the outputs of each LR pixel, ``(h·w, 3·s²)``."""
    height, width = (side // scale for side in hr.shape[:2])
    return hr.reshape(height, scale, width, scale, 3).transpose(0, 2, 1, 3, 4).reshape(height * width, -1)


def _from_phases(outputs: Float64, height: int, width: int, scale: int) -> Float64:
    """The inverse of :func:`_to_phases`."""
    phases = outputs.reshape(height, width, scale, scale, 3).transpose(0, 2, 1, 3, 4)
    return phases.reshape(scale * height, scale * width, 3)
