"""An LR crop that an HR image is held against, in linear light: blur, brightness, likeness and residuals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import degrade, geometry, photometry
from d2crealsr.quality import residuals
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.imaging.photometry import Brightness
    from d2crealsr.types import Array, Image, ResidualField

__all__ = ["LrCrop"]

Float32 = NDArray[np.float32]

_BRIGHTNESS_BLOCKS = 6
"""The brightness error averages over about this many blocks along each side."""


@dataclass(frozen=True)
class LrCrop:
    """The published part of an LR capture.

    Attributes
    ----------
    rgb : (crop.height, crop.width, 3) ndarray
        Linear light.
    valid : (crop.height, crop.width) ndarray
        False where a channel is clipped, or next to such a pixel.
    crop : Crop
        Where it lies in the capture.
    scale : int
        HR px per LR px.
    """

    rgb: Float32
    valid: NDArray[np.bool_]
    crop: Crop
    scale: int

    @classmethod
    def of(cls, lr_crop: Image, crop: Crop, scale: int, tone: str) -> LrCrop:
        """The crop's stored pixels in linear light."""
        return cls(photometry.to_linear(lr_crop, tone), ~photometry.saturated(lr_crop), crop, scale)

    @cached_property
    def luma(self) -> Float32:
        """Luminance, (crop.height, crop.width)."""
        return photometry.luma(self.rgb)

    @cached_property
    def positions(self) -> Array:
        """Positions of the crop's pixels in the LR capture, (crop.height, crop.width, 2)."""
        size = Size(self.crop.width, self.crop.height)
        positions: Array = geometry.pixel_centres(size) + np.array([self.crop.x, self.crop.y])
        return positions

    def blur(self, hr: LinearReduced, mapping: CaptureMapping) -> float:
        """σ in HR px that makes HR look most like this crop."""
        return degrade.estimate_blur(hr, self.luma, mapping.lr_to_hr(self.positions), self.scale)

    def seen(self, hr: LinearReduced, mapping: CaptureMapping, sigma_hr_px: float) -> Float32:
        """HR as this crop would have seen it, linear RGB on the crop's pixels."""
        return hr.at(hr.blurred(hr.rgb, sigma_hr_px), mapping.lr_to_hr(self.positions))

    def brightness(self, seen: Float32, mapping: CaptureMapping) -> Brightness:
        """Gain, offset and illumination field that bring HR to this crop's brightness."""
        frame = geometry.UnitFrame.of(mapping.hr_size).of_points(mapping.lr_to_hr(self.positions))
        return photometry.fit_brightness(seen, self.rgb, self.valid, frame)

    def brightness_error(self, seen: Float32) -> float:
        """How much brightness differs: |mean difference| of blocks, averaged over blocks and channels, linear [0, 1].

        Averaging within blocks leaves out noise and what little the images are displaced.
        """
        blocks = Size(_BRIGHTNESS_BLOCKS, _BRIGHTNESS_BLOCKS)
        difference = opencv.resize((seen - self.rgb) * self.valid[..., None], blocks, "area")
        trusted = opencv.resize(self.valid.astype(np.float32), blocks, "area")
        if not trusted.any():
            return float("nan")
        return float(np.abs(difference).sum() / (3 * trusted.sum()))

    def zncc(self, seen: Float32) -> float:
        """Correlation of luma over the crop's unclipped pixels, −1 … 1."""
        return degrade.zncc(photometry.luma(seen)[self.valid], self.luma[self.valid])

    def residuals(self, hr: LinearReduced, mapping: CaptureMapping, sigma_hr_px: float) -> ResidualField:
        """The residual field of HR against this crop."""
        return residuals.measure(hr, mapping, self.luma, self.crop, sigma_hr_px, self.scale)
