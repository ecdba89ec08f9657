"""What a print can carry: how finely the HR frame samples a card, and up to which scale the print has detail for it."""

from __future__ import annotations

import math
from typing import NamedTuple

from d2crealsr.cards.card import CARD_PER_FRAME

__all__ = ["Carried", "carried"]

_MM_PER_INCH = 25.4

_SLACK = 0.03
"""Relative shortfall that makes no difference: 1,100 px per inch do for frames that take 1,118."""


class Carried(NamedTuple):
    """What a card shows to a camera.

    Attributes
    ----------
    hr_ppi : float
        Pixels of the HR frame on an inch of the card.
    detail_ppi : float
        Pixels per inch for which the card has detail: those of the printer, or of the photograph if it has fewer.
    scale : float
        Size of an LR pixel divided by that of the card's finest detail. Published pairs have detail up to this scale.
    enough : bool
        Whether the detail reaches the Nyquist frequency of the HR frame.
    """

    hr_ppi: float
    detail_ppi: float
    scale: float
    enough: bool

    @property
    def whole_scale(self) -> int:
        """The largest whole scale for which there is detail, at least 1."""
        return max(1, math.floor(self.scale * (1 + _SLACK)))

    @property
    def in_words(self) -> str:
        """The scales for which there is detail, for a message about a shortage."""
        return f"x{self.whole_scale} only" if self.whole_scale > 1 else "no scale above x1"

    def width_needed_mm(self, width_mm: float) -> float:
        """Width from which on a card with the same detail per inch would do, given its present width."""
        return width_mm * self.hr_ppi / self.detail_ppi


def carried(*, width_mm: float, hr_width_px: int, scale: int, detail_ppi: float) -> Carried:
    """What a card of a width can carry for pairs of a scale.

    Examples
    --------
    A 24-megapixel camera, a card of 15 cm, and a print at 300 dpi:

    >>> at_x8 = carried(width_mm=150, hr_width_px=6000, scale=8, detail_ppi=300)
    >>> round(at_x8.hr_ppi), at_x8.whole_scale, at_x8.enough, round(at_x8.width_needed_mm(150))
    (1118, 2, False, 559)
    """
    hr_ppi = hr_width_px * CARD_PER_FRAME / width_mm * _MM_PER_INCH
    share = detail_ppi / hr_ppi
    return Carried(hr_ppi, detail_ppi, min(share, 1.0) * scale, share >= 1 - _SLACK)
