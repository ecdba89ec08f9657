"""From artwork to a printed card: reflected light in linear units, the paper's grain, and halftone screens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from d2crealsr import opencv
from d2crealsr.types import Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2crealsr.simulate.session import Screen

__all__ = ["PrintedCard", "linear_of_srgb", "print_card", "srgb_of_linear"]

Light: TypeAlias = "NDArray[np.uint16]"
"""(H, W, 3) linear reflectance, 65535 is 1."""

_INK, _PAPER = 0.03, 0.88
_LINES_PER_MM = {"am-133": 133 / 25.4, "am-200": 200 / 25.4}
_ANGLES_DEG = (15.0, 75.0, 0.0)
"""Screen angles of cyan, magenta and yellow, which absorb red, green and blue."""
_STRIP = 256


@dataclass(frozen=True, slots=True)
class PrintedCard:
    """The light that a card reflects. Pixel i of a row is at x = ``((i + .5)/W − .5)·width_mm``; y is analogous."""

    light: Light
    width_mm: float
    height_mm: float
    _levels: dict[int, Light] = field(default_factory=dict)

    def reduced(self, factor: int) -> Light:
        """The card averaged over ``factor``² pixels, for coarse sampling. ``factor`` must divide both sides."""
        if factor == 1:
            return self.light
        if factor not in self._levels:
            height, width = self.light.shape[:2]
            size = Size(width // factor, height // factor)
            self._levels[factor] = np.asarray(opencv.resize(self.light, size, "area"), np.uint16)
        return self._levels[factor]


def linear_of_srgb(encoded: NDArray[np.float64]) -> NDArray[np.float64]:
    """IEC 61966-2-1 decoding, [0, 1] → [0, 1]."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0.04045) + 0.055) / 1.055) ** 2.4)


def srgb_of_linear(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """IEC 61966-2-1 encoding, [0, 1] → [0, 1]."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


def print_card(
    artwork: NDArray[np.uint8],
    card_mm: tuple[float, float],
    *,
    screen: Screen,
    grain: bool,
    rng: np.random.Generator,
) -> PrintedCard:
    """Print artwork, (H, W, 3) sRGB, on a card of ``card_mm`` (width, height).

    ``grain`` adds the fine mottle of ink and paper, 2 % of the light. Single smooth photographs have none, so that they
    stay hard to align. A screen with less than 2.5 card px per line cannot be drawn and becomes continuous tone.
    """
    table = _INK + (_PAPER - _INK) * linear_of_srgb(np.arange(256) / 255)
    light = np.empty(artwork.shape, np.uint16)
    px_per_mm = artwork.shape[1] / card_mm[0]
    threshold = _Threshold(screen, px_per_mm, rng) if screen else None
    ink = np.round(65535 * table).astype(np.uint16)
    for top in range(0, len(artwork), _STRIP):
        rows = slice(top, min(top + _STRIP, len(artwork)))
        if threshold is not None and threshold.drawable:
            light[rows] = _screened(artwork[rows], threshold, top)
        elif grain:
            mottle = 0.02 * opencv.blur(rng.standard_normal(artwork[rows].shape[:2], dtype=np.float32), 0.6)
            light[rows] = np.minimum(ink[artwork[rows]] * (1 + mottle[..., None]), 65535).astype(np.uint16)
        else:
            light[rows] = ink[artwork[rows]]
    return PrintedCard(light, *card_mm)


def _screened(artwork: NDArray[np.uint8], threshold: _Threshold, top: int) -> Light:
    """Dots of full ink or bare paper whose mean is the light of the artwork. Their edges are one card pixel wide."""
    wanted = linear_of_srgb(np.arange(256) / 255).astype(np.float32)
    out = np.empty(artwork.shape, np.uint16)
    for channel in range(3):
        level = threshold.rows(top, len(artwork), artwork.shape[1], channel)
        paper = np.clip((wanted[artwork[..., channel]] - level) / threshold.softness + 0.5, 0, 1)
        out[..., channel] = np.round(65535 * (_INK + (_PAPER - _INK) * paper))
    return out


class _Threshold:
    """Thresholds, evenly distributed over [0, 1], that determine where ink is printed: an AM screen or random dots."""

    def __init__(self, screen: Screen, px_per_mm: float, rng: np.random.Generator) -> None:
        self.tile: NDArray[np.float32] | None = None
        if screen == "inkjet":
            noise = rng.standard_normal((512, 512), dtype=np.float32)
            noise -= opencv.blur(noise, 1.5)  # keeps dots apart, as in error diffusion
            ranks = noise.ravel().argsort().argsort().reshape(noise.shape)
            self.tile = ((ranks + 0.5) / ranks.size).astype(np.float32)
            self.softness, self.drawable = 0.5, True
            return
        lines = _LINES_PER_MM[screen] / px_per_mm
        self.phases, self.lines = rng.uniform(0, 2 * np.pi, (3, 2)), lines
        self.softness, self.drawable = min(1.0, 2 * lines), lines < 1 / 2.5
        wave = np.cos(np.linspace(0, 2 * np.pi, 256, endpoint=False))
        self.sorted = np.sort((wave[:, None] + wave).ravel())[::64]

    def rows(self, top: int, height: int, width: int, channel: int) -> NDArray[np.float32]:
        """Threshold values of some rows of the card for one ink."""
        if self.tile is not None:
            shift = 171 * channel
            rows = (np.arange(top, top + height) + shift) % 512
            return np.asarray(self.tile[rows[:, None], (np.arange(width) + 2 * shift) % 512])
        angle = np.radians(_ANGLES_DEG[channel])
        x, y = np.arange(width), np.arange(top, top + height)[:, None]
        u = 2 * np.pi * self.lines * (np.cos(angle) * x + np.sin(angle) * y) + self.phases[channel, 0]
        v = 2 * np.pi * self.lines * (np.cos(angle) * y - np.sin(angle) * x) + self.phases[channel, 1]
        value = np.cos(u) + np.cos(v)
        return np.asarray(np.interp(value, self.sorted, np.linspace(0, 1, len(self.sorted))), np.float32)
