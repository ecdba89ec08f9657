"""A rectangle of the LR capture: its pixels as stored and in linear light, and which of them can be trusted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import geometry, photometry
from d2crealsr.imaging.crop import cut
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array, Crop, Image

__all__ = ["LrPart"]

Float32 = NDArray[np.float32]

_KEPT_PIXELS = 1_000_000
"""Pixels of a part up to which their positions in HR are kept, which takes 16 bytes each."""


@dataclass(frozen=True, kw_only=True)
class LrPart:
    """A rectangle of the LR capture.

    Attributes
    ----------
    rgb : (h, w, 3) ndarray
        Linear light.
    encoded : (h, w) ndarray
        Encoded luma on [0, 1].
    valid : (h, w) ndarray
        False where a channel is clipped, and next to such a pixel.
    crop : Crop
        The rectangle, in LR px.
    tone : str
        Tone curve of the capture.
    positions : (h, w, 2) ndarray
        Positions of the pixels in the capture.
    hr_shows : (h, w) ndarray or None
        False where HR, as LR would see it, is clipped; None if HR is not clipped or was not compared yet.
    softened_by : float
        Standard deviation of the blur after :meth:`softened`, in LR px; 0 for pixels as they were captured.
    """

    rgb: Float32
    encoded: Float32
    valid: NDArray[np.bool_]
    crop: Crop
    tone: str
    positions: Array
    hr_shows: NDArray[np.bool_] | None = None
    softened_by: float = 0.0

    @property
    def trusted(self) -> NDArray[np.bool_]:
        """False where LR or HR is clipped, (h, w). Only the other pixels are compared."""
        return self.valid if self.hr_shows is None else self.valid & self.hr_shows

    def compared_with(self, hr: LinearReduced, mapping: CaptureMapping, sigma_hr_px: float) -> Self:
        """The part with the pixels at which HR, under a mapping and seen at a blur of LR, is not clipped."""
        if hr.clipped is None:
            return self
        return replace(self, hr_shows=hr.shows(self.in_hr(mapping), sigma_hr_px))

    def in_hr(self, mapping: CaptureMapping) -> Array:
        """Positions of the pixels in the HR capture, (h, w, 2). Those of the last mapping are kept for a small part."""
        if self._last_in_hr and self._last_in_hr[0][0] is mapping:
            return self._last_in_hr[0][1]
        positions = mapping.lr_to_hr(self.positions)
        self._last_in_hr[:] = [(mapping, positions)] if self.valid.size <= _KEPT_PIXELS else []
        return positions

    @cached_property
    def _last_in_hr(self) -> list[tuple[CaptureMapping, Array]]:
        return []

    @classmethod
    def of(cls, lr: Image, crop: Crop, tone: str, **more: Any) -> Self:
        """Cut a rectangle out of an LR capture; ``more`` are the fields that a subclass adds."""
        part = cut(lr, crop)
        return cls(
            rgb=photometry.to_linear(part, tone),
            encoded=photometry.encoded_luma(part),
            valid=~photometry.saturated(part),
            crop=crop,
            tone=tone,
            positions=geometry.pixel_centres(Size(crop.width, crop.height)) + np.array([crop.x, crop.y]),
            **more,
        )

    def softened(self, sigma_lr_px: float) -> Self:
        """The part after a blur in linear light. Pixels next to clipped ones and to the border are not trusted."""
        rgb = opencv.blur(self.rgb, sigma_lr_px)
        margin = int(np.ceil(2 * sigma_lr_px))
        valid = np.zeros_like(self.valid)
        inner = np.s_[margin:-margin, margin:-margin]
        valid[inner] = ~opencv.dilate(~self.valid, margin)[inner]
        encoded = photometry.encode_clipped(rgb, self.tone) @ photometry.JPEG_LUMA
        return replace(self, rgb=rgb, encoded=encoded, valid=valid, softened_by=sigma_lr_px)

    def thinned(self, stride: int) -> Self:
        """Every ``stride``-th pixel in both directions; an odd stride meets all colours of the sensor's filter."""
        every = np.s_[::stride, ::stride]
        return replace(
            self,
            rgb=self.rgb[every],
            encoded=self.encoded[every],
            valid=self.valid[every],
            positions=self.positions[every],
            hr_shows=None if self.hr_shows is None else self.hr_shows[every],
        )
