"""Which tone curve a camera has used: the one under which HR, blurred in linear light, looks most like LR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2crealsr.imaging import degrade
from d2crealsr.imaging.comparison import Look, LrCrop

if TYPE_CHECKING:
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Crop, Image

__all__ = ["CANDIDATES", "likeliest_tone"]

CANDIDATES = ("srgb", "gamma=1", "gamma=1.4", "gamma=1.8", "gamma=2.2", "gamma=2.6", "gamma=3")
"""Tone curves that ``--tone auto`` chooses from."""


def likeliest_tone(hr: Image, lr_crop: Image, mapping: CaptureMapping, crop: Crop, scale: int) -> str:
    """The candidate of highest zncc, each with the blur and brightness that suit it best.

    Parameters
    ----------
    hr : (H, W, 3) ndarray
        The HR capture.
    lr_crop : (crop.height, crop.width, 3) ndarray
        The part of LR to compare.
    mapping : CaptureMapping
        How they lie on each other, to an LR pixel or so.
    crop : Crop
    scale : int
    """
    return max(CANDIDATES, key=lambda tone: _likeness(tone, hr, lr_crop, mapping, crop, scale))


def _likeness(tone: str, hr: Image, lr_crop: Image, mapping: CaptureMapping, crop: Crop, scale: int) -> float:
    source, target = degrade.reduced(hr, scale, tone), LrCrop.of(lr_crop, crop, scale, tone)
    sigma = target.blur(source, mapping)
    light = target.brightness(target.seen(source, mapping, sigma), mapping)
    return target.zncc(Look.of(source, sigma, light, tone), mapping)
