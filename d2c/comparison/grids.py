"""Pictures as the paper prints them: crops of all methods with HR and numbers under each, and sheets of a data set."""

from __future__ import annotations

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

_IN_A_ROW = 5
_PANEL_INCHES = 1.6
_OVERVIEW = 900


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

    Under each crop are PSNR and SSIM of the whole image (``basicsr-y``) and PSNR of the crop alone.
    """
    panels = [*scene.results.items(), ("HR", scene.hr)]
    rows = -(-len(panels) // _IN_A_ROW)
    figure = pyplot().figure(figsize=(_PANEL_INCHES * (_IN_A_ROW + 2.4), rows * (_PANEL_INCHES + 0.55) + 0.6))
    grid = figure.add_gridspec(rows, _IN_A_ROW + 2, width_ratios=[1.2, 1.2, *[1] * _IN_A_ROW], hspace=0.45, wspace=0.06)
    _overview(figure.add_subplot(grid[:, :2]), scene)
    reference = to_uint8(scene.hr)
    for k, (label, image) in enumerate(panels):
        axes = figure.add_subplot(grid[k // _IN_A_ROW, 2 + k % _IN_A_ROW])
        axes.imshow(to_uint8(cut(image, scene.box, scene.scale)), interpolation="nearest")
        axes.set_axis_off()
        said = "" if label == "HR" else f"\n{_numbers(image, reference, scene)}"
        axes.text(0.5, -0.04, f"{label}{said}", transform=axes.transAxes, ha="center", va="top", fontsize=6.5)
    figure.text(0.01, 0.01, caption, fontsize=6, va="bottom", wrap=True)
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
    axes.set_title(f"{scene.name} (×{scene.scale})", fontsize=8)


def _numbers(image: NDArray[Any], reference: NDArray[np.uint8], scene: Scene) -> str:
    whole = quality(image, reference, scene.scale, "basicsr-y")
    part, truth = (to_uint8(cut(picture, scene.box, scene.scale)) for picture in (image, reference))
    return f"{whole.psnr:.2f} / {whole.ssim:.3f}\ncrop {psnr_y(part, truth, 0):.2f} dB"


def contact_sheet(pictures: Sequence[tuple[str, NDArray[Any]]], title: str, *, across: int = 8) -> Any:
    """Small pictures of a data set with their names, as the paper's Fig. 9. Each is given already reduced."""
    rows = -(-len(pictures) // across)
    figure, grid = pyplot().subplots(rows, across, figsize=(1.25 * across, 1.15 * rows + 0.5), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (name, picture) in zip(grid.flat, pictures, strict=False):
        axes.imshow(to_uint8(picture))
        axes.set_title(name, fontsize=5, pad=2)
    figure.suptitle(title, fontsize=9)
    figure.tight_layout(pad=0.4)
    return figure
