"""Marks on printed cards: square codes that say which scene a photograph shows.

``d2crealsr cards`` prints four marks of one number on a card, and ``ingest`` reads them. A card is small in an LR frame
and fills an HR frame, so the parts of a frame are searched one after another, each reduced to a size at which the marks
of a card that fills this part are large enough, and not larger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import geometry, photometry
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from d2crealsr.types import Array, Image, Matrix

__all__ = ["MODULES", "MOST_SCENES", "Mark", "detect", "modules_of", "scene_of"]

MODULES = 8
"""Modules along the side of a mark, with its black border."""

MOST_SCENES = opencv.mark_count() - 1
"""Largest number of a scene; the first is 1."""

_DIGITS = 4

_DARKENED, _DARKER = 2.2, 8.0
"""Exponents of encoded grey levels. Blur and too much light spread the white modules over the black ones. Where the
levels in between become dark, the threshold between both is near white, and the black modules keep their size. Of the
eight LR frames of the seeds 20 to 23 with a blur of 1.5 px or with desk in HR, one was read with an exponent of 1, and
all with 2.2. Of the four with four times too much light none was read with 1, one with 2.2, and all with 8, which reads
no tilted ones."""

_LEAST_WHITE = 0.005
"""Share of saturated values from which on a part may be overexposed: half of what the white around the marks takes."""


class _Part(NamedTuple):
    """The middle of a frame with a share of its sides, reduced to at most ``pixels``.

    An ``overexposed`` part is searched only where the frame may be overexposed.
    """

    share: float
    pixels: int
    overexposed: bool = False

    @property
    def exponent(self) -> float:
        """Exponent of its grey levels."""
        return _DARKER if self.overexposed else _DARKENED


_PARTS = (
    *(_Part(1.0, 400_000), _Part(0.25, 1_500_000), _Part(0.5, 3_000_000)),
    *(_Part(0.25, 1_500_000, overexposed=True), _Part(0.5, 3_000_000, overexposed=True)),
    _Part(1.0, 6_000_000),
)
"""The parts that are searched until one has marks: for HR, LR at x8, LR at x4 and x2, both overexposed, and a card off
the centre."""

_LARGEST_ZOOM = 3.0
"""Factor by which a part of a small frame is enlarged, so that a module has several pixels."""

_SMALLEST_PERIMETER = 0.03
"""Smallest perimeter of a mark as a share of the longer side of a part."""

_DARK, _LIGHT = 0.1, 99.9
"""Percentiles of the grey levels of a part that become black and white, so that marks are found in low light."""

_SHARPENING = 3.0
"""Amount by which the detail of a part is raised over a Gaussian of one px of the frame, at least one of the part. It
makes up for the blur of lens, sensor and printer, so that modules of three px are read."""

_STRIDE = 4
"""Every which pixel, in both directions, is looked at for the percentiles."""


class Mark(NamedTuple):
    """A mark in a photograph.

    Attributes
    ----------
    scene : str
        The scene of its card, as ``"0007"``.
    corners : (4, 2) ndarray
        Corners (x, y) of its black border in px of the photograph, clockwise from the top left of the upright mark.
    """

    scene: str
    corners: Array


def scene_of(number: int) -> str:
    """The scene of a mark's number.

    Raises
    ------
    ValueError
        If there is no mark of this number.

    Examples
    --------
    >>> scene_of(7)
    '0007'
    """
    if not 1 <= number <= MOST_SCENES:
        raise ValueError(f"got mark {number}, expected 1 to {MOST_SCENES}")
    return f"{number:0{_DIGITS}d}"


def modules_of(scene: str) -> NDArray[np.bool_]:
    """The modules of a scene's mark, (8, 8), true where it is white. Around them it needs white, at least one module.

    Raises
    ------
    ValueError
        If the scene is none of :func:`scene_of`.
    """
    if not (scene.isascii() and scene.isdigit()) or scene_of(int(scene)) != scene:
        raise ValueError(f"got scene {scene!r}, expected {_DIGITS} digits, {scene_of(1)} to {scene_of(MOST_SCENES)}")
    return opencv.mark_modules(int(scene))


def detect(image: Image) -> list[Mark]:
    """The marks in a photograph.

    Parameters
    ----------
    image : (H, W, 3) ndarray of uint8 or uint16
        A frame with a tone curve such as sRGB, upright or turned, but not mirrored.

    Returns
    -------
    list of Mark
        Sorted by scene and position. A card has four; those that are hidden or out of the frame are missing.

    Notes
    -----
    A frame of 24 megapixels takes about 0.1 s if it has marks that are found at once, 0.5 s if it has none, and 1 s if
    it is overexposed as well.
    """
    for part in _PARTS:
        found = _marks_in(image, part)
        if found:
            return sorted(found, key=lambda mark: (mark.scene, *mark.corners.mean(axis=0)))
    return []


def _marks_in(image: Image, part: _Part) -> list[Mark]:
    """The marks in the middle of a frame."""
    crop = _middle(Size.of(image), part.share)
    if part.overexposed and _white(image, crop) < _LEAST_WHITE:
        return []
    grey, H_grey_to_image = _reduced(image, crop, part)
    return [
        Mark(scene_of(number), geometry.project(H_grey_to_image, corners))
        for number, corners in opencv.find_marks(grey, smallest=_SMALLEST_PERIMETER)
        if number > 0
    ]


def _middle(size: Size, share: float) -> Crop:
    width, height = (max(1, round(share * side)) for side in size)
    return Crop((size.width - width) // 2, (size.height - height) // 2, width, height)


def _white(image: Image, crop: Crop) -> float:
    """Share of the values of a rectangle that are saturated."""
    window = image[crop.y : crop.y + crop.height : _STRIDE, crop.x : crop.x + crop.width : _STRIDE]
    return float((window == np.iinfo(image.dtype).max).mean())


def _reduced(image: Image, crop: Crop, part: _Part) -> tuple[NDArray[np.uint8], Matrix]:
    """Grey levels of a rectangle at a suitable size, stretched to the full range, and the mapping back to the image."""
    window = image[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
    zoom = min(_LARGEST_ZOOM, float(np.sqrt(part.pixels / (crop.width * crop.height))))
    size = Size(*(max(1, round(zoom * side)) for side in (crop.width, crop.height)))
    small = opencv.resize(window, size, "cubic" if zoom > 1 else "area")
    grey = photometry.encoded_luma(opencv.as_image(small)) ** part.exponent
    grey += _SHARPENING * (grey - opencv.blur(grey, max(1.0, zoom)))
    low, high = np.percentile(grey[::_STRIDE, ::_STRIDE], (_DARK, _LIGHT))
    stretched = np.clip((grey - low) * (255 / max(high - low, 1e-3)), 0, 255).round().astype(np.uint8)
    H = geometry.inverse(_enlargement(size.width / crop.width, size.height / crop.height))
    return stretched, geometry.compose(geometry.translation(crop.x, crop.y), H)


def _enlargement(x: float, y: float) -> Matrix:
    """Pixel centres of an image to those of the same image enlarged by ``x`` and ``y``."""
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1.0]])
