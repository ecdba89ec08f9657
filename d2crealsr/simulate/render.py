"""Light on a sensor: the card and the desk seen by a camera, blurred by the lens, averaged over each pixel.

Every pixel is sampled on a grid of sub-pixels. Each sub-pixel is mapped exactly to the card, so nothing is resampled
twice. Blurring and averaging take place on that grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from d2crealsr import opencv
from d2crealsr.simulate.camera import Camera, cast_rays
from d2crealsr.simulate.overlay import Overlay, apply_overlay
from d2crealsr.simulate.sleeve import through_sleeve
from d2crealsr.types import Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2crealsr.simulate.desk import Desk
    from d2crealsr.simulate.printing import PrintedCard
    from d2crealsr.simulate.sleeve import Sleeve

__all__ = ["Grid", "Sampling", "Tabletop", "light_on", "sampling_for"]

Light: TypeAlias = "NDArray[np.float32]"
Positions: TypeAlias = "NDArray[np.float64]"


@dataclass(frozen=True, slots=True)
class Tabletop:
    """The card and the desk in front of the cameras, and the sleeve in which the card may lie."""

    card: PrintedCard
    desk: Desk
    sleeve: Sleeve | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """A rectangle of square pixels: outer corner of the first pixel, pitch (both in capture px), size in its own px.

    ``Grid(left=-0.5, top=-0.5, pitch=1, width=W, height=H)`` is the whole capture.
    """

    left: float
    top: float
    pitch: float
    width: int
    height: int

    def strip(self, first: int, count: int) -> Grid:
        """Some rows of the grid."""
        top = self.top + first * self.pitch
        return Grid(left=self.left, top=top, pitch=self.pitch, width=self.width, height=count)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How finely a grid is sampled: sub-pixels per side of a pixel, and by which factor the card is averaged before."""

    oversampling: int
    card_reduction: int


def sampling_for(card_px_per_grid_px: float) -> Sampling:
    """Sub-pixels at most one (reduced) card pixel apart, but no more than about six per side of a pixel."""
    fitting = [n for n in (1, 2, 3, 4, 6, 8, 12) if n <= max(1.0, card_px_per_grid_px / 5)]
    return Sampling(max(2, int(np.ceil(card_px_per_grid_px / fitting[-1]))), fitting[-1])


def light_on(
    grid: Grid, table: Tabletop, camera: Camera, psf_sigma: float, overlay: Overlay | None, sampling: Sampling
) -> Light:
    """Mean linear light on each pixel of a grid.

    Parameters
    ----------
    psf_sigma : float
        Gaussian blur of the lens, in px of the grid.

    Returns
    -------
    (H, W, 3) ndarray of float32
        1 is the light of a perfect white card.
    """
    n = sampling.oversampling
    halo = int(np.ceil(4 * psf_sigma))
    step = grid.pitch / n
    xs = grid.left + step * (np.arange((grid.width + 2 * halo) * n, dtype=np.float64) - halo * n + 0.5)
    ys = grid.top + step * (np.arange((grid.height + 2 * halo) * n, dtype=np.float64) - halo * n + 0.5)
    fine = _sample(table, camera, overlay, xs, ys, sampling.card_reduction)
    fine = opencv.blur(fine, psf_sigma * n)
    inner = fine[halo * n : (halo + grid.height) * n, halo * n : (halo + grid.width) * n]
    return np.asarray(opencv.resize(inner, Size(grid.width, grid.height), "area"), np.float32)


def _sample(
    table: Tabletop, camera: Camera, overlay: Overlay | None, xs: Positions, ys: Positions, reduction: int
) -> Light:
    """Light where columns ``xs`` and rows ``ys`` cross. Colours are sampled separately if the lens separates them."""
    if len(set(camera.stretch)) == 1:
        return _seen(table, overlay, *cast_rays(camera, xs, ys), reduction)
    channels = [_seen(table, overlay, *cast_rays(camera, xs, ys, c), reduction)[..., c] for c in range(3)]
    return np.stack(channels, axis=-1)


def _seen(table: Tabletop, overlay: Overlay | None, x_mm: Positions, y_mm: Positions, reduction: int) -> Light:
    card = table.card
    raster = card.reduced(reduction)
    height, width = raster.shape[:2]
    half_w, half_h = card.width_mm / 2, card.height_mm / 2
    map_x = ((x_mm + half_w) * (width / card.width_mm) - 0.5).astype(np.float32)
    map_y = ((y_mm + half_h) * (height / card.height_mm) - 0.5).astype(np.float32)
    light = opencv.remap(raster, map_x, map_y).astype(np.float32)
    if x_mm.min() < -half_w or x_mm.max() > half_w or y_mm.min() < -half_h or y_mm.max() > half_h:
        outside = (np.abs(x_mm) > half_w) | (np.abs(y_mm) > half_h)
        light[outside] = _desk_at(table.desk, x_mm[outside], y_mm[outside])
    light *= np.float32(1 / 65535)
    if table.sleeve is not None:
        beyond_x, beyond_y = np.abs(x_mm) - half_w, np.abs(y_mm) - half_h
        rim = np.maximum(beyond_x, beyond_y)
        beside = rim > 0
        along = np.where(beyond_x > beyond_y, y_mm, x_mm)
        light[beside] = through_sleeve(light[beside], table.sleeve, rim[beside], along[beside])
    return light if overlay is None else apply_overlay(light, overlay, x_mm, y_mm)


def _desk_at(desk: Desk, x_mm: Positions, y_mm: Positions) -> Light:
    """The desk's light at N positions, (N, 3)."""
    height, width = desk.light.shape[:2]
    # remap accepts at most 32,766 columns, so the N positions are arranged as a rectangle.
    columns = min(len(x_mm), 4096)
    padding = -len(x_mm) % columns
    map_x = np.pad(x_mm / desk.mm_per_px + (width - 1) / 2, (0, padding)).reshape(-1, columns).astype(np.float32)
    map_y = np.pad(y_mm / desk.mm_per_px + (height - 1) / 2, (0, padding)).reshape(-1, columns).astype(np.float32)
    return opencv.remap(desk.light, map_x, map_y).reshape(-1, 3)[: len(x_mm)].astype(np.float32)
