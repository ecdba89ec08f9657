"""What is kept of a frame to compare it with all others: reduced pictures with keypoints, and maps of its figures.

A frame may turn out to be HR or LR, so each has both: a reduced picture of the whole frame, to be searched for, and the
middle of the frame at several sizes, in which others are searched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import geometry, marks, photometry
from d2crealsr.ingest.marked import Marks
from d2crealsr.opencv import Keypoints
from d2crealsr.registration import features
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from d2crealsr.types import Array, Image, Matrix

__all__ = ["Reduced", "Sketch", "sketch_of"]

Float32 = NDArray[np.float32]

_SOUGHT_PIXELS = 100_000
_SEARCHED_PIXELS = 400_000
_SOUGHT_KEYPOINTS = 1000
_SEARCHED_KEYPOINTS = 2000
_SEARCHED_SHARES = (0.25, 0.5, 1.0)
"""Parts of the frame, along each side, in which a card is searched: twice the size that HR has at x8, x4 and x2."""

_LARGEST_ZOOM = 2.0
"""Factor by which a small part is enlarged, as for registration."""

_SOUGHT_BLUR_PX = 1.0
"""Blur of the picture that is searched for, in its own px: about that of LR, where LR is reduced to the same size."""

_BLOCKS = 48
"""Blocks along the longer side of the maps."""
_HALO = 8


_STEPS = 512
"""Steps of the descriptors' values, which are mostly below a half. A byte each is a quarter of the memory of floats."""

_SHARPEST_SHARE, _FINEST_SHARE = 0.25, 0.9
"""Share of the blocks, those with most contrast, whose fineness counts, and the quantile that is taken among them."""


class Reduced(NamedTuple):
    """A part of a frame, reduced: 8-bit luma, its keypoints, and the mapping from the frame's pixels to its own.

    ``points`` (N, 2) and ``sizes`` (N,) are those of the keypoints, and ``packed`` (N, 128) their descriptors in bytes.
    """

    luma: NDArray[np.uint8]
    points: Array
    sizes: Array
    packed: NDArray[np.uint8]
    H_frame_to_reduced: Matrix

    @property
    def keypoints(self) -> Keypoints:
        """All keypoints, the strongest first."""
        return Keypoints(self.points, self.sizes, self.descriptors(len(self.packed)))

    def descriptors(self, first: int) -> Float32:
        """Descriptors of the strongest keypoints, of unit length."""
        values = self.packed[:first].astype(np.float32)
        unit: Float32 = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1)
        return unit


class _Shown(NamedTuple):
    """A frame and its tone curve."""

    image: Image
    tone: str


class Sketch(NamedTuple):
    """What is kept of a frame.

    Attributes
    ----------
    size : Size
        Size of the upright frame in px.
    sought : Reduced
        The whole frame, as it is searched for in others.
    searched : tuple of Reduced
        The middle quarter, the middle half and the whole frame, in which others are searched.
    detail : (rows, columns) ndarray
        Contrast of fine detail in square blocks: the standard deviation of the band between Gaussians of 1 and 2 px in
        linear light, divided by the mean.
    clipped : (rows, columns) ndarray
        Share of pixels with a saturated channel in the same blocks.
    fineness : float
        Contrast between Gaussians of 1 and 2 px, divided by that between 2 and 4 px, in the blocks with most contrast.
        Unlike ``detail`` it hardly depends on what the picture shows, but mostly on blur.
    marks : Marks
        The printed marks of the card in the middle.
    """

    size: Size
    sought: Reduced
    searched: tuple[Reduced, ...]
    detail: Float32
    clipped: Float32
    fineness: float
    marks: Marks


def sketch_of(image: Image, tone: str = "srgb") -> Sketch:
    """The sketch of a frame, (H, W, 3), uint8 or uint16 with the primaries of sRGB and this tone curve."""
    size, shown = Size.of(image), _Shown(image, tone)
    sought = _reduced(shown, Crop(0, 0, *size), _SOUGHT_PIXELS, _SOUGHT_KEYPOINTS, 1.0, _SOUGHT_BLUR_PX)
    searched = tuple(
        _reduced(shown, _middle(size, share), _SEARCHED_PIXELS, _SEARCHED_KEYPOINTS, _LARGEST_ZOOM)
        for share in _SEARCHED_SHARES
    )
    seen = [(int(mark.scene), mark.corners) for mark in marks.detect(image)]
    return Sketch(size, sought, searched, *_maps(shown), Marks.nearest_to_centre(seen, size))


def _middle(size: Size, share: float) -> Crop:
    """The middle of a frame with this share of its sides."""
    width, height = (max(1, round(share * side)) for side in size)
    return Crop((size.width - width) // 2, (size.height - height) // 2, width, height)


def _reduced(
    frame: _Shown, part: Crop, most_pixels: int, most_keypoints: int, most_zoom: float, blur: float = 0.0
) -> Reduced:
    window = opencv.as_image(frame.image[part.y : part.y + part.height, part.x : part.x + part.width])
    zoom = min(most_zoom, float(np.sqrt(most_pixels / (part.width * part.height))))
    factor = max(1, int(0.5 / zoom))  # the memory of a large frame in linear light is that of the reduced one
    luma = photometry.luma(photometry.reduced_linear(window, factor, frame.tone))
    size = Size(*(max(8, round(side * factor * zoom)) for side in Size.of(luma)))
    scale_x, scale_y = size.width / luma.shape[1], size.height / luma.shape[0]
    luma = opencv.blur(opencv.resize(luma, size, "cubic" if zoom > 1 else "area"), blur)
    H = np.array([[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2], [0, 0, 1.0]])
    H = geometry.compose(H, geometry.inverse(geometry.scaling(factor)), geometry.translation(-part.x, -part.y))
    found = features.detect(luma, most_keypoints)
    packed = np.minimum(found.descriptors * _STEPS + 0.5, 255).astype(np.uint8)
    return Reduced(photometry.as_8bit(np.clip(luma, 0, 1)), found.points, found.sizes, packed, H)


def _maps(frame: _Shown) -> tuple[Float32, Float32, float]:
    """Detail, clipping and fineness, row of blocks by row, so that a large frame needs little more memory."""
    image, size = frame.image, Size.of(frame.image)
    side = max(8, max(size) // _BLOCKS)
    rows, columns = max(1, size.height // side), max(1, size.width // side)
    detail, clipped, coarse = (np.zeros((rows, columns), np.float32) for _ in range(3))
    for row in range(rows):
        top, bottom = max(0, row * side - _HALO), min(size.height, (row + 1) * side + _HALO)
        strip = opencv.as_image(image[top:bottom])
        green = np.ascontiguousarray(photometry.to_linear(strip, frame.tone)[..., 1])
        softer = opencv.blur(green, 2.0)
        fine, wide = opencv.blur(green, 1.0) - softer, softer - opencv.blur(green, 4.0)
        first = row * side - top
        here = (slice(first, first + side), slice(0, columns * side))
        mean = _in_blocks(green[here], columns).mean(axis=1)
        detail[row] = _contrast(fine[here], columns) / np.maximum(mean, 1e-3)
        coarse[row] = _contrast(wide[here], columns) / np.maximum(mean, 1e-3)
        clipped[row] = _in_blocks(photometry.saturated(strip)[here].astype(np.float32), columns).mean(axis=1)
    return detail, clipped, _fineness(detail, coarse)


def _fineness(detail: Float32, coarse: Float32) -> float:
    most = coarse >= np.quantile(coarse, 1 - _SHARPEST_SHARE)
    return float(np.quantile(detail[most] / np.maximum(coarse[most], 1e-6), _FINEST_SHARE))


def _contrast(band: Float32, columns: int) -> Float32:
    """Standard deviation of a band in each block of a row."""
    contrast: Float32 = np.sqrt(_in_blocks(band**2, columns).mean(axis=1))
    return contrast


def _in_blocks(strip: Float32, columns: int) -> Float32:
    """The pixels of a row of blocks, (columns, pixels of a block)."""
    height, width = strip.shape
    blocks = strip.reshape(height, columns, width // columns).transpose(1, 0, 2)
    return blocks.reshape(columns, -1)
