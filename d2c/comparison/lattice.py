"""The checkerboard of an upscaled image: the part of its error that repeats with the period of the scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["lattice_rms"]


def lattice_rms(error: NDArray[Any], scale: int) -> float:
    """Root of the energy of an error on the lattice of frequencies (k/s, l/s), without (0, 0), in the error's unit.

    The mean error of each of the s² positions within an LR pixel is what these frequencies hold, and nothing else.
    Details of the picture have no preferred position: of white noise of variance σ² over N LR pixels, (1 − 1/s²)·σ²/N
    of energy is left by chance.

    Parameters
    ----------
    error : (s·h, s·w) ndarray
        Result less HR in one plane. Rows and columns at the end that do not fill an LR pixel are left out.
    scale : int
        HR pixels per LR pixel.

    Examples
    --------
    >>> board = np.indices((4, 6)).sum(axis=0) % 2
    >>> lattice_rms(board, 2), lattice_rms(board, 3)
    (0.5, 0.0...)
    """
    height, width = (side // scale for side in error.shape)
    blocks = error[: scale * height, : scale * width].reshape(height, scale, width, scale)
    pattern = blocks.mean(axis=(0, 2))
    return float(np.sqrt(np.mean((pattern - pattern.mean()) ** 2)))
