"""The paper's figures, drawn from what the network returns: predictions side by side, weight maps, patches compared."""

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
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from d2c.inference.run import Upscaled

    Picture: TypeAlias = "NDArray[np.uint8]"

__all__ = ["Box", "branches_figure", "comparison_figure", "heat", "patch_figure", "side_by_side", "weights_figure"]

_LABEL_HEIGHT, _GAP = 20, 4
_CAPTION_HEIGHT, _CAPTION_SIZE = 40, 22
_PANEL = 1024  # longest side of a panel of a whole picture


class Box(NamedTuple):
    """A rectangle of LR pixels: its first pixel (x, y), width and height."""

    x: int
    y: int
    width: int
    height: int


def branches_figure(made: Upscaled) -> Picture:
    """Figures 7 and 12: the predictions side by side, two in a row, each reduced to fit where it is large."""
    panels = [(f"branch {k}", _reduced(to_uint8(p))) for k, p in enumerate(made.predictions, start=1)]
    return side_by_side(panels, in_a_row=2 if len(panels) <= 4 else 4)


def weights_figure(made: Upscaled) -> Picture:
    """Figure 4: each prediction's weight map, red high and blue low, all on one scale which the labels give."""
    low, high = (float(v) for v in np.quantile(made.weights, (0.01, 0.99)))
    if high - low < 1e-6:  # all alike: show the middle of the scale
        low, high = low - 0.5, high + 0.5
    panels = [
        (f"weight {k}: {low:.3f} blue to {high:.3f} red", _reduced(heat((w - low) / (high - low))))
        for k, w in enumerate(made.weights, start=1)
    ]
    return side_by_side(panels, in_a_row=2 if len(panels) <= 4 else 4)


def patch_figure(
    lr: NDArray[Any], made: Upscaled, box: Box, hr: NDArray[Any] | None = None, *, panel: int = 240
) -> Picture:
    """Figures 5, 6, 10 and 11: one patch as LR, bicubic, every branch, fused and, where there is one, HR.

    Parameters
    ----------
    lr : (h, w, 3) ndarray
        The LR image.
    made : Upscaled
        What the network makes of it.
    box : Box
        The patch, in LR px.
    hr : (s·h, s·w, 3) ndarray, optional
        The truth.
    panel : int
        Width of a panel, in px.

    Raises
    ------
    ConfigError
        When the box does not lie in the image.
    """
    height, width = lr.shape[:2]
    inside = box.x >= 0 and box.y >= 0 and box.x + box.width <= width and box.y + box.height <= height
    if not inside or box.width < 1 or box.height < 1:
        raise ConfigError(
            f"box: got {','.join(map(str, box))}, expected x,y,width,height inside {width}x{height} LR px"
        )
    scale = made.fused.shape[0] // height
    wide = bicubic(lr, scale * width, scale * height)
    images = [("LR", lr, 1), ("bicubic", wide, scale)]
    images += [(f"branch {k}", p, scale) for k, p in enumerate(made.predictions, start=1)]
    images += [("fused", made.fused, scale)]
    images += [("HR", hr, scale)] if hr is not None else []
    size = (panel, max(1, round(panel * box.height / box.width)))
    panels = [(label, _enlarged(to_uint8(_cut(image, box, factor)), size)) for label, image, factor in images]
    return side_by_side(panels, in_a_row=len(panels) if len(panels) <= 8 else 8)


def comparison_figure(lr: NDArray[Any], fused: NDArray[Any], hr: NDArray[Any], caption: str) -> Picture:
    """LR as bicubic interpolation enlarges it, what the network makes of it, and HR, under a caption.

    Parameters
    ----------
    lr : (h, w, 3) ndarray
        The LR image.
    fused, hr : (s·h, s·w, 3) ndarray
        The upscaled image and the truth.
    caption : str
        One line.
    """
    height, width = hr.shape[:2]
    wide = bicubic(lr, width, height)
    images = [("LR, enlarged (bicubic)", wide), ("ours", fused), ("HR", hr)]
    row = side_by_side([(label, _reduced(to_uint8(image))) for label, image in images], in_a_row=3)
    canvas = PIL.Image.new("RGB", (row.shape[1], row.shape[0] + _CAPTION_HEIGHT), "white")
    font = PIL.ImageFont.load_default(_CAPTION_SIZE)
    PIL.ImageDraw.Draw(canvas).text((2, 6), caption, fill="black", font=font)
    canvas.paste(PIL.Image.fromarray(row), (0, _CAPTION_HEIGHT))
    return np.asarray(canvas)


def side_by_side(panels: Sequence[tuple[str, Picture]], *, in_a_row: int) -> Picture:
    """Pictures of one size in rows, each under its label."""
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


def heat(values: NDArray[Any]) -> Picture:
    """Values on [0, 1] as colours from blue over cyan, yellow to red; outside they are clipped. ``(H, W, 3)``."""
    stops = np.array([(0, 0, 143), (0, 96, 255), (64, 255, 191), (255, 223, 0), (255, 48, 0), (128, 0, 0)], np.float64)
    at = np.linspace(0, 1, len(stops))
    clipped = np.clip(values, 0, 1)
    return np.stack([np.rint(np.interp(clipped, at, stops[:, c])) for c in range(3)], axis=-1).astype(np.uint8)


def _cut(image: NDArray[Any], box: Box, factor: int) -> NDArray[Any]:
    x, y, width, height = (factor * value for value in box)
    return image[y : y + height, x : x + width]


def _enlarged(picture: Picture, size: tuple[int, int]) -> Picture:
    """Shown pixel by pixel, so that no other interpolation is added to what is compared."""
    image = PIL.Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize(size, PIL.Image.Resampling.NEAREST))


def _reduced(picture: Picture) -> Picture:
    image = PIL.Image.fromarray(picture)
    image.thumbnail((_PANEL, _PANEL), PIL.Image.Resampling.BICUBIC)
    return np.asarray(image)
