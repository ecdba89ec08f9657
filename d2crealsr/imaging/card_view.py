"""A small picture of the card and what lies around it, as LR shows it, turned as the HR frame is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import geometry
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array, Image

__all__ = ["CardView", "Float32", "Mask"]

Float32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

_EXTENT = 2.0
"""Sides of the view divided by those of the HR frame."""

_MOST_PX = 240
"""Largest long side of the HR frame in the view. Where LR has more pixels, it is reduced."""

_KNOTS = 33
"""Positions along each side for which the lenses are computed. Between them they are interpolated."""

_BLUR = 0.45
"""Blur before the reduction, in px of the view."""


@dataclass(frozen=True)
class CardView:
    """The surroundings of the HR frame in LR.

    Attributes
    ----------
    pixels : (h, w, 3) ndarray of float32
        Encoded colours on [0, 1]. Row and column of the middle are the centre of the HR frame.
    seen : (h, w) ndarray of bool
        Where LR shows something.
    pitch : float
        HR px per px of the view.
    lr_px : float
        LR px per px of the view, at least 1.
    turn : float
        Angle of the view's rows against those of HR, in radians.
    """

    pixels: Float32
    seen: Mask
    pitch: float
    lr_px: float
    mapping: CaptureMapping
    turn: float = 0.0

    @classmethod
    def of(cls, lr: Image, mapping: CaptureMapping, turn: float = 0.0) -> CardView | None:
        """The view of a capture, turned by an angle; None if the mapping is not that of a camera."""
        hr_px = geometry.scale_effective(mapping.H_hr_to_lr, geometry.frame_centre(mapping.hr_size))
        if not np.isfinite(hr_px):
            return None
        lr_px = max(1.0, max(mapping.hr_size) / hr_px / _MOST_PX)
        pitch = hr_px * lr_px
        width, height = (int(np.ceil(_EXTENT * side / pitch)) for side in mapping.hr_size)
        at = np.stack(np.meshgrid(*(np.linspace(0, side - 1, _KNOTS) for side in (width, height))), axis=-1)
        of_hr = _to_hr(at - geometry.frame_centre(Size(width, height)), mapping, pitch, turn)
        knots = mapping.hr_to_lr(of_hr.reshape(-1, 2)).reshape(at.shape).astype(np.float32)
        if not np.isfinite(knots).all():
            return None
        low = np.clip(np.floor(knots.min(axis=(0, 1))).astype(int) - 4, 0, np.array(mapping.lr_size) - 1)
        high = np.clip(np.ceil(knots.max(axis=(0, 1))).astype(int) + 5, low + 1, np.array(mapping.lr_size))
        part = lr[low[1] : high[1], low[0] : high[0]].astype(np.float32) / np.float32(np.iinfo(lr.dtype).max)
        part = opencv.blur(part, _BLUR * lr_px if lr_px > 1 else 0)
        along = (np.linspace(0, _KNOTS - 1, side, dtype=np.float32) for side in (width, height))
        column, row = np.meshgrid(*along)
        x, y = (opencv.remap(np.ascontiguousarray(knots[..., axis]), column, row) for axis in (0, 1))
        seen = (x >= 1) & (y >= 1) & (x <= mapping.lr_size.width - 2) & (y <= mapping.lr_size.height - 2)
        pixels = opencv.remap(part, x - np.float32(low[0]), y - np.float32(low[1]))
        return cls(pixels, seen, pitch, lr_px, mapping, turn)

    @property
    def size(self) -> Size:
        """Its width and height in px."""
        return Size.of(self.pixels)

    @property
    def frame(self) -> Array:
        """Width and height of the HR frame in px of the view."""
        return np.array(self.mapping.hr_size) / self.pitch

    @property
    def from_middle(self) -> tuple[Array, Array]:
        """Columns (1, w) and rows (h, 1) of its pixels, counted from the middle."""
        x, y = geometry.frame_centre(self.size)
        return np.arange(self.size.width)[None, :] - x, np.arange(self.size.height)[:, None] - y

    def of_lr(self, points: Array) -> Array:
        """Positions (..., 2) of LR in the view, counted from its middle."""
        hr = self.mapping.lr_to_hr(points.reshape(-1, 2)).reshape(points.shape)
        return np.asarray((hr - geometry.frame_centre(self.mapping.hr_size)) @ _rotation(self.turn) / self.pitch)

    def in_hr(self, points: Array) -> Array:
        """Positions (..., 2) of the view, counted from its middle, in HR."""
        return _to_hr(points, self.mapping, self.pitch, self.turn)


def _to_hr(points: Array, mapping: CaptureMapping, pitch: float, turn: float) -> Array:
    return np.asarray(points @ _rotation(turn).T * pitch + geometry.frame_centre(mapping.hr_size))


def _rotation(angle: float) -> Array:
    """The matrix (2, 2) of a rotation from the x-axis to the y-axis."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
