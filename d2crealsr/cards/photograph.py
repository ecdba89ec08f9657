"""Whether a photograph is worth a card: its texture and its clipped areas within the default crop."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.cards.card import CARD_PER_FRAME
from d2crealsr.imaging import photometry
from d2crealsr.imaging.crop import DEFAULT_SHARE
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.types import Image

__all__ = ["MAX_CLIPPED", "MIN_TEXTURED", "Looks", "fitted", "looks_of"]

MIN_TEXTURED = 0.6
"""Smallest share of the crop that has texture. QA wants half; printing and the camera take some away."""

MAX_CLIPPED = 0.05
"""Largest share of the crop that is blank white or black."""

_LR_CROP_PX = 216
"""Width to which the crop is reduced: that of the LR crop of a 6-megapixel frame at x8, the least that LR has."""

_BLOCK = 12
_TEXTURED = 0.008
"""Standard deviation of fine detail in a block, on encoded values of [0, 1], from which on it has texture."""

_BLACK, _WHITE = 1.5 / 255, 253.5 / 255
_PLACES = (("upper left", "top", "upper right"), ("left", "middle", "right"), ("lower left", "bottom", "lower right"))


class Looks(NamedTuple):
    """Shares of the crop that have texture, and that are clipped, and where most of the clipped part is."""

    textured: float
    clipped: float
    where: str


def fitted(image: Image, aspect: float) -> Image:
    """The middle of a photograph with this ratio of width to height; one that is upright is laid on its side."""
    lying = np.rot90(image) if image.shape[0] > image.shape[1] else image
    height, width = lying.shape[:2]
    keep_w, keep_h = max(1, min(width, round(height * aspect))), max(1, min(height, round(width / aspect)))
    top, left = (height - keep_h) // 2, (width - keep_w) // 2
    return opencv.as_image(np.ascontiguousarray(lying[top : top + keep_h, left : left + keep_w]))


def looks_of(image: Image) -> Looks:
    """The figures of a photograph that fills a card, (H, W, 3), as the LR camera sees it in the default crop."""
    share = DEFAULT_SHARE / CARD_PER_FRAME
    height, width = image.shape[:2]
    crop_w, crop_h = max(1, round(width * share)), max(1, round(min(height, width / 1.5) * share))
    top, left = (height - crop_h) // 2, (width - crop_w) // 2
    part = opencv.as_image(np.ascontiguousarray(image[top : top + crop_h, left : left + crop_w]))
    size = Size(_LR_CROP_PX, max(3 * _BLOCK, round(_LR_CROP_PX * crop_h / crop_w)))
    luma = photometry.encoded_luma(part)
    small = np.asarray(opencv.resize(luma, size, "area" if crop_w > size.width else "linear"), np.float32)
    fine = small - opencv.blur(small, 3.0)
    blocks = _in_blocks(fine).std(axis=1)
    darkest, lightest = (
        np.asarray(opencv.resize(luma_of, size, "area"), np.float32)
        for luma_of in ((luma < _BLACK).astype(np.float32), (luma > _WHITE).astype(np.float32))
    )
    clipped = np.maximum(darkest, lightest) > 0.99
    return Looks(float((blocks > _TEXTURED).mean()), float(clipped.mean()), _where(clipped))


def _in_blocks(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """The pixels of square blocks, (blocks, pixels of a block)."""
    rows, columns = plane.shape[0] // _BLOCK, plane.shape[1] // _BLOCK
    blocks = plane[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    return blocks.transpose(0, 2, 1, 3).reshape(rows * columns, _BLOCK * _BLOCK)


def _where(clipped: NDArray[np.bool_]) -> str:
    """The ninth of the crop with most clipped pixels, in words; empty if there are none."""
    ninths = [[part.sum() for part in np.array_split(row, 3, axis=1)] for row in np.array_split(clipped, 3, axis=0)]
    row, column = np.unravel_index(int(np.argmax(ninths)), (3, 3))
    return _PLACES[int(row)][int(column)] if clipped.any() else ""
