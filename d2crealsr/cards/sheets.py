"""How cards lie on the pages of a PDF, in mm from the upper left corner of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from d2crealsr.errors import SettingsError

if TYPE_CHECKING:
    from d2crealsr.cards.settings import CardSettings, SheetName

__all__ = ["BLEED", "CUT_MARK", "SMALLEST_WIDTH", "Sheet", "sheet_for"]

BLEED = 3.0
"""How far the photograph is printed beyond the edge at which the card is cut, in mm."""

CUT_MARK = 5.0
"""Length of a cut mark, in mm. It begins where the bleed ends."""

_MARGIN = 10.0
"""Distance of a card that fills its sheet from the edge of its page: room for bleed, cut marks and a line of text."""

SMALLEST_WIDTH = 60.0
"""Smallest width of a card, in mm: its marks have modules of half a millimetre."""


class _Format(NamedTuple):
    """A format: the size of the sheet, and that of the cards on it, both in mm on their longer side."""

    sheet: tuple[float, float]
    card: tuple[float, float]


_FORMATS: dict[SheetName, _Format] = {
    "10x15": _Format((150.0, 100.0), (150.0, 100.0)),
    "4x6": _Format((152.4, 101.6), (152.4, 101.6)),
    "A6": _Format((148.0, 105.0), (148.0, 105.0)),
    "A5": _Format((210.0, 148.0), (210.0, 148.0)),
    "A4": _Format((297.0, 210.0), (150.0, 100.0)),
}


class Sheet(NamedTuple):
    """A page and where the cards lie on it.

    Attributes
    ----------
    page : tuple of float
        Width and height of the page.
    card : tuple of float
        Width and height of a card after cutting.
    places : tuple of (x, y)
        Upper left corners of the cards.
    fills : bool
        Whether the one card is as large as its sheet, so that the page is larger than the sheet.
    """

    page: tuple[float, float]
    card: tuple[float, float]
    places: tuple[tuple[float, float], ...]
    fills: bool


def sheet_for(settings: CardSettings) -> Sheet:
    """The sheet of some settings.

    A card as large as its sheet has a page of its own, which is larger by the margin; a print shop cuts it at the trim
    box. Smaller cards lie on a page of the sheet's size, as many as fit.

    Raises
    ------
    SettingsError
        If a card of the requested width does not fit on the sheet, or is too small for its marks.
    """
    sheet, own = _FORMATS[settings.sheet]
    width = settings.width_mm or own[0]
    if width < SMALLEST_WIDTH:
        raise SettingsError(
            f"width_mm: got {width:g}, expected at least {SMALLEST_WIDTH:g}, so that the marks can be read; "
            "change --width-mm"
        )
    card = (width, width * own[1] / own[0])
    if card == sheet:
        page = (sheet[0] + 2 * _MARGIN, sheet[1] + 2 * _MARGIN)
        return Sheet(page, card, ((_MARGIN, _MARGIN),), True)
    lying, upright = (_on_page(page, card) for page in (sheet, sheet[::-1]))
    best = lying if len(lying.places) >= len(upright.places) else upright
    if not best.places:
        most = max(_widest(page, own[1] / own[0]) for page in (sheet, sheet[::-1]))
        raise SettingsError(
            f"width_mm: got {width:g}, expected at most {most:.0f} for a card with cut marks on {settings.sheet}; "
            "change --width-mm or --sheet"
        )
    return best


def _cell(card: tuple[float, float]) -> tuple[float, float]:
    """The room that a card needs with bleed and cut marks."""
    return card[0] + 2 * (BLEED + CUT_MARK), card[1] + 2 * (BLEED + CUT_MARK)


def _on_page(page: tuple[float, float], card: tuple[float, float]) -> Sheet:
    cell = _cell(card)
    columns, rows = int(page[0] // cell[0]), int(page[1] // cell[1])
    left, top = (page[0] - columns * cell[0]) / 2, (page[1] - rows * cell[1]) / 2
    inset = BLEED + CUT_MARK
    lefts = [left + column * cell[0] + inset for column in range(columns)]
    tops = [top + row * cell[1] + inset for row in range(rows)]
    places = tuple((x, y) for y in tops for x in lefts)
    return Sheet(page, card, places, False)


def _widest(page: tuple[float, float], ratio: float) -> float:
    """The widest card that fits on a page with its cut marks."""
    room = 2 * (BLEED + CUT_MARK)
    return min(page[0] - room, (page[1] - room) / ratio)
