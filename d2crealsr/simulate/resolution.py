"""What is left of artwork when a printer of a certain resolution prints it: its pixels, spread and darkened by the ink.

Dot gain has two parts. Every printed pixel is spread over its neighbours, and dots that grow cover more of the paper
than they should, most where they cover half of it (Yule and Nielsen; the usual parabola ``4·g·a·(1 − a)``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from d2crealsr import opencv
from d2crealsr.simulate.printing import linear_of_srgb, srgb_of_linear
from d2crealsr.types import Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DOT_GAIN", "at_resolution"]

DOT_GAIN = 0.15
"""Additional coverage where half of the paper is to be covered, as of a good offset or photographic print."""

_SPREAD = 0.35
"""Spread of a printed pixel: standard deviation in printed pixels."""

_STRIP = 256


def at_resolution(
    artwork: NDArray[np.uint8], width_mm: float, dpi: float, dot_gain: float = DOT_GAIN
) -> NDArray[np.uint8]:
    """Artwork, (H, W, 3) sRGB, as a printer of ``dpi`` prints it on a card of ``width_mm``; the shape stays the same.

    Artwork with fewer pixels than the printer prints keeps its detail.
    """
    height, width = artwork.shape[:2]
    per_dot = max(1.0, width / (width_mm / 25.4 * dpi))
    dots = Size(round(width / per_dot), round(height / per_dot))
    printed = opencv.resize(opencv.resize(artwork, dots, "area"), Size(width, height), "cubic")
    coverage = 1 - linear_of_srgb(np.arange(256) / 255)
    gained = (1 - np.clip(coverage + 4 * dot_gain * coverage * (1 - coverage), 0, 1)).astype(np.float32)
    light = opencv.blur(opencv.looked_up(np.asarray(printed, np.uint8), gained), _SPREAD * per_dot)
    out = np.empty(artwork.shape, np.uint8)
    for top in range(0, height, _STRIP):
        encoded = srgb_of_linear(light[top : top + _STRIP].astype(np.float64))
        out[top : top + _STRIP] = np.clip(255 * encoded, 0, 255).round().astype(np.uint8)
    return out
