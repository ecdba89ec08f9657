"""Compare an LR crop with an HR image: blur, brightness, similarity, residuals and differing content."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import blocks, degrade, geometry, photometry
from d2crealsr.imaging.channels import add_to_channels, largest_of, plane_times
from d2crealsr.imaging.lr_part import LrPart
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.imaging.photometry import Photometry
    from d2crealsr.imaging.sampling import Sampled
    from d2crealsr.types import Array, ResidualField

__all__ = ["Look", "LrCrop", "Shown"]

Float32 = NDArray[np.float32]

_BRIGHTNESS_BLOCKS = 6
"""Number of blocks along each side over which the brightness error is averaged."""

_DIFFERENCE_BLUR_LR_PX = 1.5
_DIFFERENCE = 0.03
_DIFFERENCE_PER_CONTRAST = 0.5
"""Content differs where the encoded luma of HR and LR, blurred by the first number, differs by more than the second (8
of 255 levels) plus the third times the local contrast (a standard deviation). The contrast counts because cameras
sharpen
and blur edges differently, which is not a difference of content."""


_NEXT_TO_CLIPPED_LR_PX = 2
"""Distance from clipped pixels within which demosaicing and JPEG change their neighbours enough to look displaced."""

_ALMOST_CLIPPED = 0.9
"""Linear light of HR, as LR would see it, from which on some of it may be clipped."""

_STRIP_ROWS = 32
"""Number of rows of a look that are computed at a time, so that they stay in the processor's cache."""


def _around(image: Float32) -> Float32:
    return opencv.blur(image, _DIFFERENCE_BLUR_LR_PX)


@dataclass(frozen=True)
class Look:
    """HR as LR's camera would have developed it, on the (reduced) grid of HR.

    Attributes
    ----------
    luma : (H // factor, W // factor) ndarray
        Encoded luma at LR's blur and brightness.
    source : LinearReduced
        HR as it is, on that grid.
    sigma_hr_px : float
        Standard deviation of the blur.
    light : Photometry
        The matching of brightness, and the tone curve of the encoding.
    """

    luma: Float32
    source: LinearReduced
    sigma_hr_px: float
    light: Photometry

    @classmethod
    def of(cls, hr: LinearReduced, sigma_hr_px: float, light: Photometry) -> Look:
        """Blur HR in linear light, match it to LR's brightness, and encode it."""
        blurred = hr.blurred(hr.rgb, sigma_hr_px)
        gain, offset = np.array(light.gain, np.float32), np.array(light.offset, np.float32)
        height, width = hr.luma.shape
        unit = geometry.UnitFrame.of(Size(width, height))
        across = unit.of_points(geometry.pixel_centres(Size(width, 1)))[..., 0].astype(np.float32)
        down = unit.of_points(geometry.pixel_centres(Size(1, height)))[..., 1].astype(np.float32)
        luma = np.empty(hr.luma.shape, np.float32)
        for top in range(0, len(luma), _STRIP_ROWS):
            rows = slice(top, top + _STRIP_ROWS)
            linear = plane_times(light.field(across, down[rows]), gain)
            linear *= blurred[rows]
            add_to_channels(linear, offset)
            luma[rows] = photometry.encode_clipped(linear, light.tone) @ photometry.JPEG_LUMA
        return cls(luma, hr, sigma_hr_px, light)

    def through(self, mapping: CaptureMapping, p_lr: Array) -> Float32:
        """The values that LR should show at positions (..., 2) if the mapping is right."""
        return self.at(mapping.lr_to_hr(p_lr))

    def at(self, p_hr: Array) -> Float32:
        """Sample the look at positions (..., 2) in the HR capture."""
        return self._sampled.at(p_hr)

    @cached_property
    def _sampled(self) -> Sampled:
        return self.source.sampled(self.luma)


class Shown(NamedTuple):
    """What a crop of LR should show according to HR.

    Attributes
    ----------
    rgb : (h, w, 3) ndarray
        Encoded by LR's tone curve, on [0, 1].
    hr_clipped : (h, w) ndarray
        Where HR may be clipped, so that LR may be brighter.
    """

    rgb: Float32
    hr_clipped: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class LrCrop(LrPart):
    """The published part of an LR capture; ``scale`` is its HR px per LR px."""

    scale: int

    @cached_property
    def luma(self) -> Float32:
        """Luminance, (crop.height, crop.width)."""
        return photometry.luma(self.rgb)

    @cached_property
    def undisturbed(self) -> NDArray[np.bool_]:
        """Trusted pixels that are not within reach of what a clipped LR pixel does to its neighbours."""
        far = ~opencv.dilate(~self.valid, _NEXT_TO_CLIPPED_LR_PX)
        return far if self.hr_shows is None else far & self.hr_shows

    def against(self, hr: LinearReduced, mapping: CaptureMapping) -> Self:
        """The crop, told where the HR it is compared with is clipped, as far as LR's blur spreads it."""
        return self if hr.clipped is None else self.compared_with(hr, mapping, self.blur(hr, mapping))

    def look(self, hr: LinearReduced, mapping: CaptureMapping) -> Look:
        """HR as this crop's camera would have developed it, if the mapping is right."""
        # 1. The blur for which HR is most similar to LR: the highest correlation in linear light.
        return self._look_at(hr, mapping, self.blur(hr, mapping))

    def with_look(self, hr: LinearReduced, mapping: CaptureMapping) -> tuple[Self, Look]:
        """The crop :meth:`against` HR, and its :meth:`look` at it. The blur, which both need, is estimated once."""
        sigma = self.blur(hr, mapping)
        crop = self.compared_with(hr, mapping, sigma)
        return crop, crop._look_at(hr, mapping, sigma)

    def _look_at(self, hr: LinearReduced, mapping: CaptureMapping, sigma: float) -> Look:
        # 2. The brightness of HR at this blur: lr ≈ gain·field·hr + offset, by robust least squares.
        light = self.brightness(self.seen(hr, mapping, sigma), mapping)
        # 3. The look: both are applied to all of HR, and the result is encoded.
        return Look.of(hr, sigma, light)

    def blur(self, hr: LinearReduced, mapping: CaptureMapping) -> float:
        """σ of the blur, in HR px, for which HR is most similar to this crop."""
        return degrade.estimate_blur(hr, self.luma, self.in_hr(mapping), self.scale)

    def seen(self, hr: LinearReduced, mapping: CaptureMapping, sigma_hr_px: float) -> Float32:
        """HR at a given blur, sampled at the crop's pixels, in linear RGB."""
        return hr.at(hr.blurred(hr.rgb, sigma_hr_px), self.in_hr(mapping))

    def lit(self, seen: Float32, light: Photometry, mapping: CaptureMapping) -> Float32:
        """HR as :meth:`seen`, at the crop's brightness: gain·field·hr + offset."""
        frame = geometry.UnitFrame.of(mapping.hr_size).of_points(self.in_hr(mapping)).astype(np.float32)
        lit = plane_times(light.field(frame[..., 0], frame[..., 1]), np.array(light.gain, np.float32))
        lit *= seen
        add_to_channels(lit, np.array(light.offset, np.float32))
        return lit

    def brightness(self, seen: Float32, mapping: CaptureMapping) -> Photometry:
        """Gain, offset and illumination field that match HR to this crop's brightness."""
        frame = geometry.UnitFrame.of(mapping.hr_size).of_points(self.in_hr(mapping))
        return replace(photometry.fit_brightness(seen, self.rgb, self.trusted, frame), tone=self.tone)

    def brightness_error(self, seen: Float32) -> float:
        """Difference of brightness: |mean difference| of blocks, averaged over blocks and channels, linear [0, 1].

        Averaging within blocks removes noise and the effect of small displacements.
        """
        size = Size(_BRIGHTNESS_BLOCKS, _BRIGHTNESS_BLOCKS)
        difference = opencv.resize((seen - self.rgb) * self.trusted[..., None], size, "area")
        trusted = opencv.resize(self.trusted.astype(np.float32), size, "area")
        if not trusted.any():
            return float("nan")
        return float(np.abs(difference).sum() / (3 * trusted.sum()))

    def zncc(self, look: Look, mapping: CaptureMapping) -> float:
        """Correlation with a look over the crop's unclipped pixels, −1 … 1; 0 without any."""
        predicted = look.at(self.in_hr(mapping))
        return degrade.zncc(predicted[self.trusted], self.encoded[self.trusted]) if self.trusted.any() else 0.0

    def differing(self, look: Look, mapping: CaptureMapping) -> float:
        """Share of the crop, 0 … 1, where LR shows something other than HR. Clipped pixels count as equal."""
        predicted = look.at(self.in_hr(mapping))
        apart = np.where(self.trusted, predicted - self.encoded, 0).astype(np.float32)
        contrast = np.sqrt(np.maximum(_around(predicted**2) - _around(predicted) ** 2, 0))
        return float(np.mean(np.abs(_around(apart)) > _DIFFERENCE + _DIFFERENCE_PER_CONTRAST * contrast))

    def shown(self, look: Look, mapping: CaptureMapping) -> Shown:
        """What the crop should show, in colour, if the mapping is right."""
        seen = self.seen(look.source, mapping, look.sigma_hr_px)
        encoded = photometry.encode_clipped(self.lit(seen, look.light, mapping), look.light.tone)
        return Shown(encoded, largest_of(seen) > _ALMOST_CLIPPED)

    def residuals(self, look: Look, mapping: CaptureMapping) -> ResidualField:
        """The residual field between a look and this crop."""
        return blocks.measure(
            look.at,
            mapping.lr_to_hr,
            self.encoded,
            self.undisturbed,
            self.crop,
            margin_lr_px=int(np.ceil(2 * look.sigma_hr_px / self.scale)) + 1,
            scale=self.scale,
        )
