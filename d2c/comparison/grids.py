"""Pictures as the paper prints them: crops of all methods with HR and numbers under each, and sheets of a data set."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from d2c.comparison.plots import pyplot
from d2c.inference.figures import cut
from d2c.metrics import psnr_y, quality, to_uint8

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from d2c.inference.figures import Box

__all__ = ["Scene", "contact_sheet", "crop_grid"]

_PANEL_INCHES = 1.5
_TEXT_INCHES = 0.62
_GAP_INCHES = 0.1
_OVERVIEW_INCHES = 4.5
_CAPTION_INCHES = 0.4
_IN_TWO_ROWS = 8
_OVERVIEW = 900
_LETTERS = 22


@dataclass(frozen=True, kw_only=True)
class Scene:
    """An image with the results of all methods, in their order, by label; ``box`` is the place to show, in LR px."""

    name: str
    scale: int
    box: Box
    hr: NDArray[Any]
    results: Mapping[str, NDArray[Any]]


def crop_grid(scene: Scene, caption: str) -> Any:
    """The image with the place marked, and the place by every method and in HR, as the paper's Figs. 5, 6, 10 and 11.

    Under each crop are PSNR and SSIM of the whole image (``basicsr-y``) and PSNR of the crop alone. Crops are in one
    row if there are at most four, otherwise in two rows, or in more if these would have more than eight each.
    """
    panels = [*scene.results.items(), ("HR", scene.hr)]
    rows = 1 if len(panels) <= 4 else max(2, -(-len(panels) // _IN_TWO_ROWS))
    across = -(-len(panels) // rows)
    _, _, box_width, box_height = scene.box
    tall = _PANEL_INCHES * box_height / box_width
    crops_high = rows * (tall + _TEXT_INCHES)
    height, width = scene.hr.shape[:2]
    seen_wide = min(_OVERVIEW_INCHES, (crops_high - _TEXT_INCHES) * width / height)
    wide = seen_wide + across * (_PANEL_INCHES + _GAP_INCHES) + 2 * _GAP_INCHES
    high = max(crops_high, seen_wide * height / width) + _CAPTION_INCHES + 3 * _GAP_INCHES
    figure = pyplot().figure(figsize=(wide, high))

    def place(left: float, top: float, across: float, down: float) -> Any:
        """Axes at a place in inches from the upper left corner."""
        return figure.add_axes((left / wide, 1 - (top + down) / high, across / wide, down / high))

    top = 2.5 * _GAP_INCHES
    _overview(place(_GAP_INCHES, top, seen_wide, seen_wide * height / width), scene)
    reference = to_uint8(scene.hr)
    for k, (label, image) in enumerate(panels):
        left = seen_wide + 2 * _GAP_INCHES + (k % across) * (_PANEL_INCHES + _GAP_INCHES)
        axes = place(left, top + (k // across) * (tall + _TEXT_INCHES), _PANEL_INCHES, tall)
        axes.imshow(to_uint8(cut(image, scene.box, scene.scale)), interpolation="nearest")
        axes.set_axis_off()
        said = "\n".join(textwrap.wrap(label, _LETTERS))
        said += "" if label == "HR" else f"\n{_numbers(image, reference, scene)}"
        axes.annotate(
            said, (0.5, 0), (0, -3), xycoords="axes fraction", textcoords="offset points", ha="center", va="top",
            fontsize=6.5,
        )  # fmt: skip
    said = "\n".join(textwrap.wrap(caption, int(wide * 25)))
    figure.text(_GAP_INCHES / wide, _GAP_INCHES / high, said, fontsize=6, va="bottom")
    return figure


def _overview(axes: Any, scene: Scene) -> None:
    """HR as a whole, with a frame around the place."""
    height, width = scene.hr.shape[:2]
    picture = PIL.Image.fromarray(np.ascontiguousarray(to_uint8(scene.hr)))
    picture.thumbnail((_OVERVIEW, _OVERVIEW), PIL.Image.Resampling.BICUBIC)
    axes.imshow(np.asarray(picture), extent=(0, width, height, 0))
    x, y, across, down = (scene.scale * value for value in scene.box)
    outline = [(x, y), (x + across, y), (x + across, y + down), (x, y + down), (x, y)]
    for colour, weight in (("white", 2.5), ("red", 1.2)):  # seen on every ground
        axes.plot(*zip(*outline, strict=True), color=colour, linewidth=weight)
    axes.set_axis_off()
    axes.set_title(f"{scene.name} (×{scene.scale})", fontsize=8, pad=3)


def _numbers(image: NDArray[Any], reference: NDArray[np.uint8], scene: Scene) -> str:
    whole = quality(image, reference, scene.scale, "basicsr-y")
    part, truth = (to_uint8(cut(picture, scene.box, scene.scale)) for picture in (image, reference))
    return f"{whole.psnr:.2f} / {whole.ssim:.3f}\ncrop {psnr_y(part, truth, 0):.2f} dB"


def contact_sheet(pictures: Sequence[tuple[str, NDArray[Any]]], title: str, *, across: int = 8) -> Any:
    """Small pictures of a data set with their names, as the paper's Fig. 9. Each is given already reduced."""
    across = min(across, len(pictures))
    rows = -(-len(pictures) // across)
    tallest = max(picture.shape[0] / picture.shape[1] for _, picture in pictures)
    figure, grid = pyplot().subplots(
        rows, across, figsize=(1.25 * across, (1.2 * tallest + 0.2) * rows + 0.35), squeeze=False
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (name, picture) in zip(grid.flat, pictures, strict=False):
        axes.imshow(to_uint8(picture))
        axes.set_title(name, fontsize=5, pad=2)
    figure.suptitle(title, fontsize=9)
    figure.tight_layout(pad=0.4)
    return figure
