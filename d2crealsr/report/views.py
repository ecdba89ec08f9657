"""The pictures of one pair: LR and HR on the same grid at LR's resolution, and their signed difference.

Both are shown at the same sharpness and brightness, so that differences show the position (or the content). The grid is
that of the LR crop, refined by a whole factor. These pictures are only for viewing and are never published.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import geometry, photometry
from d2crealsr.imaging.placement import grid_to_lr
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.imaging.photometry import Photometry
    from d2crealsr.types import Array, Crop, Image

__all__ = [
    "DIFFERENCE_RANGE",
    "HrLook",
    "as_bytes",
    "bounded",
    "difference",
    "grid",
    "nominal_mapping",
    "upsampled",
    "zoom_of",
]

Float32 = NDArray[np.float32]
Picture = NDArray[np.uint8]

DIFFERENCE_RANGE = 0.1
"""Difference of encoded luma, as a share of the full range, that is drawn in the strongest colour."""

_BELOW, _EQUAL, _ABOVE = ((25.0, 95.0, 180.0), (243.0, 243.0, 240.0), (200.0, 85.0, 0.0))
_OUTSIDE = 128
_VIEW_WIDTH = 1000


def zoom_of(crop: Crop, scale: int) -> int:
    """Factor by which a view is finer than LR's grid: as large as fits the width, but at most the pair's scale."""
    return max(1, min(max(scale, 2), _VIEW_WIDTH // max(crop.width, 1)))


def grid(crop: Crop, zoom: int) -> Array:
    """Positions in the LR capture of the pixels of a view, (zoom·height, zoom·width, 2)."""
    size = Size(crop.width * zoom, crop.height * zoom)
    return geometry.project(grid_to_lr(crop, zoom), geometry.pixel_centres(size))


def nominal_mapping(hr_size: Size, lr_size: Size, scale: int) -> CaptureMapping:
    """The mapping without registration: the frames have the same centre, and HR is ``scale`` times as fine."""
    centre_hr, centre_lr = geometry.frame_centre(hr_size), geometry.frame_centre(lr_size)
    H = np.diag([1 / scale, 1 / scale, 1.0])
    H[:2, 2] = centre_lr - centre_hr / scale
    return geometry.CaptureMapping(H_hr_to_lr=H, hr_size=hr_size, lr_size=lr_size)


@dataclass(frozen=True)
class HrLook:
    """HR at LR's resolution and brightness, which can be drawn under any mapping.

    Attributes
    ----------
    source : LinearReduced
        HR, reduced, in linear light.
    sigma_hr_px : float
        Blur that brings it to LR's resolution.
    light : Photometry
        Matching of brightness; its ``tone`` is the tone curve of the encoding.
    """

    source: LinearReduced
    sigma_hr_px: float
    light: Photometry

    @cached_property
    def blurred(self) -> Float32:
        """HR at LR's resolution, linear RGB."""
        return self.source.blurred(self.source.rgb, self.sigma_hr_px)

    def linear(self, mapping: CaptureMapping, p_lr: Array, *, sharp: bool = False, matched: bool = True) -> Float32:
        """Linear RGB at positions (..., 2) of the LR capture, (..., 3); nan outside HR."""
        p_hr = mapping.lr_to_hr(p_lr)
        inside = self.source.holds(p_hr, margin_hr_px=0)
        p_hr = np.where(inside[..., None], p_hr, 0)  # far positions would make OpenCV slow
        seen = self.source.at(self.source.rgb if sharp else self.blurred, p_hr)
        if matched:
            x, y = np.moveaxis(geometry.UnitFrame.of(mapping.hr_size).of_points(p_hr), -1, 0)
            field = self.light.field(x, y)[..., None].astype(np.float32)
            seen = seen * field * np.array(self.light.gain, np.float32) + np.array(self.light.offset, np.float32)
        return np.where(inside[..., None], seen, np.float32(np.nan))

    def picture(self, mapping: CaptureMapping, p_lr: Array, *, sharp: bool = False) -> Picture:
        """The same, encoded to 8 bits; grey outside HR."""
        linear = self.linear(mapping, p_lr, sharp=sharp)
        outside = np.isnan(linear)
        encoded = photometry.encode_clipped(np.where(outside, 0, linear), self.light.tone)
        return np.where(outside, _OUTSIDE, np.rint(encoded * 255)).astype(np.uint8)

    def luma(self, mapping: CaptureMapping, p_lr: Array, *, matched: bool = True) -> Float32:
        """Encoded luma on [0, 1], (...); nan outside HR."""
        linear = self.linear(mapping, p_lr, matched=matched)
        encoded = photometry.encode_clipped(np.nan_to_num(linear), self.light.tone) @ photometry.JPEG_LUMA
        return np.where(np.isnan(linear).any(axis=-1), np.nan, encoded).astype(np.float32)


def difference(hr_luma: Float32, lr_luma: Float32, size: Size) -> Picture:
    """HR minus LR in colours: blue where HR is darker, orange where it is brighter, almost white where they agree.

    The colour is strongest from :data:`DIFFERENCE_RANGE` on. It is grey outside HR. Inputs are (h, w) on the same grid.
    """
    apart = np.clip((hr_luma - lr_luma) / DIFFERENCE_RANGE, -1, 1)
    unknown = np.isnan(apart)
    apart = np.where(unknown, 0, apart)[..., None]
    end = np.where(apart < 0, np.array(_BELOW), np.array(_ABOVE))
    colours = np.array(_EQUAL) + np.abs(apart) * (end - np.array(_EQUAL))
    colours[unknown] = _OUTSIDE
    return opencv.resize(colours.astype(np.uint8), size, "linear").astype(np.uint8)


def upsampled(lr: Image, zoom: int) -> Picture:
    """LR for a view: 8 bits, enlarged bicubically to a grid ``zoom`` times as fine."""
    picture = as_bytes(lr)
    return picture if zoom == 1 else opencv.resize(picture, Size(lr.shape[1] * zoom, lr.shape[0] * zoom), "cubic")


def as_bytes(image: Image) -> Picture:
    """Convert stored values to 8 bits."""
    return image if image.dtype == np.uint8 else np.rint(image / 257).astype(np.uint8)  # type: ignore[return-value]


def bounded(picture: Picture, longest: int) -> Picture:
    """Reduce a picture by averaging so that its longer side has at most ``longest`` px."""
    height, width = picture.shape[:2]
    share = longest / max(height, width)
    if share >= 1:
        return picture
    size = Size(max(1, round(width * share)), max(1, round(height * share)))
    return opencv.resize(picture, size, "area").astype(np.uint8)
