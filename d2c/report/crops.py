"""Example crops of validation scenes: LR, bicubic, all outputs of the network, HR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
from scipy.ndimage import uniform_filter

from d2c.inference.bicubic import bicubic
from d2c.inference.figures import CIVIDIS, Box, cut, heat
from d2c.inference.run import upscale
from d2c.metrics import quality, to_uint8, y_basicsr
from d2c.networks import network_of
from d2crealsr.store import files
from d2crealsr.store.animation import write_animation

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from d2c.data.patches import PixelPair
    from d2c.settings.config import Precision

__all__ = ["Example", "Panel", "busiest", "make_example"]

_SIDE_LR_PX = 32
_BLINK_PX = 512
"""Largest side of a blinking crop."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One picture: its label, file under ``files/``, description, side in px, and PSNR-Y (nan if there is none)."""

    label: str
    file: str
    words: str
    side: int
    psnr_db: float = float("nan")


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
    blink: str

    @property
    def files(self) -> list[str]:
        """The names under ``files/`` that the page shows."""
        return [*(panel.file for panel in (*self.pictures, *self.maps)), self.blink]


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
    where = f"of scene {pair.name}"

    def panel(label: str, picture: NDArray[np.uint8], words: str, psnr: float = float("nan")) -> Panel:
        name = f"{prefix}-{label.replace(' ', '-').lower()}.png"
        with files.atomic_path(folder / name) as temporary:
            PIL.Image.fromarray(np.ascontiguousarray(picture)).save(temporary, format="png")
        return Panel(label=label, file=name, words=f"{words} {where}", side=max(picture.shape[:2]), psnr_db=psnr)

    truth = to_uint8(hr)
    pictures = [panel("LR", to_uint8(cut(lr, box, 1)), "LR")]
    for name, image in images.items():
        label, psnr = name.replace("_", " "), quality(image, truth, scale, "basicsr-y").psnr
        pictures.append(panel(label, to_uint8(cut(image, box, scale)), label.capitalize(), psnr))
    pictures.append(panel("HR", to_uint8(cut(hr, box, scale)), "HR"))
    planes = [
        panel(label, heat((cut(plane, box, scale) - low) / max(high - low, 1e-6), CIVIDIS), label.capitalize())
        for label, plane in maps.planes.items()
    ]
    turns = {**{name: images[name] for name in ("bicubic", network.main) if name in images}, "HR": hr}
    frames = {name: _enlarged(to_uint8(cut(image, box, scale))) for name, image in turns.items()}
    write_animation(folder / (blink := f"{prefix}-blink.webp"), frames)
    return Example(
        name=pair.name, box=box, pictures=pictures, maps=planes, title=maps.title, low=low, high=high, blink=blink
    )


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
