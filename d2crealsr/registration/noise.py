"""Noise that depends on brightness, as that of a capture does after its tone curve.

Above scale 1, most of what a prediction leaves unexplained is demosaicing and JPEG, which are about equal at all
brightnesses in encoded luma. At scale 1 both captures are softened, and the noise of their sensors remains. The tone
curve amplifies it in the shadows. How much depends on the camera, so it is measured in the residuals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["relative_spread"]

Float32 = NDArray[np.float32]

_LEVELS = 24
"""Groups of equally many pixels of similar brightness."""
_ENOUGH = 50
"""Mean number of pixels of a group from which on its spread is measured."""
_PLENTY = 50_000
"""Number of pixels, evenly spread, that suffice to measure all spreads."""
_LEAST = 0.3
"""Smallest spread relative to that of all pixels. It limits the weight of a few flat, clean areas."""


def relative_spread(residual: Float32, brightness: Float32, trusted: NDArray[np.bool_]) -> Float32:
    """Robust spread of the residuals at the brightness of each pixel, relative to that of all pixels, (N,).

    Parameters
    ----------
    residual : (N,) ndarray
    brightness : (N,) ndarray
        Encoded luma of the observation.
    trusted : (N,) ndarray
        Pixels from which the spread is measured.
    """
    some = np.flatnonzero(trusted)
    some = some[:: max(1, len(some) // _PLENTY)]
    seen, size = brightness[some], np.abs(residual[some])
    groups = min(_LEVELS, len(seen) // _ENOUGH)
    overall = float(np.median(size)) if len(size) else 0.0
    if groups < 2 or overall == 0:
        return np.ones_like(residual)
    order = np.argsort(seen, kind="stable")
    parts = np.array_split(order, groups)
    levels = np.array([np.median(seen[part]) for part in parts])
    spreads = np.array([np.median(size[part]) for part in parts]) / overall
    spreads = np.convolve(np.pad(spreads, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
    levels, first = np.unique(levels, return_index=True)
    at_each = np.interp(brightness, levels, spreads[first])
    return np.hypot(at_each, _LEAST).astype(np.float32)
