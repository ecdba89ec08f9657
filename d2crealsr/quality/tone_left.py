"""What a tone curve that is not exactly the assumed one leaves between LR and its prediction.

It depends on the brightness of a channel alone, and is therefore no difference of content or of colours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from d2crealsr.imaging import photometry

__all__ = ["left_by_tone"]

Float32 = NDArray[np.float32]

_BENDS = 3
_ORDINARY = (0.5, 99.5)
_MOST = 0.1
"""Degree of the polynomial in brightness, the percentiles of brightness beyond which it stays constant, and its largest
value."""
_ENOUGH_PIXELS = 10_000
"""Number of evenly spread pixels that suffice for this polynomial."""


def left_by_tone(apart: Float32, predicted: Float32, valid: NDArray[np.bool_]) -> Float32:
    """The part of the differences that follows from the brightness of each channel alone; 0 where LR is clipped.

    Parameters
    ----------
    apart, predicted : (h, w, 3) ndarray
        LR minus its prediction, and the prediction; encoded, on [0, 1].
    valid : (h, w) ndarray
        Pixels that are not clipped.

    Returns
    -------
    (h, w, 3) ndarray
        A polynomial in the predicted value of the channel, fitted robustly.
    """
    every = max(1, int(np.sqrt(valid.size / _ENOUGH_PIXELS)))
    thin = valid[::every, ::every]
    left = np.zeros_like(apart)
    for channel in range(3):
        seen = predicted[::every, ::every, channel][thin]
        if not len(seen):
            continue
        # Nothing is known of brightness beyond that of the pixels of the fit.
        darkest, brightest = (float(level) for level in np.percentile(seen, _ORDINARY))
        kept = np.clip(predicted[..., channel], darkest, brightest)
        solution = photometry.robust_least_squares(
            _terms(kept[::every, ::every][thin]), apart[::every, ::every, channel][thin]
        )
        if solution is not None:
            change = _terms(kept) @ solution.astype(np.float32)
            left[..., channel] = np.where(valid, np.clip(change, -_MOST, _MOST), 0)
    return left


def _terms(level: Float32) -> Float32:
    """Powers of the brightness of each pixel, along a new last axis."""
    return np.stack([(2 * level - 1) ** power for power in range(_BENDS + 1)], axis=-1).astype(np.float32)
