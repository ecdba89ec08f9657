"""Figures of a network's outputs for an image: pictures side by side, compared patches, values as colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from d2c.errors import ConfigError
from d2c.inference.bicubic import bicubic
from d2c.metrics import to_uint8

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    Picture: TypeAlias = "NDArray[np.uint8]"

__all__ = [
    "CIVIDIS",
    "PAPER",
    "Box",
    "comparison_figure",
    "cut",
    "heat",
    "is_inside",
    "patch_figure",
    "reduced",
    "side_by_side",
]

_LABEL_HEIGHT, _GAP = 20, 4
_CAPTION_HEIGHT, _CAPTION_SIZE = 40, 22
PAPER = ((0, 0, 143), (0, 96, 255), (64, 255, 191), (255, 223, 0), (255, 48, 0), (128, 0, 0))
"""Colours of the paper's weight maps: from blue through cyan and yellow to red."""
CIVIDIS = ((0, 34, 78), (66, 78, 108), (124, 123, 120), (188, 174, 108), (254, 232, 56))
"""Colours from dark to light that look the same with and without red-green blindness."""
_PANEL = 1024  # longest side of a panel of a whole picture


class Box(NamedTuple):
    """A rectangle of LR pixels: its first pixel (x, y), width and height."""

    x: int
    y: int
    width: int
    height: int


def patch_figure(
    lr: NDArray[Any],
    made: Mapping[str, NDArray[Any]],
    box: Box,
    hr: NDArray[Any] | None = None,
    *,
    panel: int = 240,
) -> Picture:
    """One patch of LR, bicubic, all outputs of the network and, if given, HR.

    Parameters
    ----------
    lr : (h, w, 3) ndarray
        The LR image.
    made : mapping
        The outputs of the network: images of the same size, by name.
    box : Box
        The patch in LR px.
    hr : (s·h, s·w, 3) ndarray, optional
        The true image.
    panel : int
        Width of a panel in px.

    Raises
    ------
    ConfigError
        When the box is not inside the image.
    """
    height, width = lr.shape[:2]
    if not is_inside(box, width, height):
        raise ConfigError(
            f"box: got {','.join(map(str, box))}, expected x,y,width,height inside {width}x{height} LR px"
        )
    scale = next(iter(made.values())).shape[0] // height
    wide = bicubic(lr, scale * width, scale * height)
    images = [("LR", lr, 1), ("bicubic", wide, scale)]
    images += [(name.replace("_", " "), image, scale) for name, image in made.items()]
    images += [("HR", hr, scale)] if hr is not None else []
    size = (panel, max(1, round(panel * box.height / box.width)))
    panels = [(label, _enlarged(to_uint8(cut(image, box, factor)), size)) for label, image, factor in images]
    return side_by_side(panels, in_a_row=len(panels) if len(panels) <= 8 else 8)


def is_inside(box: Box, width: int, height: int) -> bool:
    """Whether a box has pixels, all of them within an image of that size."""
    return 0 <= box.x < box.x + box.width <= width and 0 <= box.y < box.y + box.height <= height


def comparison_figure(lr: NDArray[Any], sr: NDArray[Any], hr: NDArray[Any], caption: str) -> Picture:
    """LR enlarged bicubically, the upscaled image and HR, with a caption.

    Parameters
    ----------
    lr : (h, w, 3) ndarray
        The LR image.
    sr, hr : (s·h, s·w, 3) ndarray
        The upscaled image and the true image.
    caption : str
        A caption of one line.
    """
    height, width = hr.shape[:2]
    wide = bicubic(lr, width, height)
    images = [("LR, enlarged (bicubic)", wide), ("ours", sr), ("HR", hr)]
    row = side_by_side([(label, reduced(to_uint8(image))) for label, image in images], in_a_row=3)
    canvas = PIL.Image.new("RGB", (row.shape[1], row.shape[0] + _CAPTION_HEIGHT), "white")
    font = PIL.ImageFont.load_default(_CAPTION_SIZE)
    PIL.ImageDraw.Draw(canvas).text((2, 6), caption, fill="black", font=font)
    canvas.paste(PIL.Image.fromarray(row), (0, _CAPTION_HEIGHT))
    return np.asarray(canvas)


def side_by_side(panels: Sequence[tuple[str, Picture]], *, in_a_row: int) -> Picture:
    """Arrange pictures of the same size in rows, each below its label."""
    height, width = panels[0][1].shape[:2]
    rows = -(-len(panels) // in_a_row)
    step_x, step_y = width + _GAP, height + _LABEL_HEIGHT + _GAP
    canvas = PIL.Image.new("RGB", (in_a_row * step_x - _GAP, rows * step_y - _GAP), "white")
    draw, font = PIL.ImageDraw.Draw(canvas), PIL.ImageFont.load_default(13)
    for k, (label, picture) in enumerate(panels):
        x, y = k % in_a_row * step_x, k // in_a_row * step_y
        draw.text((x + 2, y + 2), label, fill="black", font=font)
        canvas.paste(PIL.Image.fromarray(picture), (x, y + _LABEL_HEIGHT))
    return np.asarray(canvas)


def heat(values: NDArray[Any], colours: Sequence[tuple[int, int, int]]) -> Picture:
    """Show values as colours, ``(H, W, 3)``, from the first colour for 0 to the last for 1. Values are clipped."""
    stops = np.array(colours, np.float64)
    at, clipped = np.linspace(0, 1, len(stops)), np.clip(values, 0, 1)
    return np.stack([np.rint(np.interp(clipped, at, stops[:, c])) for c in range(3)], axis=-1).astype(np.uint8)


def cut(image: NDArray[Any], box: Box, factor: int) -> NDArray[Any]:
    """The pixels of a box in an image with ``factor`` × ``factor`` pixels per LR pixel."""
    x, y, width, height = (factor * value for value in box)
    return image[y : y + height, x : x + width]


def _enlarged(picture: Picture, size: tuple[int, int]) -> Picture:
    """Enlarge a picture by repeating pixels, so that no further interpolation affects the comparison."""
    image = PIL.Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize(size, PIL.Image.Resampling.NEAREST))


def reduced(picture: Picture) -> Picture:
    """A picture as a panel of a figure, reduced if it is too large."""
    image = PIL.Image.fromarray(picture)
    image.thumbnail((_PANEL, _PANEL), PIL.Image.Resampling.BICUBIC)
    return np.asarray(image)
