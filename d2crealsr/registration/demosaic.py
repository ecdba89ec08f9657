"""What a camera's demosaic adds to a picture: predicted, so that registration can leave it out.

A sensor sees one colour a pixel; the other two are interpolated. The error of that interpolation is fixed to the
sensor, not to the scene, and pulls a registration towards it. An edge-aware interpolation is modelled; cameras do more,
but the main error is common to all.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import degrade

__all__ = ["PHASES", "Phase", "find_phase", "through_mosaic"]

Float32 = NDArray[np.float32]
Phase: TypeAlias = Literal["RGGB", "GRBG", "GBRG", "BGGR"]

PHASES: dict[Phase, tuple[int, int]] = {"RGGB": (0, 0), "GRBG": (1, 0), "GBRG": (0, 1), "BGGR": (1, 1)}
"""Bayer phases by their first two rows, with the (x, y) of the first red pixel."""

_LEVELS = 60_000
_EVIDENCE = 0.1
"""Correlation with what is left to explain above which a phase is believed."""


def through_mosaic(linear: Float32, phase: Phase, origin: tuple[int, int]) -> Float32:
    """An image in linear light as it comes out of a sensor with a Bayer filter and its demosaic, (H, W, 3).

    Parameters
    ----------
    linear : (H, W, 3) ndarray
        What falls on the sensor, on [0, 1].
    phase : Phase
        Of the whole sensor.
    origin : tuple of int
        Where (x, y) the image's first pixel lies on the sensor.
    """
    left, top = ((first + at) % 2 for first, at in zip(PHASES[phase], origin, strict=True))
    padded = np.pad(np.clip(linear, 0, 1), ((top, 0), (left, 0), (0, 0)), mode="symmetric")
    mosaic = padded[..., 1].copy()
    mosaic[0::2, 0::2] = padded[0::2, 0::2, 0]
    mosaic[1::2, 1::2] = padded[1::2, 1::2, 2]
    developed = opencv.demosaic_edge_aware(np.rint(mosaic * _LEVELS).astype(np.uint16))
    return developed[top:, left:].astype(np.float32) / np.float32(_LEVELS)


def find_phase(added: dict[Phase, Float32], unexplained: Float32) -> Phase | None:
    """The phase that explains best what a prediction leaves; None when no phase does.

    Parameters
    ----------
    added : dict of (N,) ndarray
        By phase, what the demosaic would add to the prediction.
    unexplained : (N,) ndarray
        Observation minus prediction.
    """
    scores = {phase: degrade.zncc(change, unexplained) for phase, change in added.items()}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] > _EVIDENCE else None
