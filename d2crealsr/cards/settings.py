"""Settings of ``d2crealsr cards``. Every default is written here once; the command line reads them from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from d2crealsr.settings import check_ranges, setting

__all__ = ["CardSettings", "SheetName"]

SheetName: TypeAlias = Literal["10x15", "4x6", "A6", "A5", "A4"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CardSettings:
    """All settings of a PDF of cards. Equal photographs with equal settings give equal bytes."""

    sheet: SheetName = setting(
        "10x15", "Format of the cards: 10x15 cm, 4x6 inches, A6 or A5; an A4 sheet holds several cards of 15x10 cm."
    )
    scale: int = setting(8, "Scale of the pairs that are to be made from the cards.", at_least=1, at_most=16)
    dpi: int = setting(300, "Resolution that the printer really prints, in pixels per inch.", at_least=50)
    width_mm: float = setting(
        0.0,
        "Longer side of the cards, in mm, if they shall be smaller than the sheet; 0 for the size of the sheet.",
        at_least=0,
    )
    hr_width_px: int = setting(6000, "Longer side of the HR frames that the camera takes, in px.", at_least=100)

    def __post_init__(self) -> None:
        check_ranges(self)
