"""The part of LR in which HR is registered by SIFT, enlarged or reduced for detection, and its keypoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import geometry, photometry
from d2crealsr.opencv import Keypoints
from d2crealsr.registration import features
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from d2crealsr.types import Array, Image, Matrix

__all__ = ["LrView", "footprint", "inside", "window", "zoom_for"]

Float32 = NDArray[np.float32]

_DETECTION_ZOOM = 2.0
"""LR is enlarged by this factor for detection, because its finest and best keypoints are below SIFT's first octave."""


class LrView(NamedTuple):
    """Linear luma of a part of the LR capture, enlarged ``zoom`` times, and its keypoints in its own pixels."""

    luma: Float32
    keypoints: Keypoints
    H_lr_to_view: Matrix
    zoom: float

    @classmethod
    def of(cls, lr: Image, part: Crop, scale: int, tone: str, max_pixels: int, max_keypoints: int = 0) -> Self:
        """Cut a part out of LR, enlarge it for detection (or reduce it if it is too large), and detect keypoints."""
        zoom = zoom_for(part, scale, max_pixels)
        captured = opencv.as_image(lr[part.y : part.y + part.height, part.x : part.x + part.width])
        luma = photometry.luma(photometry.to_linear(captured, tone))
        if zoom != 1:
            size = Size(round(part.width * zoom), round(part.height * zoom))
            luma = opencv.resize(luma, size, "cubic" if zoom > 1 else "area")
        exact = np.array([luma.shape[1] / part.width, luma.shape[0] / part.height])
        H_part_to_view = np.array([[exact[0], 0, (exact[0] - 1) / 2], [0, exact[1], (exact[1] - 1) / 2], [0, 0, 1.0]])
        H_lr_to_view = geometry.compose(H_part_to_view, geometry.translation(-part.x, -part.y))
        return cls(luma, features.detect(luma, max_keypoints), H_lr_to_view, zoom)

    def of_part(self, part: Crop) -> Self:
        """What the view shows of a rectangle of LR, with the keypoints that lie there."""
        height, width = self.luma.shape
        ends = np.array([[part.x, part.y], [part.x + part.width - 1, part.y + part.height - 1]], np.float64)
        first, last = np.rint(geometry.project(self.H_lr_to_view, ends)).astype(int)
        (left, top), (right, bottom) = np.clip([first, last], 0, [width - 1, height - 1])
        mask = np.zeros(self.luma.shape, np.bool_)
        mask[top : bottom + 1, left : right + 1] = True
        found = inside(self.keypoints, mask)
        return self._replace(
            luma=np.ascontiguousarray(self.luma[top : bottom + 1, left : right + 1]),
            keypoints=found._replace(points=found.points - [left, top]),
            H_lr_to_view=geometry.compose(geometry.translation(-left, -top), self.H_lr_to_view),
        )

    @property
    def blur_lr_px(self) -> float:
        """Standard deviation of the blur by reduction, in LR px; 0 if LR was not reduced."""
        return float(np.sqrt(max(self.zoom**-2 - 1, 0) / 12))


def zoom_for(part: Crop, scale: int, max_pixels: int) -> float:
    """Factor by which a part of LR is enlarged for detection, or reduced to a number of pixels if it is too large."""
    zoom = 1.0 if scale == 1 else _DETECTION_ZOOM
    pixels = part.width * part.height
    return zoom if pixels * zoom**2 <= max_pixels else min(1.0, float(np.sqrt(max_pixels / pixels)))


def window(centre: Array, hr_size: Size, lr_size: Size, scale: int) -> Crop:
    """The part of LR around ``centre`` that is twice as large as HR should be there; all of LR if that is smaller."""
    width, height = (min(2 * side // scale, limit) for side, limit in zip(hr_size, lr_size, strict=True))
    x = int(np.clip(round(centre[0] - (width - 1) / 2), 0, lr_size.width - width))
    y = int(np.clip(round(centre[1] - (height - 1) / 2), 0, lr_size.height - height))
    return Crop(x, y, width, height)


def footprint(H_hr_to_lr: Matrix, hr_size: Size, lr_size: Size) -> Crop:
    """The rectangle of LR that HR covers."""
    outline = geometry.project(H_hr_to_lr, geometry.corners(hr_size))
    left, top = np.clip(np.floor(outline.min(axis=0)).astype(int), 0, np.array(lr_size) - 1)
    right, bottom = np.clip(np.ceil(outline.max(axis=0)).astype(int) + 1, [left + 1, top + 1], lr_size)
    return Crop(int(left), int(top), int(right - left), int(bottom - top))


def inside(keypoints: Keypoints, mask: NDArray[np.bool_]) -> Keypoints:
    """The keypoints inside a mask."""
    column, row = np.rint(keypoints.points).astype(int).T
    height, width = mask.shape
    keep = mask[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    return Keypoints(keypoints.points[keep], keypoints.sizes[keep], keypoints.descriptors[keep])
