"""By how much a card is turned on its desk, from where the colours of the desk end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from d2crealsr import opencv

if TYPE_CHECKING:
    from d2crealsr.imaging.card_view import Mask

__all__ = ["turn_of"]

_BLUR_PX = 1.5
_LEAST, _AGREEING = np.radians(9.0), 0.35
"""Smallest turn that is returned, and the smallest share of the edges that must agree on it."""


def turn_of(unlike_desk: Mask, seen: Mask) -> float:
    """The angle of a card against its view in radians, within an eighth of a turn; 0 if it is small or doubtful.

    The directions of all edges are averaged after multiplication by four, which makes those of a rectangle's four sides
    the same.

    Parameters
    ----------
    unlike_desk : (h, w) ndarray of bool
        Where the colours are not those of the desk.
    seen : (h, w) ndarray of bool
        Where LR shows something.
    """
    down, across = np.gradient(opencv.blur(unlike_desk.astype(np.float32), _BLUR_PX))
    strength = np.hypot(across, down) * seen
    mean = np.sum(strength * np.exp(4j * np.arctan2(down, across))) / max(float(strength.sum()), 1e-9)
    turn = float(np.angle(mean)) / 4
    return turn if abs(turn) > _LEAST and abs(mean) > _AGREEING else 0.0
