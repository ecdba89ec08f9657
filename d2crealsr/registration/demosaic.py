"""Predict the error of a camera's demosaicing, so that registration can account for it.

A sensor measures one colour per pixel, and the other two are interpolated. The error of this interpolation is fixed to
the sensor and not to the scene, so it pulls a registration towards the sensor's grid. The model here is an edge-aware
interpolation. Cameras do more, but the main error is common to all of them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import degrade

__all__ = ["PHASES", "Phase", "find_phase", "phase_of", "through_mosaic"]

Float32 = NDArray[np.float32]
Phase: TypeAlias = Literal["RGGB", "GRBG", "GBRG", "BGGR"]

PHASES: dict[Phase, tuple[int, int]] = {"RGGB": (0, 0), "GRBG": (1, 0), "GBRG": (0, 1), "BGGR": (1, 1)}
"""Bayer phases by their first two rows, with the (x, y) of the first red pixel."""

_LEVELS = 60_000
_EVIDENCE = 0.1
"""Correlation with the unexplained part above which a phase is accepted."""


def phase_of(name: str) -> Phase | None:
    """The phase of this name; None if there is none."""
    return next((phase for phase in PHASES if phase == name), None)


def through_mosaic(linear: Float32, phase: Phase, origin: tuple[int, int]) -> Float32:
    """An image in linear light after a sensor with a Bayer filter, and demosaicing, (H, W, 3).

    Parameters
    ----------
    linear : (H, W, 3) ndarray
        The light on the sensor, on [0, 1].
    phase : Phase
        Phase of the whole sensor.
    origin : tuple of int
        Position (x, y) of the image's first pixel on the sensor.
    """
    left, top = ((first + at) % 2 for first, at in zip(PHASES[phase], origin, strict=True))
    padded = np.pad(np.clip(linear, 0, 1), ((top, 0), (left, 0), (0, 0)), mode="symmetric")
    mosaic = padded[..., 1].copy()
    mosaic[0::2, 0::2] = padded[0::2, 0::2, 0]
    mosaic[1::2, 1::2] = padded[1::2, 1::2, 2]
    developed = opencv.demosaic_edge_aware(np.rint(mosaic * _LEVELS).astype(np.uint16))
    return developed[top:, left:].astype(np.float32) / np.float32(_LEVELS)


def find_phase(added: dict[Phase, Float32], unexplained: Float32) -> Phase | None:
    """The phase that best explains the residual of a prediction; None if no phase explains it.

    Parameters
    ----------
    added : dict of (N,) ndarray
        For each phase, the change of the prediction by demosaicing.
    unexplained : (N,) ndarray
        The residual: observation minus prediction.
    """
    scores = {phase: degrade.zncc(change, unexplained) for phase, change in added.items()}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] > _EVIDENCE else None
