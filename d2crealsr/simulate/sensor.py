"""From light to an 8-bit picture: exposure, vignetting, colour filters, noise, demosaicing, white balance, sRGB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from d2crealsr import opencv
from d2crealsr.simulate.printing import srgb_of_linear

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import NDArray

    from d2crealsr.simulate.session import Shot
    from d2crealsr.types import Size

    ColourFilter: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
    Demosaic: TypeAlias = Callable[[NDArray[np.uint16]], NDArray[np.uint16]]

__all__ = ["RAW_LEVELS", "balanced_light", "develop", "expose", "reference_tones", "rggb"]

FULL_WELL = 20_000.0
READ_NOISE = 6.0
BASE_EXPOSURE = 0.8
"""Share of the full well that perfect white fills at exposure 1."""
_BLACK, _PER_ELECTRON = 2048.0, 3.0
"""Raw level without light (above 0, so that read noise is not clipped), and raw levels per electron."""
RAW_LEVELS = int(_BLACK), int(_BLACK + _PER_ELECTRON * FULL_WELL)
"""Raw levels without light and of a full well."""


def rggb(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """What each pixel of the simulated cameras gets of the light (H, W, 3): RGGB with red at pixel (0, 0), (H, W)."""
    filtered = np.empty(light.shape[:2], np.float32)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        filtered[row::2, column::2] = light[row::2, column::2, channel]
    return filtered


def expose(
    light: NDArray[np.float32],
    first_row: int,
    size: Size,
    shot: Shot,
    rng: np.random.Generator,
    colour_filter: ColourFilter = rggb,
) -> NDArray[np.uint16]:
    """Raw values of some rows of the sensor.

    Shot noise and read noise are a single Gaussian draw with variance electrons + 36. From a few electrons on, this is
    close to a Poisson count.

    Parameters
    ----------
    light : (rows, W, 3) ndarray of float32
        From :func:`d2crealsr.simulate.render.light_on`.
    first_row : int
        Index of the first of these rows on the sensor; must be even.
    colour_filter : callable, optional
        Makes of the rows of light what their pixels get, (rows, W); or a copy of the light, for raw values (rows, W, 3)
        that every colour would have at every pixel, with one draw of noise for the three.
    """
    rows = len(light)
    electrons = colour_filter(light)
    x = (np.arange(size.width) - (size.width - 1) / 2)[None, :]
    y = (np.arange(first_row, first_row + rows) - (size.height - 1) / 2)[:, None]
    r2 = (x**2 + y**2) * (4 / (size.width**2 + size.height**2))
    full = (FULL_WELL * BASE_EXPOSURE * shot.exposure * (1 - shot.vignetting * r2)).astype(np.float32)
    colours = electrons.reshape(*full.shape, -1) * full[..., None]  # one or three colours of a pixel on the last axis
    if shot.noise:
        spread = np.sqrt(colours + np.float32(READ_NOISE**2))
        colours += spread * rng.standard_normal(full.shape, dtype=np.float32)[..., None]
    raw = _BLACK + _PER_ELECTRON * np.minimum(colours, FULL_WELL)
    levels: NDArray[np.uint16] = np.maximum(np.round(raw), 0).astype(np.uint16).reshape(electrons.shape)
    return levels


def develop(raw: NDArray[np.uint16], shot: Shot, demosaic: Demosaic = opencv.demosaic_edge_aware) -> NDArray[np.uint8]:
    """Demosaic, balance and encode a whole sensor's raw values: (H, W, 3) uint8 sRGB.

    The white balance gains are divided by the smallest of them, as in cameras, so that a full well is white.
    ``demosaic`` makes raw values (H, W, 3) of those of the sensor, (H, W).
    """
    rgb = demosaic(raw)
    out = np.empty(rgb.shape, np.uint8)
    for channel, light in enumerate(_balanced(shot)):
        out[..., channel] = np.round(255 * srgb_of_linear(light)).astype(np.uint8)[rgb[..., channel]]
    return out


def balanced_light(raw: NDArray[np.uint16], shot: Shot) -> NDArray[np.float32]:
    """Linear light of a whole sensor's raw values before the tone curve, (H, W, 3) on [0, 1]; 1 is a full well.

    The sRGB curve and one rounding make of it what :func:`develop` returns.
    """
    rgb = opencv.demosaic_edge_aware(raw)
    out = np.empty(rgb.shape, np.float32)
    for channel, light in enumerate(_balanced(shot)):
        out[..., channel] = light.astype(np.float32)[rgb[..., channel]]
    return out


def _balanced(shot: Shot) -> list[NDArray[np.float64]]:
    """Linear light on [0, 1] of every raw value, in each channel after its white balance."""
    linear = (np.arange(65536) - _BLACK) / (_PER_ELECTRON * FULL_WELL)
    return [np.clip(linear * gain / min(shot.wb), 0, 1) for gain in shot.wb]


def reference_tones(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Noise-free light as 8-bit sRGB at exposure 1, balanced, without vignetting."""
    return np.round(255 * srgb_of_linear(np.clip(BASE_EXPOSURE * light.astype(np.float64), 0, 1))).astype(np.uint8)
