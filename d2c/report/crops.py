"""Example crops of validation scenes: LR, bicubic, every branch and its weights, fused, HR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
from scipy.ndimage import uniform_filter

from d2c.evaluation.evaluate import oracle
from d2c.inference.bicubic import bicubic
from d2c.inference.figures import Box
from d2c.inference.run import upscale
from d2c.metrics import quality, to_uint8, y_basicsr
from d2crealsr.store import files

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from d2c.d2csr.network import D2CSR
    from d2c.data.patches import PixelPair

__all__ = ["Example", "Panel", "busiest", "heat", "make_example"]

_SIDE_LR_PX = 32
_CIVIDIS = np.array([(0, 34, 78), (66, 78, 108), (124, 123, 120), (188, 174, 108), (254, 232, 56)], dtype=np.float64)
"""Colours of weights, from low to high: the same to people with and without red-green blindness."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One picture: its label, its file under ``files/``, what it shows in words, and its PSNR-Y (nan: none)."""

    label: str
    file: str
    words: str
    psnr_db: float = float("nan")


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One scene: where its crop lies, in LR px, its panels, and the weights at the ends of their colours."""

    name: str
    box: Box
    pictures: list[Panel]
    weights: list[Panel]
    low: float
    high: float


def make_example(model: D2CSR, pair: PixelPair, folder: Path, prefix: str) -> Example:
    """Upscale one scene whole, and write its crops as PNG into ``folder``, their names beginning with ``prefix``.

    PSNR-Y is that of the whole image, by the protocol ``basicsr-y``.

    Raises
    ------
    MemoryNeedError
        When the image would not fit.
    """
    lr, hr, scale = np.asarray(pair.lr), np.asarray(pair.hr), model.config.scale
    made = upscale(model, lr, name=pair.name)
    box = busiest(lr)
    images: dict[str, NDArray[Any]] = {"bicubic": bicubic(lr, hr.shape[1], hr.shape[0])}
    images |= {f"branch {k}": branch for k, branch in enumerate(made.predictions, start=1)}
    images |= {"mean": made.predictions.mean(axis=0), "fused": made.fused, "oracle": oracle(made.predictions, hr)}
    low, high = (float(value) for value in np.quantile(made.weights, (0.01, 0.99)))
    span = max(high - low, 1e-6)
    where = f"of scene {pair.name}"

    def panel(label: str, picture: NDArray[np.uint8], words: str, psnr: float = float("nan")) -> Panel:
        name = f"{prefix}-{label.replace(' ', '-').lower()}.png"
        with files.atomic_path(folder / name) as temporary:
            PIL.Image.fromarray(np.ascontiguousarray(picture)).save(temporary, format="png")
        return Panel(label=label, file=name, words=f"{words} {where}", psnr_db=psnr)

    truth = to_uint8(hr)
    pictures = [panel("LR", to_uint8(_cut(lr, box, 1)), "LR")]
    for label, image in images.items():
        psnr = quality(image, truth, scale, "basicsr-y").psnr
        pictures.append(panel(label, to_uint8(_cut(image, box, scale)), label.capitalize(), psnr))
    pictures.append(panel("HR", to_uint8(_cut(hr, box, scale)), "HR"))
    weights = [
        panel(f"weight {k}", heat((_cut(weight, box, scale) - low) / span), f"Weights of branch {k}")
        for k, weight in enumerate(made.weights, start=1)
    ]
    return Example(name=pair.name, box=box, pictures=pictures, weights=weights, low=low, high=high)


def busiest(lr: NDArray[Any], side: int = _SIDE_LR_PX) -> Box:
    """The square of LR px with the most detail, away from the frame where that can be; smaller in a small image."""
    height, width = lr.shape[:2]
    side = min(side, height, width)
    luma = y_basicsr(lr)
    across, down = np.abs(np.diff(luma, axis=1))[:-1], np.abs(np.diff(luma, axis=0))[:, :-1]
    busy = uniform_filter(across + down, side, mode="constant")
    top, left = height - side, width - side  # last places where the square still lies inside
    inside = busy[side // 2 : side // 2 + top + 1, side // 2 : side // 2 + left + 1]
    y, x = np.unravel_index(int(inside.argmax()), inside.shape) if inside.size else (0, 0)
    return Box(min(int(x), left), min(int(y), top), side, side)


def heat(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Values on [0, 1] as colours, ``(H, W, 3)``; outside they are clipped."""
    at = np.linspace(0, 1, len(_CIVIDIS))
    clipped = np.clip(values, 0, 1)
    return np.stack([np.rint(np.interp(clipped, at, _CIVIDIS[:, c])) for c in range(3)], axis=-1).astype(np.uint8)


def _cut(image: NDArray[Any], box: Box, factor: int) -> NDArray[Any]:
    x, y, width, height = (factor * value for value in box)
    return image[y : y + height, x : x + width]
