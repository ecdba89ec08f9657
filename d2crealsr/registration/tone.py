"""Find the tone curve of a camera: the one for which HR, blurred in linear light, is most similar to LR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2crealsr.imaging import degrade
from d2crealsr.imaging.comparison import LrCrop

if TYPE_CHECKING:
    from d2crealsr.imaging.placement import Placement
    from d2crealsr.store.images import CaptureImage

__all__ = ["CANDIDATES", "likeliest_tone"]

CANDIDATES = ("srgb", "gamma=1", "gamma=1.4", "gamma=1.8", "gamma=2.2", "gamma=2.6", "gamma=3")
"""Tone curves that ``--tone auto`` chooses from."""


def likeliest_tone(hr: CaptureImage, lr: CaptureImage, placement: Placement) -> str:
    """The candidate with the highest zncc. Blur and brightness are fitted for each candidate.

    Parameters
    ----------
    hr, lr : CaptureImage
        The captures. One that has a tone curve of its own keeps it.
    placement : Placement
        Their placement, accurate to about an LR pixel, and the part of LR to compare.
    """
    return max(CANDIDATES, key=lambda tone: _likeness(hr.toned(tone), lr.toned(tone), placement))


def _likeness(hr: CaptureImage, lr: CaptureImage, placement: Placement) -> float:
    source = degrade.reduced(hr.pixels, placement.scale, hr.tone)
    lr_crop = LrCrop.of(lr.pixels, placement.crop, lr.tone, scale=placement.scale).against(source, placement.mapping)
    look = lr_crop.look(source, placement.mapping)
    return lr_crop.zncc(look, placement.mapping)
