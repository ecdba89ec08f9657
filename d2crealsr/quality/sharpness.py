"""Measure whether the published HR has detail that LR does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.imaging.degrade import LinearReduced

__all__ = ["ratio"]


def ratio(hr: LinearReduced, lr_luma: NDArray[np.float32]) -> float:
    """Detail of HR divided by detail of LR, at the finest scale that LR can show; above 1 if HR is sharper.

    Detail is the standard deviation of a band of one octave: the difference of two Gaussians of .5 and 1 LR px. Dots of
    a halftone print are finer than this band and do not count as sharpness.

    Parameters
    ----------
    hr : LinearReduced
        The published HR.
    lr_luma : (h, w) ndarray
        The published LR in linear light.
    """
    fine = hr.luma.shape[1] / lr_luma.shape[1]
    if fine > 1:
        lr_luma = opencv.resize(lr_luma, Size.of(hr.luma), "cubic")
    return _detail(hr.luma, fine) / max(_detail(lr_luma, fine), 1e-9)


def _detail(luma: NDArray[np.float32], lr_px: float) -> float:
    band = opencv.blur(luma, 0.5 * lr_px) - opencv.blur(luma, lr_px)
    return float(band.std() / max(luma.mean(), 1e-6))
