"""A clear sleeve around the card: a rim of plastic through which the desk shines, with highlights along its seam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Sleeve", "through_sleeve"]

Light: TypeAlias = "NDArray[np.float32]"
Positions: TypeAlias = "NDArray[np.floating]"

_PASSES, _HAZE = 0.8, 0.08
"""Share of the desk's light that passes the plastic, and the light that the plastic adds."""

_SEAM_MM = 1.5
"""Half the width of the seam."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sleeve:
    """The rim of a sleeve, as wide on all sides.

    Attributes
    ----------
    rim_mm : float
        Distance of its outer edge from the card.
    shine : float
        Light that the brightest highlight of the seam adds.
    period_mm, phase : float
        Distance of one highlight from the next, and where they begin, in radians.
    """

    rim_mm: float
    shine: float
    period_mm: float
    phase: float


def through_sleeve(light: Light, sleeve: Sleeve, out_mm: Positions, along_mm: Positions) -> Light:
    """The light of N places beside the card, (N, 3), where a sleeve lies on them.

    Parameters
    ----------
    out_mm : (N,) ndarray
        Distance from the card.
    along_mm : (N,) ndarray
        Position along the rim.
    """
    seam = np.exp(-(((out_mm - 0.8 * sleeve.rim_mm) / _SEAM_MM) ** 2))
    wave = np.maximum(np.cos(2 * np.pi * along_mm / sleeve.period_mm + sleeve.phase), 0)
    seen = _PASSES * light + np.float32(_HAZE) + (sleeve.shine * seam * wave)[:, None].astype(np.float32)
    return np.where((out_mm <= sleeve.rim_mm)[:, None], seen, light).astype(np.float32)
