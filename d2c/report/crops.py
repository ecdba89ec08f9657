"""Example crops of validation scenes: LR, bicubic, all outputs of the network, HR, and where errors are likelier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import uniform_filter

from d2c.inference.bicubic import bicubic
from d2c.inference.figures import CIVIDIS, Box, cut, heat
from d2c.inference.run import upscale
from d2c.metrics import quality, to_uint8, y_basicsr
from d2c.networks import network_of
from d2c.report.likely_errors import LikelyErrors, likely_errors
from d2c.report.panels import Panel, PanelWriter
from d2crealsr.store.animation import write_animation

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from d2c.data.patches import PixelPair
    from d2c.settings.config import Precision

__all__ = ["Example", "busiest", "make_example"]

_SIDE_LR_PX = 32
_BLINK_PX = 512
"""Largest side of a blinking crop."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One scene: the position of its crop in LR px, its panels, and the range of values of the maps' colours.

    ``blink`` is the file of an animated WebP of bicubic, the network's main output and HR.
    """

    name: str
    box: Box
    pictures: list[Panel]
    maps: list[Panel]
    title: str
    low: float
    high: float
    doubt: LikelyErrors
    blink: str

    @property
    def files(self) -> list[str]:
        """The names under ``files/`` that the page shows."""
        return [*(panel.file for panel in (*self.pictures, *self.maps, *self.doubt.panels)), self.blink]


def make_example(
    model: nn.Module, pair: PixelPair, folder: Path, prefix: str, precision: Precision = "fp32"
) -> Example:
    """Upscale the whole image of a scene, and write its crops as PNGs to ``folder`` under names with ``prefix``.

    PSNR-Y is that of the whole image by the protocol ``basicsr-y``.

    Raises
    ------
    MemoryNeedError
        When the image does not fit into memory.
    """
    network, config = network_of(model)
    lr, hr, scale = np.asarray(pair.lr), np.asarray(pair.hr), config.scale
    made = upscale(model, lr, name=pair.name, precision=precision)
    box = busiest(lr)
    images = {"bicubic": bicubic(lr, hr.shape[1], hr.shape[0]), **network.images(made, hr)}
    maps = network.maps(made)
    values: Any = list(maps.planes.values()) or (0.0, 1.0)
    low, high = np.quantile(values, (0.01, 0.99)).tolist()
    writer = PanelWriter(folder, prefix, pair.name)
    panel, truth = writer.write, to_uint8(hr)
    pictures = [panel("LR", to_uint8(cut(lr, box, 1)), "LR")]
    for name, image in images.items():
        label, psnr = name.replace("_", " "), quality(image, truth, scale, "basicsr-y").psnr
        pictures.append(panel(label, to_uint8(cut(image, box, scale)), label.capitalize(), psnr))
    pictures.append(panel("HR", to_uint8(cut(hr, box, scale)), "HR"))
    planes = [
        panel(label, heat((cut(plane, box, scale) - low) / max(high - low, 1e-6), CIVIDIS), label.capitalize())
        for label, plane in maps.planes.items()
    ]
    beside = [each for each in pictures if each.label in ("LR", network.main.replace("_", " "))]
    doubt = likely_errors(made.sr, hr, scale, box, writer, beside)
    turns = {**{name: images[name] for name in ("bicubic", network.main) if name in images}, "HR": hr}
    frames = {name: _enlarged(to_uint8(cut(image, box, scale))) for name, image in turns.items()}
    write_animation(folder / (blink := f"{prefix}-blink.webp"), frames)
    return Example(
        name=pair.name, box=box, pictures=pictures, maps=planes, title=maps.title, low=low, high=high, doubt=doubt,
        blink=blink,
    )  # fmt: skip


def _enlarged(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A crop with each pixel repeated so that it is large enough to be looked at."""
    times = max(1, _BLINK_PX // max(crop.shape[:2]))
    return crop.repeat(times, axis=0).repeat(times, axis=1)


def busiest(lr: NDArray[Any], side: int = _SIDE_LR_PX) -> Box:
    """The square of LR px with the most detail, away from the border if possible, and smaller in a small image."""
    height, width = lr.shape[:2]
    side = min(side, height, width)
    luma = y_basicsr(lr)
    across, down = np.abs(np.diff(luma, axis=1))[:-1], np.abs(np.diff(luma, axis=0))[:, :-1]
    busy = uniform_filter(across + down, side, mode="constant")
    top, left = height - side, width - side  # last positions at which the square is inside
    inside = busy[side // 2 : side // 2 + top + 1, side // 2 : side // 2 + left + 1]
    y, x = np.unravel_index(int(inside.argmax()), inside.shape) if inside.size else (0, 0)
    return Box(min(int(x), left), min(int(y), top), side, side)
