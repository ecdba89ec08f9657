"""The desk under the card: a picture of wood or stone in linear light, at a much lower resolution than the card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from d2crealsr.simulate.textures import smooth_noise
from d2crealsr.types import Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Desk", "lay_desk"]

_EXTENT = 1.25
"""Side of the desk's picture divided by that of the wide frame. Beyond its edges the picture is mirrored."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Light that the desk reflects, (H, W, 3), linear, 65535 is 1. The origin of its coordinates is its centre."""

    light: NDArray[np.uint16]
    mm_per_px: float


def lay_desk(wide_frame_mm: tuple[float, float], lr_size: Size, rng: np.random.Generator) -> Desk:
    """A desk larger than the wide frame, at half the resolution of LR, because the desk need not be sharp."""
    size = Size(round(_EXTENT * lr_size.width / 2), round(_EXTENT * lr_size.height / 2))
    grain = _wood(size, rng) if rng.random() < 0.6 else _stone(size, rng)
    base = rng.uniform(0.06, 0.3) * rng.uniform(0.85, 1.15, 3) * np.array([1.15, 1.0, 0.8])
    table = np.clip(base * np.exp(0.25 * np.linspace(-4, 4, 1024)[:, None]), 0.01, 0.8)
    index = np.clip((grain + 4) * 128, 0, 1023).astype(np.uint16)
    return Desk(np.round(65535 * table).astype(np.uint16)[index], _EXTENT * wide_frame_mm[0] / size.width)


def _wood(size: Size, rng: np.random.Generator) -> NDArray[np.float32]:
    """Long fibres: noise stretched along x at several widths."""
    grain = smooth_noise(size, (3, 40), rng) + 0.8 * smooth_noise(size, (8, size.height // 6), rng)
    return np.asarray(grain + 0.5 * smooth_noise(size, (size.width // 24, size.height // 2), rng))


def _stone(size: Size, rng: np.random.Generator) -> NDArray[np.float32]:
    """Speckles: noise of all sizes, weaker at finer sizes."""
    grain = np.zeros((size.height, size.width), np.float32)
    for octave, weight in ((6, 0.7), (20, 0.6), (size.width // 10, 0.6), (size.width // 4, 0.5)):
        grain += weight * smooth_noise(size, (octave, octave * size.height // size.width), rng)
    return grain
