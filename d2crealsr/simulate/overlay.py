"""Things that are over the card in one of the two shots or in both: a sheet of paper, a glare, or a finger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Overlay", "apply_overlay", "covers"]

Positions: TypeAlias = "NDArray[np.floating]"
_GLARE_PEAK = 1.6
_GLARE_DIFFERS = 0.3
"""Added light from which on a glare counts as differing content. White paper reflects about 0.9."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlay:
    """A sheet of paper, a glare or a finger in the plane of the card.

    Attributes
    ----------
    x, y, angle : float
        Centre in mm and direction in radians.
    half_length, half_width : float
        In mm: half the sides of the sheet, half the length and width of the finger with its round ends, or the
        semi-axes of the ellipse in which the glare counts as differing.
    """

    kind: Literal["sheet", "glare", "finger"]
    x: float
    y: float
    angle: float
    half_length: float
    half_width: float
    colour: tuple[float, float, float] = (0.5, 0.5, 0.5)


def _local(overlay: Overlay, x_mm: Positions, y_mm: Positions) -> tuple[Positions, Positions]:
    cos, sin = np.cos(overlay.angle), np.sin(overlay.angle)
    dx, dy = x_mm - overlay.x, y_mm - overlay.y
    return (cos * dx + sin * dy) / overlay.half_length, (cos * dy - sin * dx) / overlay.half_width


def covers(overlay: Overlay, x_mm: Positions, y_mm: Positions) -> NDArray[np.bool_]:
    """Where the overlay hides the content of the card. The result has the shape of the positions."""
    u, v = _local(overlay, x_mm, y_mm)
    if overlay.kind == "sheet":
        return np.asarray((np.abs(u) <= 1) & (np.abs(v) <= 1))
    return np.asarray((u**2 + v**2 if overlay.kind == "glare" else _from_axis(overlay, u, v)) <= 1)


def _from_axis(overlay: Overlay, u: Positions, v: Positions) -> Positions:
    """Squared distance from the axis of a finger, in halves of its width."""
    longer = overlay.half_length / overlay.half_width
    beyond = np.maximum(np.abs(u) * longer - (longer - 1), 0)
    return np.asarray(beyond**2 + v**2)


def apply_overlay(
    light: NDArray[np.float32], overlay: Overlay, x_mm: Positions, y_mm: Positions
) -> NDArray[np.float32]:
    """Put the overlay into ``light``, (H, W, 3) reflected light seen at the card's positions (H, W)."""
    u, v = _local(overlay, x_mm, y_mm)
    if overlay.kind == "glare":
        # A flat-topped lobe that passes the "differs" level exactly on the ellipse.
        fall = np.log(_GLARE_PEAK / _GLARE_DIFFERS)
        lobe = _GLARE_PEAK * np.exp(-fall * (u**2 + v**2) ** 2)
        return np.asarray(light + lobe[..., None].astype(np.float32), np.float32)
    if overlay.kind == "finger":
        off = _from_axis(overlay, u, v)
        round_ = 0.5 + 0.5 * np.sqrt(np.maximum(1 - off, 0))  # the light falls from above, so its sides are darker
        skin = np.asarray(overlay.colour, np.float32) * round_[..., None].astype(np.float32)
        return np.where((off <= 1)[..., None], skin, light)
    sheet = np.asarray(overlay.colour, np.float32) * (1 + 0.04 * np.sin(40 * u)[..., None].astype(np.float32))
    inside = (np.abs(u) <= 1) & (np.abs(v) <= 1)
    return np.where(inside[..., None], sheet, light)
