"""Find the tone curve of a camera: the one for which HR, blurred in linear light, is most similar to LR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2crealsr.imaging import degrade
from d2crealsr.imaging.comparison import LrCrop

if TYPE_CHECKING:
    from d2crealsr.imaging.placement import Placement
    from d2crealsr.types import Image

__all__ = ["CANDIDATES", "likeliest_tone"]

CANDIDATES = ("srgb", "gamma=1", "gamma=1.4", "gamma=1.8", "gamma=2.2", "gamma=2.6", "gamma=3")
"""Tone curves that ``--tone auto`` chooses from."""


def likeliest_tone(hr: Image, lr: Image, placement: Placement) -> str:
    """The candidate with the highest zncc. Blur and brightness are fitted for each candidate.

    Parameters
    ----------
    hr, lr : (H, W, 3) ndarray
        The captures.
    placement : Placement
        Their placement, accurate to about an LR pixel, and the part of LR to compare.
    """
    return max(CANDIDATES, key=lambda tone: _likeness(tone, hr, lr, placement))


def _likeness(tone: str, hr: Image, lr: Image, placement: Placement) -> float:
    source, target = degrade.reduced(hr, placement.scale, tone), LrCrop.of(lr, placement.crop, placement.scale, tone)
    return target.zncc(target.look(source, placement.mapping), placement.mapping)
