"""Which cards are smooth: their own picture, the card without noise, hardly shows more than LR can show.

A sharp HR of such a card holds no more detail than a digital zoom, so QA rejects it; results report these apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from d2crealsr import opencv
from d2crealsr.imaging import photometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.scenes import BenchScene
    from d2crealsr.types import Image

__all__ = ["SMOOTH", "power_beyond_nyquist", "published_part"]

SMOOTH = 0.03
"""Share of a card's power beyond LR's Nyquist frequency below which the card is smooth."""


def power_beyond_nyquist(reference: Image, scale: int) -> float:
    """Share of a picture's power, its mean apart, at frequencies that LR cannot show."""
    luma = photometry.encoded_luma(reference)
    window = np.outer(*(np.hanning(side) for side in luma.shape))
    power = np.abs(np.fft.rfft2((luma - (luma * window).sum() / window.sum()) * window)) ** 2
    rows, columns = np.fft.fftfreq(luma.shape[0], 1 / scale), np.fft.rfftfreq(luma.shape[1], 1 / scale)
    return float(power[np.hypot(rows[:, None], columns) > 0.5].sum() / power.sum())


def published_part(scene: BenchScene, reference: NDArray[np.uint8]) -> Image:
    """The part of a scene's reference picture that the default crop shows."""
    crop, (left, top), scale = scene.true_crop, scene.truth.reference_origin, scene.scale
    x, y = scale * (crop.x - left), scale * (crop.y - top)
    part = reference[y : y + scale * crop.height, x : x + scale * crop.width]
    return opencv.as_image(np.ascontiguousarray(part))
